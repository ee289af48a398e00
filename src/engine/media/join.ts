// Segments into one playable file, without encoding anything again. The file takes its place in one
// step, so that whoever plays it meets the old film or the new one, never half of one.

import { rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encoderFailure, runFfmpeg } from "./ffmpeg.ts";
import { metadataText } from "./metadata.ts";

export type Segment = Readonly<{ file: string; frames: number }>;

export type JoinOptions = Readonly<{
  ffmpeg: string;
  /** Where the segments lie; lists and metadata are written beside them. */
  folder: string;
  fps: number;
  /** Written into the file; keys as ffmpeg knows them. */
  metadata: Readonly<Record<string, string>>;
  signal: AbortSignal;
}>;

/**
 * Writes the film made of `segments`, in that order, to `path`, replacing what was there. Gives its
 * size.
 */
export const joinSegments = async (
  segments: readonly Segment[],
  path: string,
  { ffmpeg, folder, fps, metadata, signal }: JoinOptions,
): Promise<number> => {
  const list = join(folder, "film.ffconcat");
  const tags = join(folder, "film.ffmetadata");
  const unfinished = `${path}.incomplete`;
  await writeFile(list, concatList(segments, fps));
  await writeFile(tags, metadataText(metadata));
  try {
    const result = await runFfmpeg(
      ffmpeg,
      [
        ...["-y", "-f", "concat", "-safe", "1", "-i", list, "-f", "ffmetadata", "-i", tags],
        ...["-map", "0:v:0", "-map_metadata", "1", "-c", "copy", "-fflags", "+bitexact"],
        // A multiple of the frame rate, so that every frame's time stays exact.
        ...["-video_track_timescale", String(fps * 512)],
        ...["-movflags", "+faststart+use_metadata_tags", "-f", "mp4", unfinished],
      ],
      { signal },
    );
    signal.throwIfAborted();
    if (result.code !== 0) throw encoderFailure(result, path);
    await rename(unfinished, path);
    return (await stat(path)).size;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
};

/** Durations are said outright: what a container claims for a segment may be off by a rounding. */
const concatList = (segments: readonly Segment[], fps: number): string =>
  [
    "ffconcat version 1.0",
    ...segments.flatMap(({ file, frames }) => [
      `file ${file}`,
      `duration ${(frames / fps).toFixed(6)}`,
    ]),
    "",
  ].join("\n");
