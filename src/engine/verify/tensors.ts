// Tensors of a reference file as JavaScript arrays: inputs to run on and outputs to compare with.

import { closeSync, openSync, readSync } from "node:fs";
import { Tensor } from "../../ffi/tensor.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { type FileDtype, readSafetensors, type TensorEntry } from "../weights/safetensors.ts";

/** Values widened to float32, or kept as whole numbers. */
export interface Reference {
  readonly dims: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

const bytes_max = 4_000_000_000;

/** The tensors of one file, read when asked for. */
export class ReferenceFile {
  readonly path: string;
  readonly #entries: ReadonlyMap<string, TensorEntry>;

  constructor(path: string) {
    this.path = path;
    this.#entries = readSafetensors(path).tensors;
  }

  names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  find(name: string): Reference | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    return { dims: entry.dims, data: decode(this.path, entry) };
  }

  get(name: string): Reference {
    const found = this.find(name);
    if (found !== undefined) return found;
    throw new Failure("input.case", `${quoted(this.path, 300)} has no tensor ${quoted(name)}.`);
  }

  floats(name: string): Float32Array {
    const { data } = this.get(name);
    return data instanceof Float32Array ? data : Float32Array.from(data);
  }

  numbers(name: string): readonly number[] {
    return [...this.get(name).data];
  }

  /** The tensor on the device, without the leading batch dimension of 1. */
  tensor(name: string): Tensor {
    const { dims, data } = this.get(name);
    return Tensor.from(data, withoutBatch(dims));
  }
}

export const withoutBatch = (dims: readonly number[]): readonly number[] =>
  dims.length > 1 && dims[0] === 1 ? dims.slice(1) : dims;

const decode = (path: string, entry: TensorEntry): Reference["data"] => {
  if (entry.bytes > bytes_max)
    throw new Failure("input.case", `${quoted(path, 300)} is too large.`);
  const bytes = readAll(path, entry);
  const { buffer } = bytes;
  const read = readers[entry.stored];
  if (read !== undefined) return read(buffer);
  throw new Failure("input.case", `${quoted(path, 300)} holds ${entry.stored}, which is not read.`);
};

const readers: Readonly<Partial<Record<FileDtype, (buffer: ArrayBuffer) => Reference["data"]>>> = {
  F32: (buffer) => new Float32Array(buffer),
  F64: (buffer) => Float32Array.from(new Float64Array(buffer)),
  F16: (buffer) => Float32Array.from(new Float16Array(buffer)),
  BF16: (buffer) => widenBf16(new Uint16Array(buffer)),
  I32: (buffer) => new Int32Array(buffer),
  I64: (buffer) => Int32Array.from(new BigInt64Array(buffer), Number),
  U8: (buffer) => new Uint8Array(buffer),
  BOOL: (buffer) => new Uint8Array(buffer),
};

const widenBf16 = (halves: Uint16Array): Float32Array =>
  new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer);

const readAll = (path: string, entry: TensorEntry): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(new ArrayBuffer(entry.bytes));
  const fd = openSync(path, "r");
  try {
    let done = 0;
    while (done < bytes.length) {
      const got = readSync(fd, bytes, done, bytes.length - done, entry.from + done);
      if (got === 0) throw new Failure("input.case", `${quoted(path, 300)} is cut short.`);
      done += got;
    }
  } finally {
    closeSync(fd);
  }
  return bytes;
};
