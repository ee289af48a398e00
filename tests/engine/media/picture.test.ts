// Pictures of every kind become the same upright RGB; everything else is one sentence with code 5.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { Failure } from "../../../src/engine/failure.ts";
import { measurePicture, pictureWarnings, readPicture } from "../../../src/engine/media/picture.ts";

const pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 40, 50, 60, 70, 80, 90];
const source = (): Sharp =>
  sharp(Buffer.from(pixels), { raw: { width: 3, height: 2, channels: 3 } });

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "framepack-picture-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const saved = async (name: string, picture: Sharp): Promise<string> => {
  const path = join(folder, name);
  await picture.toFile(path);
  return path;
};

const written = async (name: string, bytes: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await Bun.write(path, bytes);
  return path;
};

const refusal = async (path: string): Promise<Failure> => {
  const error = await readPicture(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error(`expected a Failure, got ${String(error)}`);
  expect(error.code).toBe(5);
  expect(error.message).toMatch(/^[^\n]+[.]$/);
  return error;
};

const exact: readonly (readonly [string, (picture: Sharp) => Sharp])[] = [
  ["a.png", (picture) => picture.png()],
  ["palette.png", (picture) => picture.png({ palette: true })],
  ["interlaced.png", (picture) => picture.png({ progressive: true })],
  ["16bit.png", (picture) => picture.toColourspace("rgb16").png()],
  ["16bit.tiff", (picture) => picture.toColourspace("rgb16").tiff({ compression: "lzw" })],
  ["a.tiff", (picture) => picture.tiff({ compression: "deflate" })],
  ["a.webp", (picture) => picture.webp({ lossless: true })],
  ["a.gif", (picture) => picture.gif()],
  ["a.avif", (picture) => picture.avif({ lossless: true })],
  ["srgb.png", (picture) => picture.withIccProfile("srgb").png()],
];

test.each(exact)("%s is read to the exact pixels", async (name, save) => {
  const picture = await readPicture(await saved(name, save(source())));

  expect(picture).toMatchObject({ width: 3, height: 2 });
  expect([...picture.rgb]).toEqual(pixels);
});

test("alpha is dropped, not blended", async () => {
  const picture = await readPicture(await saved("alpha.png", source().ensureAlpha(0.1).png()));

  expect([...picture.rgb]).toEqual(pixels);
});

test("the EXIF orientation is applied, to pixels and to the measured size", async () => {
  const path = await saved("turned.png", source().withMetadata({ orientation: 6 }).png());

  const picture = await readPicture(path);

  expect(picture).toMatchObject({ width: 2, height: 3 });
  expect([...picture.rgb.subarray(0, 6)]).toEqual([10, 20, 30, 255, 0, 0]);
  expect(await measurePicture(path)).toEqual({ width: 2, height: 3 });
});

test("grey, with or without alpha and in 16 bits, becomes three equal channels", async () => {
  const grey = sharp(Buffer.from([0, 100, 255]), { raw: { width: 3, height: 1, channels: 1 } });
  const kinds = [
    await saved("grey.png", grey.clone().toColourspace("b-w").png()),
    await saved("grey16.png", grey.clone().toColourspace("grey16").png()),
    await saved("grey-alpha.png", grey.clone().ensureAlpha(0.5).toColourspace("b-w").png()),
  ];

  for (const path of kinds) {
    expect([...(await readPicture(path)).rgb]).toEqual([0, 0, 0, 100, 100, 100, 255, 255, 255]);
  }
});

test("CMYK becomes RGB of nearly the same colour", async () => {
  const brown = sharp({ create: { width: 16, height: 16, channels: 3, background: "#785a3c" } });
  const path = await saved("cmyk.jpg", brown.toColourspace("cmyk").jpeg({ quality: 100 }));

  const { rgb } = await readPicture(path);

  expect(rgb.length).toBe(16 * 16 * 3);
  expect([0x78, 0x5a, 0x3c].every((value, i) => Math.abs(value - (rgb[i] ?? 0)) <= 20)).toBeTrue();
});

test("a wider colour space is converted by its profile", async () => {
  const path = await saved("p3.png", source().withIccProfile("p3").png());

  const { rgb } = await readPicture(path);

  expect(Math.max(...pixels.map((value, i) => Math.abs(value - (rgb[i] ?? 0))))).toBeLessThan(6);
});

test("an animation gives its first frame", async () => {
  const two = Buffer.concat([Buffer.from(pixels), Buffer.alloc(18)]);
  const film = sharp(two, { raw: { width: 3, height: 4, channels: 3, pageHeight: 2 } });
  const picture = await readPicture(await saved("film.gif", film.gif()));

  expect(picture).toMatchObject({ width: 3, height: 2 });
  expect([...picture.rgb]).toEqual(pixels);
});

test("a picture of one pixel is taken, with a warning for its bucket", async () => {
  const one = sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } });
  const picture = await readPicture(await saved("one.png", one.png()));

  expect([...picture.rgb]).toEqual([255, 0, 0]);
  expect(pictureWarnings(picture, { height: 640, width: 608 })).toEqual([
    "The picture is only 1×1 pixels and is enlarged 640 times; expect a blurred video.",
  ]);
});

