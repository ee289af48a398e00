// Frames out of a finished video, for showing them. Small films only: everything is kept in memory.

import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { lastLine } from "./ffmpeg.ts";
import { scaleFlags } from "./x264.ts";

export type Frames = Readonly<{ width: number; height: number; frames: readonly Uint8Array[] }>;

/** Every `every`-th frame as RGB. The size is the caller's knowledge: it made the film. */
export const readFrames = async (
  ffmpeg: string,
  path: string,
  size: Readonly<{ width: number; height: number }>,
  every = 1,
): Promise<Frames> => {
  const kept = `select='not(mod(n\\,${every}))'`;
  const filter = `${kept},scale=out_range=full:flags=${scaleFlags}`;
  const head = [ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-i", `file:${path}`];
  const tail = ["-vf", filter, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24"];
  const child = Bun.spawn([...head, ...tail, "-"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [bytes, stderr, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const each = size.width * size.height * 3;
  if (code !== 0 || bytes.length === 0 || bytes.length % each !== 0) {
    const why = lastLine(stderr);
    throw new Failure(
      "output.unreadable",
      `The video ${quoted(path)} cannot be read back${why === "" ? "" : `: ${why}`}.`,
    );
  }
  const frames = Array.from({ length: bytes.length / each }, (_, i) =>
    bytes.subarray(i * each, (i + 1) * each),
  );
  return { ...size, frames };
};
