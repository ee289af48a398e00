// The bytes of one file, several ranges at once, written in order: the unfinished file is at all
// times a beginning of the whole one, so that any tool can go on with it after any kind of end.

import type { FileHandle } from "node:fs/promises";
import type { ContentHash } from "./content-hash.ts";
import { Range, Source } from "./range.ts";
import type { Line, RemoteFile } from "./remote-file.ts";

/** What is asked for at once, and how many ranges: their product is the most that is lost by a kill. */
const range_bytes = 4 << 20;
const ranges_max = 4;

export type Transfer = Readonly<{
  line: Line;
  file: RemoteFile;
  handle: FileHandle;
  /** Bytes that are there already, and are in the hash. */
  from: number;
  hash: ContentHash;
  onBytes: (bytes: number) => void;
}>;

export const transfer = async ({ file, handle, hash, ...job }: Transfer): Promise<void> => {
  const stop = new AbortController();
  const line = { ...job.line, signal: AbortSignal.any([job.line.signal, stop.signal]) };
  const source = new Source(line, file);
  const ranges: Range[] = [];
  let asked = job.from;
  let written = job.from;
  try {
    while (written < file.bytes) {
      while (ranges.length < ranges_max && asked < file.bytes) {
        const to = Math.min(asked + range_bytes, file.bytes);
        ranges.push(new Range(line, source, { from: asked, to }, job.onBytes));
        asked = to;
      }
      const parts = (await ranges[0]?.take()) ?? [];
      if (parts.length === 0) {
        ranges.shift();
        continue;
      }
      const writing = write(handle, parts, written);
      for (const part of parts) hash.add(part);
      written += await writing;
    }
  } finally {
    stop.abort(new Error("the transfer is over"));
    await Promise.allSettled(ranges.map(({ done }) => done));
  }
};

const write = async (
  handle: FileHandle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<number> => {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const { bytesWritten } = await handle.writev(parts, position);
  let done = bytesWritten;
  // A short write, as on a disk that fills up: the rest alone tells why.
  const rest = done < total ? Buffer.concat(parts).subarray(done) : undefined;
  for (let at = 0; rest !== undefined && at < rest.length; ) {
    const step = await handle.write(rest, at, rest.length - at, position + done);
    at += step.bytesWritten;
    done += step.bytesWritten;
  }
  return total;
};