test("a crop that loses much of the picture is said, one that loses little is not", () => {
  const bucket = { height: 416, width: 960 };

  expect(pictureWarnings({ height: 1000, width: 10_000 }, bucket)).toEqual([
    "The picture is 10000×1000 pixels; the crop to 960×416 keeps the middle 23 % of it.",
  ]);
  expect(pictureWarnings({ height: 720, width: 1280 }, { height: 480, width: 832 })).toEqual([]);
});

/** A PNG that claims a size and holds nearly nothing. */
const bomb = (width: number, height: number): Uint8Array => {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(Bun.hash.crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc(1024));
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    magic,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", data.subarray(0, 0)),
  ]);
};

test("a header of 30,000 × 30,000 is refused before anything is decoded", async () => {
  const failure = await refusal(await written("bomb.png", bomb(30_000, 30_000)));

  expect(failure.id).toBe("input.picture-huge");
  expect(failure.message).toContain("is 30000×30000 pixels; at most 16384 a side and 200 million");
});

test("too many pixels with short sides are refused too", async () => {
  expect((await refusal(await written("wide.png", bomb(16_000, 16_000)))).id).toBe(
    "input.picture-huge",
  );
});

test("a strip that no crop can use is refused", async () => {
  expect((await refusal(await written("strip.png", bomb(10_000, 1)))).message).toContain(
    "a strip 10000 times as long as wide",
  );
});

test("a picture that is cut short is refused as damaged", async () => {
  const noise = crypto.getRandomValues(new Uint8Array(64 * 64 * 3));
  const whole = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
  for (const [name, bytes] of [
    ["cut.jpg", await whole.clone().jpeg().toBuffer()],
    ["cut.png", await whole.clone().png().toBuffer()],
    ["cut.webp", await whole.clone().webp().toBuffer()],
  ] as const) {
    const path = await written(name, bytes.subarray(0, bytes.length * 0.6));
    expect((await refusal(path)).id).toBe("input.picture-damaged");
  }
});

test("a bomb that passes the header but holds too little is damaged", async () => {
  expect((await refusal(await written("hollow.png", bomb(8000, 8000)))).id).toBe(
    "input.picture-damaged",
  );
});

const refused: readonly (readonly [string, string | Uint8Array, string, string])[] = [
  ["text.png", "hello, I am no picture", "input.not-a-picture", "is not a picture"],
  ["drawing.png", '<svg xmlns="http://www.w3.org/2000/svg"/>', "input.not-a-picture", "SVG"],
  ["doc.jpg", "%PDF-1.7\n", "input.not-a-picture", "is a document"],
  ["clip.mp4", "\0\0\0\x18ftypisom\0\0\0\0isomavc1", "input.not-a-picture", "is a video"],
  ["phone.heic", "\0\0\0\x18ftypheic\0\0\0\0mif1heic", "input.not-a-picture", "HEIC"],
  ["empty.png", "", "input.picture-empty", "is an empty file"],
];

test.each(refused)("%s is refused by its content", async (name, bytes, id, words) => {
  const failure = await refusal(await written(name, bytes));

  expect(failure.id).toBe(id as Failure["id"]);
  expect(failure.message).toContain(words);
});

test("what is no file is refused without being opened", async () => {
  await Bun.$`mkfifo ${join(folder, "pipe")}`.quiet();

  expect((await refusal(folder)).message).toContain("is a folder");
  expect((await refusal(join(folder, "pipe"))).message).toContain("is a pipe");
  expect((await refusal("/dev/zero")).message).toContain("is a device");
  expect((await refusal("")).id).toBe("input.no-picture");
  expect((await refusal(join(folder, "absent.png"))).id).toBe("input.picture-missing");
  expect((await refusal("a\0b")).id).toBe("input.picture-unreadable");
});

test("a file without permission is refused as such", async () => {
  const path = await saved("secret.png", source().png());
  await chmod(path, 0);
  // The superuser may read everything; then there is nothing to refuse.
  if (process.getuid?.() === 0) {
    expect((await readPicture(path)).width).toBe(3);
    return;
  }

  expect((await refusal(path)).id).toBe("input.picture-forbidden");
});
