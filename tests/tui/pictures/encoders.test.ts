// Each encoder's output decoded again and held against what went in.

import { describe, expect, test } from "bun:test";
import { inflateSync } from "node:zlib";
import sharp from "sharp";
import { decode } from "sixel";
import { asciiRows, blockRows, nearest256 } from "../../../src/tui/pictures/blocks.ts";
import { iterm2Picture } from "../../../src/tui/pictures/iterm2.ts";
import * as kitty from "../../../src/tui/pictures/kitty.ts";
import { palettePng } from "../../../src/tui/pictures/palette.ts";
import { fitCells, type Picture, scale, splitFrames } from "../../../src/tui/pictures/picture.ts";
import { sixelPicture, sixelSize } from "../../../src/tui/pictures/sixel.ts";

/** A soft disc on a gradient: what a latent preview looks like to an encoder. */
const scene = (width: number, height: number): Picture => {
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const d = Math.hypot(x / width - 0.4, y / height - 0.5);
      const disc = 1 / (1 + Math.exp((d - 0.25) * 40));
      const at = (y * width + x) * 3;
      rgb[at] = 40 + 200 * disc;
      rgb[at + 1] = (255 * y) / height;
      rgb[at + 2] = (255 * x) / width;
    }
  }
  return { width, height, rgb };
};

const psnr = (a: Uint8Array, b: Uint8Array): number => {
  expect(a.length).toBe(b.length);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
  return sum === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(65025 / (sum / a.length));
};

type Command = Readonly<{ keys: Record<string, string>; payload: string }>;
const commands = (text: string): Command[] =>
  [...text.matchAll(/\u001b_G([^;\u001b]*);([^\u001b]*)\u001b\\/g)].map(([, keys, payload]) => ({
    keys: Object.fromEntries((keys ?? "").split(",").map((k) => k.split("=") as [string, string])),
    payload: payload ?? "",
  }));

describe("kitty", () => {
  test("a raw picture arrives exactly", () => {
    const picture = scene(64, 88);

    const sent = commands(kitty.transmit(77, kitty.rawPayload(picture)).join(""));

    const bytes = inflateSync(Buffer.from(sent.map((c) => c.payload).join(""), "base64"));
    expect([...bytes]).toEqual([...picture.rgb]);
    expect(sent[0]?.keys).toMatchObject({ a: "t", i: "77", f: "24", s: "64", v: "88", o: "z" });
  });

  test("chunks are at most 4096 characters, all but the last say that more follows", () => {
    const sent = commands(kitty.transmit(1, kitty.rawPayload(scene(256, 200))).join(""));

    expect(sent.length).toBeGreaterThan(3);
    for (const [i, { keys, payload }] of sent.entries()) {
      expect(payload.length).toBeLessThanOrEqual(4096);
      expect(keys.m).toBe(i === sent.length - 1 ? "0" : "1");
      expect(keys.q).toBe("2");
    }
  });

  test("every chunk of a replaced frame names the frame", () => {
    const sent = commands(kitty.replaceFrame(9, 4, kitty.rawPayload(scene(128, 128))).join(""));

    expect(sent.length).toBeGreaterThan(1);
    for (const { keys } of sent) expect(keys).toMatchObject({ a: "f", i: "9", r: "4", q: "2" });
    expect(sent[0]?.keys.X).toBe("1");
  });

  test("a palette PNG is above 30 dB and less than half of the raw bytes", async () => {
    const picture = scene(64, 88);

    const png = await palettePng(picture, 256);

    const back = await sharp(png).removeAlpha().raw().toBuffer();
    expect(psnr(new Uint8Array(back), picture.rgb)).toBeGreaterThan(30);
    expect(png.length).toBeLessThan(kitty.rawPayload(picture).base64.length / 2);
  });

  test("placeholder cells name their row and column and carry the id as colour", () => {
    const row = kitty.placeholderRow(0x010203, 1, 3);

    expect(row).toBe(
      "\u001b[38;2;1;2;3m\u{10EEEE}\u030d\u0305\u{10EEEE}\u030d\u030d\u{10EEEE}\u030d\u030e\u001b[39m",
    );
    expect(Bun.stringWidth(row)).toBe(3);
  });

  test("through tmux every escape is doubled", () => {
    expect(kitty.throughTmux("\u001b_Ga=d\u001b\\")).toBe(
      "\u001bPtmux;\u001b\u001b_Ga=d\u001b\u001b\\\u001b\\",
    );
  });
});

