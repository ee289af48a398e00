// Random tensors and weights that are made where the work is done: one block of normal numbers goes
// to the device, and every tensor is filled with copies of it. Full-size networks then need no file.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { Weights } from "../models/lender.ts";
import { NoiseGenerator } from "../sampling/noise.ts";

const bytesOf: Readonly<Record<FloatDtype, number>> = { f32: 4, bf16: 2, f16: 2 };
export const bytesEach = (dtype: FloatDtype): number => bytesOf[dtype];

export const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1);

/** Seeded: the same calls give the same numbers. What is made belongs to the caller. */
export class RandomTensors implements Disposable {
  readonly #numbers: Float32Array;
  readonly #blocks = new Map<string, Tensor>();

  /**
   * `length`: distinct numbers. A block should not be a multiple of a row's length, or rows would
   * repeat.
   */
  constructor(length: number) {
    this.#numbers = new NoiseGenerator(7).normals(length);
  }

  make(dims: readonly number[], dtype: FloatDtype, scale = 1): Tensor {
    const block = this.#block(dtype, scale);
    const made = Tensor.empty(dims, dtype);
    try {
      using _views = ops.scope();
      const count = product(dims);
      const flat = made.reshape([count]);
      for (let at = 0; at < count; at += block.count) {
        const size = Math.min(block.count, count - at);
        ops.copy(flat.rows(at, at + size), block.rows(0, size));
      }
      return made;
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    }
  }

  #block(dtype: FloatDtype, scale: number): Tensor {
    const key = `${dtype} ${scale}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    const numbers = scale === 1 ? this.#numbers : this.#numbers.map((n) => n * scale);
    const made = Tensor.from(numbers, [numbers.length], dtype);
    this.#blocks.set(key, made);
    return made;
  }

  [Symbol.dispose](): void {
    for (const block of this.#blocks.values()) block[Symbol.dispose]();
    this.#blocks.clear();
  }
}

/** Small enough that a deep network's activations stay finite in half precision. */
const weightScale = 0.02;

/** Weights of any name and shape: ones for the scales of norms, small numbers for the rest. */
export class RandomWeights implements Weights {
  readonly #random: RandomTensors;
  readonly #dtype: FloatDtype;

  constructor(random: RandomTensors, dtype: FloatDtype) {
    this.#random = random;
    this.#dtype = dtype;
  }

  get(name: string, shape?: readonly number[]): Tensor {
    if (shape === undefined) throw new Error(`random weights need the shape of ${name}`);
    const isScale = /norm[^.]*\.weight$/.test(name) && shape.length === 1;
    if (!isScale) return this.#random.make(shape, this.#dtype, weightScale);
    return ops.fill(Tensor.empty(shape, this.#dtype), 1);
  }

  /** Nothing is missing here. */
  require(): void {
    // Every tensor is made in the shape that is asked for.
  }
}
