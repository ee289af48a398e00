// Every final frame as a PNG, named by its place in the finished film (00000.png is the first).
// In the inverted order the last frames come first; their numbers are known from the plan.

import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { makeFolder, outputFailure } from "./output-name.ts";

export const frameName = (index: number): string => `${String(index).padStart(5, "0")}.png`;

/**
 * Makes the folder, which must not hold frames of another film. `again` accepts those of an earlier
 * run.
 */
export const takeFrameFolder = async (folder: string, again: boolean): Promise<void> => {
  await makeFolder(folder);
  try {
    if (!again && (await readdir(folder)).some((name) => /^\d{5,}\.png$/.test(name))) {
      throw new Failure("output.exists", `The folder ${quoted(folder)} holds frames already.`, {
        hint: "Give another one with --frames.",
      });
    }
    const trial = join(folder, ".framepack-trial");
    await writeFile(trial, "");
    await rm(trial);
  } catch (error) {
    throw outputFailure(error, folder);
  }
};

/** Writes `frames` as the film's frames `first`, `first` + 1, … */
export const writeFrameFiles = async (
  frames: Uint8Array,
  size: Readonly<{ width: number; height: number }>,
  folder: string,
  first: number,
  signal: AbortSignal,
): Promise<void> => {
  const { width, height } = size;
  const bytes = width * height * 3;
  for (let i = 0; i * bytes < frames.length; i++) {
    signal.throwIfAborted();
    const path = join(folder, frameName(first + i));
    const pixels = frames.subarray(i * bytes, (i + 1) * bytes);
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    try {
      await writeFile(`${path}.incomplete`, png);
      await rename(`${path}.incomplete`, path);
    } catch (error) {
      throw outputFailure(error, path);
    }
  }
};