describe("sixel", () => {
  test.each([
    [256, 30],
    [16, 21],
  ] as const)("%p colours keep the picture within %p dB", async (colours, dB) => {
    const cell = { width: 10, height: 20 };
    const picture = scene(64, 88);

    const sequence = await sixelPicture(picture, 20, 14, cell, colours);

    const { width, height } = sixelSize(20, 14, cell);
    const got = decode(sequence);
    const pixels = new Uint8Array(got.data32.buffer, got.data32.byteOffset, width * height * 4);
    const rgb = pixels.filter((_, i) => i % 4 !== 3);
    expect([got.width, height % 6]).toEqual([width, 0]);
    expect(psnr(rgb, scale(picture, width, height).rgb)).toBeGreaterThan(dB);
  });
});

describe("blocks", () => {
  test("24-bit half blocks show the mean colour of what each half cell covers", () => {
    const picture = scene(64, 64);

    const rows = blockRows(picture, 16, 8, "24bit");

    const small = scale(picture, 16, 16);
    const first = [...small.rgb.subarray(0, 3)].join(";");
    const below = [...small.rgb.subarray(16 * 3, 16 * 3 + 3)].join(";");
    expect(rows.length).toBe(8);
    expect(rows[0]?.startsWith(`\u001b[38;2;${first};48;2;${below}m▀`)).toBe(true);
    for (const row of rows) expect(Bun.stringWidth(row)).toBe(16);
  });

  test("shrinking takes the mean", () => {
    const picture = {
      width: 2,
      height: 2,
      rgb: new Uint8Array([0, 0, 0, 100, 0, 0, 100, 0, 0, 200, 0, 0]),
    };

    expect([...scale(picture, 1, 1).rgb]).toEqual([100, 0, 0]);
  });

  test("growing keeps pixels sharp", () => {
    const picture = { width: 2, height: 1, rgb: new Uint8Array([1, 2, 3, 4, 5, 6]) };

    expect([...scale(picture, 4, 1).rgb]).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
  });

  test("256 colours take the nearer of cube and grey ramp", () => {
    expect(nearest256([255, 0, 0])).toBe(196);
    expect(nearest256([0, 0, 0])).toBe(16);
    expect(nearest256([118, 118, 118])).toBe(243);
    expect(nearest256([95, 135, 175])).toBe(67);
  });

  test("ASCII has no escape sequences and is darker where the picture is", () => {
    const picture = { width: 2, height: 1, rgb: new Uint8Array([0, 0, 0, 255, 255, 255]) };

    expect(asciiRows(picture, 2, 1)).toEqual([" @"]);
  });
});

test("an iTerm2 picture carries its size and the whole file", () => {
  const sequence = iterm2Picture(new Uint8Array([1, 2, 3]), 10, 5);

  expect(sequence).toBe(
    "\u001b]1337;File=inline=1;size=3;width=10;height=5;preserveAspectRatio=0;doNotMoveCursor=1:AQID\u0007",
  );
});

test("cells are chosen for the picture's shape", () => {
  expect(fitCells({ width: 48, height: 48 }, 80, 20, { width: 10, height: 20 })).toEqual({
    columns: 40,
    rows: 20,
  });
  expect(fitCells({ width: 960, height: 416 }, 40, 30, { width: 8, height: 16 })).toEqual({
    columns: 40,
    rows: 9,
  });
});

test("frames of an event must have the bytes they claim", () => {
  const packed = {
    frames: 2,
    width: 1,
    height: 1,
    rgb: Buffer.from([1, 2, 3, 4, 5, 6]).toString("base64"),
  };

  expect(splitFrames(packed).map((p) => [...p.rgb])).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(() => splitFrames({ ...packed, frames: 3 })).toThrow("6 bytes");
});
