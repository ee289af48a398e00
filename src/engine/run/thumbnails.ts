// Small pictures of a section's frames for people who watch from afar.

import type { Picture } from "../picture.ts";
import { resize } from "../resize.ts";
import type { Frames } from "../sections/film.ts";

export type Pictures = Readonly<{ frames: number; height: number; width: number; rgb: string }>;

/** Small frames of a whole video: what a film strip and a loop can use. */
const filmThumbnails = 60;

/** How many a section gives, so that a long video's view stays as small as a short one's. */
export const thumbnailsPerSection = (sections: number): number =>
  Math.max(1, Math.min(6, Math.floor(filmThumbnails / sections)));

const sideMax = 96;

/** RGB bytes of n pictures of one size as an event carries them. */
export const pictures = (
  rgb: Uint8Array,
  size: Readonly<{ frames: number; height: number; width: number }>,
): Pictures => ({ ...size, rgb: rgb.toBase64() });

/**
 * A few frames spread over runs of frames in time order, no side longer than 96; null where there
 * are none.
 */
export const thumbnails = (
  runs: readonly Frames[],
  size: Readonly<{ height: number; width: number }>,
  count_max: number,
): Pictures | null => {
  const frames = runs.reduce((sum, run) => sum + run.count, 0);
  if (frames === 0) return null;
  const { height, width } = size;
  const count = Math.min(count_max, frames);
  const scale = Math.min(1, sideMax / Math.max(height, width));
  const small = {
    height: Math.max(1, Math.round(height * scale)),
    width: Math.max(1, Math.round(width * scale)),
  };
  const out = new Uint8Array(count * small.height * small.width * 3);
  for (let i = 0; i < count; i++) {
    const index = count === 1 ? 0 : Math.round((i * (frames - 1)) / (count - 1));
    const frame: Picture = { height, width, rgb: frameAt(runs, index, height * width * 3) };
    const part = scale === 1 ? frame : resize(frame, small, "bicubic");
    out.set(part.rgb, i * small.height * small.width * 3);
  }
  return pictures(out, { frames: count, ...small });
};

const frameAt = (runs: readonly Frames[], index: number, bytes: number): Uint8Array => {
  let at = index;
  for (const { rgb, count } of runs) {
    if (at < count) return rgb.subarray(at * bytes, (at + 1) * bytes);
    at -= count;
  }
  throw new RangeError(`there is no frame ${index}`);
};
