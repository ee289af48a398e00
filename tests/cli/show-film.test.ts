// The film at the end of the demo, decoded back from what a terminal would get.

import { expect, test } from "bun:test";
import sharp from "sharp";
import { decode } from "sixel";
import { characterCells, showFilm } from "../../src/cli/show-film.ts";
import type { Picture } from "../../src/engine/picture.ts";
import type { Capabilities, Method } from "../../src/tui/pictures/capabilities.ts";

const frame = (grey: number): Picture => {
  const rgb = new Uint8Array(8 * 8 * 3).fill(grey);
  rgb.set([255, 0, 0], 0); // One red pixel, top left.
  return { width: 8, height: 8, rgb };
};
const frames = Array.from({ length: 6 }, (_, i) => frame(i * 40));

const shown = async (method: Method, more: Partial<Capabilities> = {}): Promise<string> => {
  let text = "";
  const screen = {
    columns: 81,
    rows: 28,
    write: (part: string, done?: () => void) => {
      text += part;
      done?.();
    },
  };
  const cell = { width: 10, height: 20 };
  const base = { cell, animates: false, synchronised: false, tmux: false, name: "test" };
  await showFilm({ frames, frame_ms: 1 }, screen, { method, ...base, ...more });
  return text;
};

const png = async (base64: string) => {
  const { data, info } = await sharp(Buffer.from(base64, "base64"))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    at: (x: number, y: number) => [
      ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
    ],
  };
};

test("characters show the film in place and leave its last frame", async () => {
  const text = await shown("blocks-24bit");

  const last = text.slice(text.lastIndexOf("\x1b[24A"));
  expect(text.split("\x1b[24A").length).toBeLessThanOrEqual(6);
  expect(last).toContain("48;2;200;200;200");
  expect(last.split("▀").length - 1).toBe(48 * 24);
});

test("without colour the film is made of plain characters", async () => {
  const text = await shown("ascii");

  expect(text).not.toContain("[38");
});

test("kitty gets every frame once, enlarged with sharp edges, and runs the loop itself", async () => {
  const text = await shown("kitty-place", { animates: true });

  const sent = [...text.matchAll(/_G(a=[tf])[^;]*f=100[^;]*;([A-Za-z0-9+/=]*)/g)];
  expect(sent.map((part) => part[1])).toEqual(["a=t", "a=f", "a=f", "a=f", "a=f", "a=f"]);
  const picture = await png(sent[0]?.[2] ?? "");
  expect([picture.width, picture.height]).toEqual([480, 480]);
  expect(picture.at(59, 59)).toEqual([255, 0, 0]);
  expect(picture.at(60, 59)).toEqual([0, 0, 0]);
  expect(text).toContain("s=3,v=1");
  expect(text).toContain("c=48,r=24");
});

test("through tmux every command is wrapped by itself", async () => {
  const text = await shown("kitty-cells", { animates: true, tmux: true });

  const bare = text.replaceAll("\x1b\x1b_G", "");
  expect(bare).not.toContain("\x1b_G");
  expect(text.split("\x1bPtmux;").length - 1).toBeGreaterThan(7);
  expect(text).toContain("\u{10EEEE}");
});

test("sixel gets a strip of the whole film", async () => {
  const text = await shown("sixel");

  const start = text.indexOf("\x1bP");
  const end = text.indexOf("\x1b\\", start);
  const image = decode(Buffer.from(text.slice(start, end + 2), "latin1"), { fillColor: 0 });
  expect(image.width).toBeGreaterThanOrEqual(6 * 24);
  expect(image.height).toBeGreaterThanOrEqual(18);
});

test("a terminal without pictures gets none", async () => {
  expect(await shown("none")).toBe("");
});

test("pictures are enlarged by whole numbers and shrunk to fit", () => {
  const picture = { width: 48, height: 48 };

  expect(characterCells(picture, { columns: 79, rows: 30 })).toEqual({ columns: 48, rows: 24 });
  expect(characterCells(picture, { columns: 200, rows: 60 })).toEqual({ columns: 96, rows: 48 });
  expect(characterCells(picture, { columns: 40, rows: 30 })).toEqual({ columns: 40, rows: 20 });
});
