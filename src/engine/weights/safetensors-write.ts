// Writes safetensors files: checkpoints, captured tensors, test data. Never leaves half a file:
// the bytes go to a temporary name beside the target, which is renamed when everything is on disk.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import type { FileDtype } from "./safetensors.ts";

export type TensorBytes = Readonly<{
  stored: FileDtype;
  dims: readonly number[];
  data: Uint8Array;
}>;

/** Float32, int32 or uint8 values as something to write. */
export const tensorBytes = (
  data: Float32Array | Int32Array | Uint8Array,
  dims: readonly number[],
): TensorBytes => {
  const stored =
    data instanceof Float32Array ? "F32" : data instanceof Int32Array ? "I32" : ("U8" as const);
  return { stored, dims, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
};

/** Tensors are laid out with the widest elements first, so that every one is aligned. */
export const writeSafetensors = (
  path: string,
  tensors: Readonly<Record<string, TensorBytes>>,
  metadata: Readonly<Record<string, string>> = {},
): void => {
  const ordered = Object.entries(tensors).sort(
    ([a, x], [b, y]) => width(y) - width(x) || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const [name, { stored, dims, data }] of ordered) {
    const end = offset + data.byteLength;
    header[name] = { dtype: stored, shape: dims, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20, 8);
  padded.set(text, 8);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  writeWhole(path, [padded, ...ordered.map(([, tensor]) => tensor.data)]);
};

const width = ({ dims, data }: TensorBytes): number => {
  const count = dims.reduce((all, dim) => all * dim, 1);
  return count === 0 ? 0 : data.byteLength / count;
};

const writeWhole = (path: string, parts: readonly Uint8Array[]): void => {
  const temporary = `${path}.${process.pid}.incomplete`;
  try {
    const fd = openSync(temporary, "wx");
    try {
      for (const part of parts) writeAll(fd, part);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Failure("output.write", `${quoted(path, 300)} cannot be written.`, { cause: error });
  }
};

const writeAll = (fd: number, part: Uint8Array): void => {
  let done = 0;
  while (done < part.length) done += writeSync(fd, part, done, part.length - done);
};
