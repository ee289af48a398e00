// One run of frames as one mp4 file with closed GOPs, encoded by an ffmpeg that is fed through its
// standard input no faster than it reads. The file appears under its name when it is whole.

import { rename, rm } from "node:fs/promises";
import { encoderFailure, type FfmpegResult, spawnFfmpeg, tailOf } from "./ffmpeg.ts";
import { colourArgs, encodeArgs, rawInputArgs } from "./x264.ts";

export type SegmentOptions = Readonly<{
  ffmpeg: string;
  width: number;
  height: number;
  fps: number;
  crf: number;
  signal: AbortSignal;
}>;

/** Bytes handed to the pipe at a time; what the encoder has not read yet stays ours. */
const chunkBytes = 1024 * 1024;

/**
 * Encodes `frames` (RGB u8, one after another) into `path`. Rejects with a Failure, or with the
 * abort's reason.
 */
export const encodeSegment = async (
  frames: Uint8Array,
  path: string,
  { ffmpeg, crf, signal, ...size }: SegmentOptions,
): Promise<void> => {
  signal.throwIfAborted();
  const unfinished = `${path}.incomplete`;
  const args = ["-y", ...rawInputArgs(size), ...colourArgs];
  const child = spawnFfmpeg(ffmpeg, [...args, ...encodeArgs({ ...size, crf }), unfinished], "pipe");
  const stop = () => child.kill("SIGKILL");
  signal.addEventListener("abort", stop);
  try {
    const ended: Promise<FfmpegResult> = Promise.all([tailOf(child.stderr), child.exited]).then(
      ([stderr, code]) => ({ stderr, code }),
    );
    // Why the pipe broke is told better by the encoder's own words, so its end decides.
    const fed = await feed(child.stdin, frames, child.exited);
    const result = await ended;
    signal.throwIfAborted();
    if (result.code !== 0 || !fed) throw encoderFailure(result, path);
    await rename(unfinished, path);
  } catch (error) {
    stop();
    await child.exited;
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
};

type Pipe = Readonly<{
  write(chunk: Uint8Array): number | Promise<number>;
  flush(): number | Promise<number>;
  end(): number | Promise<number>;
}>;

/** Whether all of it was taken; false when the reader went away before the end. */
const feed = async (
  pipe: Pipe,
  frames: Uint8Array,
  readerGone: Promise<number>,
): Promise<boolean> => {
  const gone = readerGone.then(() => "gone" as const);
  try {
    for (let at = 0; at < frames.length; at += chunkBytes) {
      const sent = Promise.resolve(pipe.write(frames.subarray(at, at + chunkBytes)))
        .then(() => pipe.flush())
        .then(() => "sent" as const);
      if ((await Promise.race([sent, gone])) === "gone") {
        sent.catch(() => undefined); // A broken pipe; the encoder's end has been seen already.
        return false;
      }
    }
    await pipe.end();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") return false;
    throw error;
  }
};
