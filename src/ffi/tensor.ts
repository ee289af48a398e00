// A tensor: a handle that the library checks, with its dtype and dims. Views share memory.
// Dispose what you make, or make it inside a scope. Device addresses never reach JavaScript.

import { check, fp, KernelError, kernelError } from "./library.ts";
import { reshaped, rowMajor } from "./strides.ts";
import type { Dtype } from "./types.ts";

export const dtypeCodes: Readonly<Record<Dtype, number>> = {
  f32: 0,
  bf16: 1,
  f16: 2,
  i32: 3,
  u8: 4,
};

type Data = Float32Array | Int32Array | Uint8Array;
type Dims = readonly number[];

const rank_max = 6;
const dimsIn = new Uint32Array(rank_max);
const stridesIn = new Uint32Array(rank_max);
const handleOut = new Uint32Array(1);

export class Tensor implements Disposable {
  readonly handle: number;
  readonly dtype: Dtype;
  readonly dims: Dims;
  /** In elements. */
  readonly strides: Dims;
  #isFreed = false;

  private constructor(handle: number, dtype: Dtype, dims: Dims, strides: Dims) {
    this.handle = handle;
    this.dtype = dtype;
    this.dims = dims;
    this.strides = strides;
  }

  /** Uninitialised memory. */
  static empty(dims: Dims, dtype: Dtype): Tensor {
    writeDims("tensor_new", dimsIn, dims);
    const status = fp.fp_tensor_new(dtypeCodes[dtype], dims.length, dimsIn, handleOut);
    if (status !== 0) throw kernelError("tensor_new", status);
    return new Tensor(handleOut[0]!, dtype, dims, rowMajor(dims));
  }

  static zeros(dims: Dims, dtype: Dtype): Tensor {
    const made = Tensor.empty(dims, dtype);
    return made.#orFree("fill", fp.fp_fill(made.handle, 0));
  }

  /** Uploads; with another dtype, the values are cast on the way (f32 to bf16 or f16). */
  static from(data: Data, dims: Dims, dtype?: Dtype): Tensor {
    const own = data instanceof Float32Array ? "f32" : data instanceof Int32Array ? "i32" : "u8";
    if (data.length !== elements(dims)) {
      const text = `${data.length} values do not make [${dims.join(", ")}]`;
      throw new KernelError("upload", "bad_shape", text);
    }
    const made = Tensor.fromBytes(data, dims, own);
    if (dtype === undefined || dtype === own) return made;
    using uncast = made;
    return uncast.to(dtype);
  }

  /** Uploads the bytes of values that are stored in `dtype` already. */
  static fromBytes(data: Data, dims: Dims, dtype: Dtype): Tensor {
    const made = Tensor.empty(dims, dtype);
    return made.#orFree("upload", fp.fp_upload(made.handle, data, data.byteLength));
  }

  /** For src/ffi alone: a contiguous tensor that the library just made. */
  static adopt(handle: number, dtype: Dtype, dims: Dims): Tensor {
    return new Tensor(handle, dtype, dims, rowMajor(dims));
  }

  get count(): number {
    return elements(this.dims);
  }

  // ------------------------------------------------------------------------------------ views

  /** Slice of the first dimension. */
  rows(from: number, to: number): Tensor {
    return this.slice(0, from, to);
  }

  /** Slice of the last dimension. */
  cols(from: number, to: number): Tensor {
    return this.slice(this.dims.length - 1, from, to);
  }

  slice(axis: number, from: number, to: number): Tensor {
    const size = this.dims[axis];
    const isInside = size !== undefined && from >= 0 && from <= to && to <= size;
    if (!isInside || !Number.isInteger(from) || !Number.isInteger(to)) {
      throw this.#misfit("slice", `${from}..${to} of axis ${axis}`);
    }
    const dims = this.dims.with(axis, to - from);
    // Nothing has no place: its first element could lie outside.
    const first = dims.includes(0) ? 0 : from * this.strides[axis]!;
    return this.view(first, dims, this.strides);
  }

  /** Another shape on the same memory; a view whose memory does not allow it is an error. */
  reshape(dims: Dims): Tensor {
    const strides =
      elements(dims) === this.count ? reshaped(this.dims, this.strides, dims) : undefined;
    if (strides === undefined) throw this.#misfit("reshape", `[${dims.join(", ")}]`);
    return this.view(0, dims, strides);
  }

