// Picture in: any pixel format becomes upright 8-bit sRGB, height × width × 3. Sizes are taken from
// the header and checked before a pixel is decoded. Cropping and resizing happen elsewhere.

import sharp from "sharp";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { type PictureFormat, readPictureFile } from "./picture-file.ts";

export const pictureSideMax = 16_384;
export const picturePixelsMax = 200_000_000;
/** Beyond this the crop would keep next to nothing and the resize would be enormous. */
export const pictureAspectMax = 20;

export type Picture = Readonly<{
  path: string;
  format: PictureFormat;
  height: number;
  width: number;
  /** height × width × 3, row by row. */
  rgb: Uint8Array;
}>;

/** Limits are a parameter so that tests can meet them with small files. */
export type PictureLimits = Readonly<{ side: number; pixels: number; aspect: number }>;

export const pictureLimits: PictureLimits = {
  side: pictureSideMax,
  pixels: picturePixelsMax,
  aspect: pictureAspectMax,
};

/** Reads, checks and decodes the picture at `path`; every refusal is a Failure with code 5. */
export const readPicture = async (
  path: string,
  limits: PictureLimits = pictureLimits,
): Promise<Picture> => {
  const { bytes, format } = await readPictureFile(path);
  const header = await readHeader(bytes, path);
  refuseBeyond(limits, header, path);
  try {
    const { data, info } = await decode(bytes, header, limits);
    return {
      path,
      format,
      height: info.height,
      width: info.width,
      rgb: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    };
  } catch (error) {
    throw damaged(error, path);
  }
};

/**
 * The size of the picture at `path` as it will be decoded, from its header; checked like the whole.
 */
export const measurePicture = async (
  path: string,
  limits: PictureLimits = pictureLimits,
): Promise<Readonly<{ height: number; width: number }>> => {
  const { bytes } = await readPictureFile(path);
  const header = await readHeader(bytes, path);
  refuseBeyond(limits, header, path);
  return header.upright;
};

/** What is worth knowing before hours are spent: tiny pictures, and much cut away by the crop. */
export const pictureWarnings = (
  picture: Readonly<{ height: number; width: number }>,
  bucket: Readonly<{ height: number; width: number }>,
): readonly string[] => {
  const scale = Math.max(bucket.width / picture.width, bucket.height / picture.height);
  const kept = (bucket.width * bucket.height) / (picture.width * scale * (picture.height * scale));
  const size = `${picture.width}×${picture.height}`;
  const warnings: string[] = [];
  if (scale > 3) {
    const times = scale < 10 ? scale.toFixed(1) : Math.round(scale).toString();
    warnings.push(
      `The picture is only ${size} pixels and is enlarged ${times} times; expect a blurred video.`,
    );
  }
  if (kept < 0.6) {
    warnings.push(
      `The picture is ${size} pixels; the crop to ${bucket.width}×${bucket.height} keeps the middle ` +
        `${Math.max(1, Math.round(kept * 100))} % of it.`,
    );
  }
  return warnings;
};

type Header = Readonly<{
  height: number;
  width: number;
  upright: Readonly<{ height: number; width: number }>;
  icc: Buffer | undefined;
}>;

const readHeader = async (bytes: Buffer, path: string): Promise<Header> => {
  try {
    // No limit here: the header alone is read, and refuseBeyond gives the better sentence.
    const header = await sharp(bytes, { limitInputPixels: false }).metadata();
    return { ...header, upright: header.autoOrient, icc: header.icc };
  } catch (error) {
    throw damaged(error, path);
  }
};

const refuseBeyond = (limits: PictureLimits, header: Header, path: string): void => {
  const { width, height } = header;
  const size = `The picture ${quoted(path)} is ${width}×${height} pixels`;
  if (width > limits.side || height > limits.side || width * height > limits.pixels) {
    const mega = Math.floor(limits.pixels / 1e6);
    throw new Failure(
      "input.picture-huge",
      `${size}; at most ${limits.side} a side and ${mega} million in all are decoded.`,
      { hint: "Scale it down first; a video needs about 640×640." },
    );
  }
  const aspect = Math.max(width / height, height / width);
  if (aspect > limits.aspect) {
    throw new Failure(
      "input.picture-narrow",
      `${size}, a strip ${Math.round(aspect)} times as long as wide; at most ${limits.aspect} works.`,
      { hint: "Crop it to the part that should move." },
    );
  }
};

const decode = (bytes: Buffer, header: Header, limits: PictureLimits) =>
  sharp(bytes, {
    limitInputPixels: limits.pixels,
    failOn: "error",
    sequentialRead: true,
    // Converting sRGB to sRGB through its own profile would only add rounding errors.
    ignoreIcc: isSrgb(header.icc),
  })
    .autoOrient()
    .toColourspace("srgb")
    .removeAlpha()
    .timeout({ seconds: 120 })
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });

/** Whether an ICC profile's description names sRGB (text in 8 or 16 bits a character). */
const isSrgb = (icc: Buffer | undefined): boolean => {
  if (icc === undefined) return false;
  const text = icc.toString("latin1").replaceAll("\0", "");
  return text.includes("sRGB") && text.includes("RGB XYZ");
};

const damaged = (error: unknown, path: string): Failure => {
  const detail = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  const reason = detail === "" ? "" : ` (${detail.trim().replace(/[.;:\s]+$/, "")})`;
  return new Failure(
    "input.picture-damaged",
    `The picture ${quoted(path)} is damaged or cut short${reason}.`,
    { cause: error, hint: "Open it in a viewer and save it again." },
  );
};
