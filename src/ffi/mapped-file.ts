// Files mapped read-only into memory, and tensors that lie in them. On a backend whose device is the
// host a tensor is the file itself; on another it is a source for `copy`.

import { check, count, fp, KernelError } from "./library.ts";
import { dtypeCodes, Tensor } from "./tensor.ts";
import type { Dtype } from "./types.ts";

const idOut = new Uint32Array(1);
const sizeOut = new BigUint64Array(1);
const dimsIn = new Uint32Array(6);
const encoder = new TextEncoder();

/** Closing ends the mapping's name, not the tensors made from it. */
export class MappedFile implements Disposable {
  readonly bytes: number;
  readonly #id: number;
  #isOpen = true;

  constructor(path: string) {
    const name = encoder.encode(path);
    check("file_map", fp.fp_file_map(name, name.byteLength, idOut, sizeOut));
    this.#id = idOut[0]!;
    this.bytes = Number(sizeOut[0]);
  }

  /** `offset` counts bytes from the start of the file. */
  tensor(offset: number, dtype: Dtype, dims: readonly number[]): Tensor {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new KernelError("tensor_from_file", "bad_argument", `no byte ${offset} in a file`);
    }
    for (const [i, d] of dims.entries()) dimsIn[i] = count("a dimension", d);
    const status = fp.fp_tensor_from_file(
      this.#id,
      offset,
      dtypeCodes[dtype],
      dims.length,
      dimsIn,
      idOut,
    );
    check("tensor_from_file", status);
    return Tensor.adopt(idOut[0]!, dtype, dims);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    check("file_unmap", fp.fp_file_unmap(this.#id));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What a reader of weight files needs of the library. */
export const tensorMapper = {
  map: (path: string): MappedFile => new MappedFile(path),
  copy: (data: Uint8Array, dtype: Dtype, dims: readonly number[]): Tensor =>
    Tensor.fromBytes(data, dims, dtype),
} as const;
