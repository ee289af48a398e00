// A picture file made small for the file browser. Guarded like every other picture: size first, then decoding; what cannot be
// shown is null, since the form says what is wrong with a file that is chosen.

import { statSync } from "node:fs";
import type { Picture } from "./pictures/picture.ts";

const side = 192;
const bytesMax = 64 << 20;
const pixelsMax = 200_000_000;

export const thumbnailOf = async (path: string): Promise<Picture | null> => {
  const { default: sharp } = await import("sharp");
  try {
    const stat = statSync(path);
    if (!stat.isFile() || stat.size > bytesMax) return null;
    const { data, info } = await sharp(path, { limitInputPixels: pixelsMax, failOn: "error" })
      .autoOrient()
      .resize(side, side, { fit: "inside", withoutEnlargement: true })
      .toColourspace("srgb")
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) return null;
    return { width: info.width, height: info.height, rgb: new Uint8Array(data) };
  } catch {
    // Not there, not a picture, or a damaged one: the list shows its name without one.
    return null;
  }
};