  /** Dimension i of the result is dimension order[i] of this. */
  permute(order: Dims): Tensor {
    const isWhole = order.length === this.dims.length && new Set(order).size === order.length;
    if (!isWhole || !order.every((axis) => axis in this.dims)) {
      throw this.#misfit("permute", `order [${order.join(", ")}]`);
    }
    const pick = (from: Dims): Dims => order.map((axis) => from[axis]!);
    return this.view(0, pick(this.dims), pick(this.strides));
  }

  /** Any window inside the parent's memory; offset and strides count elements. */
  view(offset: number, dims: Dims, strides: Dims): Tensor {
    if (!Number.isSafeInteger(offset) || offset < 0 || strides.length !== dims.length) {
      throw this.#misfit(
        "view",
        `[${dims.join(", ")}] with strides [${strides.join(", ")}] at ${offset}`,
      );
    }
    writeDims("tensor_view", dimsIn, dims);
    writeDims("tensor_view", stridesIn, strides);
    const status = fp.fp_tensor_view(
      this.handle,
      offset,
      dims.length,
      dimsIn,
      stridesIn,
      handleOut,
    );
    if (status !== 0) throw kernelError("tensor_view", status);
    return new Tensor(handleOut[0]!, this.dtype, dims, strides);
  }

  // ----------------------------------------------------------------------------------- copies

  /** A contiguous copy in another dtype, or in the same. */
  to(dtype: Dtype): Tensor {
    const made = Tensor.empty(this.dims, dtype);
    return made.#orFree("copy", fp.fp_copy(made.handle, this.handle));
  }

  contiguous(): Tensor {
    return this.to(this.dtype);
  }

  /** Downloads; bf16 and f16 are widened exactly. */
  f32(): Float32Array {
    return this.#download("f32", new Float32Array(this.count));
  }

  u8(): Uint8Array {
    return this.#download("u8", new Uint8Array(this.count));
  }

  i32(): Int32Array {
    return this.#download("i32", new Int32Array(this.count));
  }

  /** Downloads the values as they are stored, little-endian. */
  bytes(): Uint8Array {
    const size = this.dtype === "u8" ? 1 : this.dtype === "f32" || this.dtype === "i32" ? 4 : 2;
    return this.#download(this.dtype, new Uint8Array(this.count * size));
  }

  #download<T extends Data>(dtype: Dtype, into: T): T {
    if (this.dtype !== dtype || !isRowMajor(this.dims, this.strides)) {
      using plain = this.to(dtype);
      return plain.#download(dtype, into);
    }
    check("download", fp.fp_download(this.handle, into, into.byteLength));
    return into;
  }

  // --------------------------------------------------------------------------------- lifetime

  /** Survives the enclosing scope: moves one scope out. */
  keep(): this {
    check("scope_keep", fp.fp_scope_keep(this.handle));
    return this;
  }

  get isFreed(): boolean {
    return this.#isFreed;
  }

  /** Frees once; doing it again, or after a scope did it, is no error. */
  [Symbol.dispose](): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    const status = fp.fp_tensor_free(this.handle);
    if (status > 1) throw kernelError("tensor_free", status);
  }

  #orFree(op: string, status: number): this {
    if (status === 0) return this;
    const error = kernelError(op, status);
    this[Symbol.dispose]();
    throw error;
  }

  #misfit(op: string, what: string): KernelError {
    const text = `${what} does not fit ${this.dtype} [${this.dims.join(", ")}]`;
    return new KernelError(op, "bad_shape", text);
  }
}

const elements = (dims: Dims): number => dims.reduce((n, d) => n * d, 1);

const isRowMajor = (dims: Dims, strides: Dims): boolean => {
  const plain = rowMajor(dims);
  return dims.every((d, i) => d === 1 || strides[i] === plain[i]);
};

/** bun:ffi and typed arrays would wrap what is no u32, so that is refused here. */
const writeDims = (op: string, to: Uint32Array, dims: Dims): void => {
  for (let i = 0; i < dims.length; i++) {
    const d = dims[i]!;
    if (d >>> 0 !== d) throw new KernelError(op, "bad_shape", `[${dims.join(", ")}] is no shape`);
    to[i] = d;
  }
};
