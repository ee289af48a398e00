// Synthetic films for the video tests, and ffmpeg as the judge of what was written.

import { join } from "node:path";
import { findFfmpeg } from "../../../src/engine/media/ffmpeg.ts";

export const ffmpeg = (await findFfmpeg()).path;

/**
 * Frames `from` to `to` of a film in which every frame differs: a square runs over a changing
 * ground.
 */
export const frames = (from: number, to: number, width = 48, height = 32): Uint8Array => {
  const out = new Uint8Array((to - from) * height * width * 3);
  for (let t = from; t < to; t++) {
    const left = (t * 3) % (width - 8);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const inside = x >= left && x < left + 8 && y >= 8 && y < 16;
        const at = (((t - from) * height + y) * width + x) * 3;
        out[at] = inside ? 230 : 20 + t;
        out[at + 1] = inside ? 220 : 60 + y;
        out[at + 2] = inside ? 30 : 60 + x;
      }
    }
  }
  return out;
};

/** Every frame of a video file, decoded to RGB through its own colour tags. */
export const decode = async (path: string): Promise<Uint8Array> => {
  const filter = "scale=out_range=full:flags=bicubic+accurate_rnd+full_chroma_int";
  const args = ["-i", path, "-vf", filter, "-fps_mode", "passthrough"];
  return (await output([...args, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])).bytes;
};

/** The luma samples as they are stored. */
export const lumaOf = async (path: string): Promise<Uint8Array> =>
  (await output(["-i", path, "-vf", "extractplanes=y", "-f", "rawvideo", "-"])).bytes;

/** One line a frame: time in ticks of `timebase`, duration, size, MD5 of the decoded picture. */
export const frameTable = async (path: string) => {
  const args = ["-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
  const text = new TextDecoder().decode((await output(args)).bytes);
  const timebase = /#tb 0: (\S+)/.exec(text)?.[1] ?? "";
  const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const cells = rows.map((line) => line.split(",").map((cell) => cell.trim()));
  return {
    timebase,
    times: cells.map((row) => Number(row[2])),
    hashes: cells.map((row) => row[5] ?? ""),
  };
};

/** What ffmpeg says of a file's streams. */
export const describe = async (path: string): Promise<string> =>
  (await output(["-i", path, "-f", "null", "-"], "info")).stderr;

const output = async (args: readonly string[], level = "error") => {
  const head = ["-nostdin", "-hide_banner", "-loglevel", level];
  const child = Bun.spawn([ffmpeg, ...head, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [bytes, stderr, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`ffmpeg: ${stderr}`);
  return { bytes, stderr };
};

/** PSNR in dB of each frame of `a` against the same frame of `b`. */
export const psnr = (a: Uint8Array, b: Uint8Array, frameBytes: number): readonly number[] => {
  if (a.length !== b.length) throw new Error(`${a.length} bytes against ${b.length}`);
  return Array.from({ length: a.length / frameBytes }, (_, t) => {
    let sum = 0;
    for (let i = t * frameBytes; i < (t + 1) * frameBytes; i++) {
      sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
    }
    return 10 * Math.log10(255 ** 2 / Math.max(sum / frameBytes, 1e-9));
  });
};

/** A program in place of ffmpeg: runs `script` with ffmpeg's path in $FFMPEG. */
export const fakeFfmpeg = async (folder: string, script: string): Promise<string> => {
  const path = join(folder, "ffmpeg");
  await Bun.write(path, `#!/bin/sh\nFFMPEG='${ffmpeg}'\n${script}\n`);
  await Bun.$`chmod +x ${path}`.quiet();
  return path;
};
