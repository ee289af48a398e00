// One op case: seeded inputs, one or more ops, outputs. Run on two backends and in two precisions it
// says how far a backend is from the truth; see compare.ts. Used by tests and by the GPU tests alike.

import * as ops from "../../src/ffi/ops.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import type { FloatDtype } from "../../src/ffi/types.ts";

type Numbers = ArrayLike<number>;

/** What a case makes its tensors with. */
export type Bench = Readonly<{
  /** The dtype activations are computed in. */
  dtype: FloatDtype;
  /** Normal numbers, already rounded to the case's dtype, in `dtype` (default: the bench's). */
  random(dims: readonly number[], options?: RandomOptions): Tensor;
  /** Given numbers, rounded like `random`. */
  numbers(data: Numbers, dims: readonly number[], dtype?: FloatDtype): Tensor;
  ints(data: readonly number[]): Tensor;
}>;

type RandomOptions = Readonly<{ scale?: number; shift?: number; dtype?: FloatDtype }>;

export type Case = Readonly<{
  name: string;
  dtypes: readonly FloatDtype[];
  /** The op only moves numbers or is defined to the bit: backends must agree exactly. */
  isExact?: boolean;
  run(b: Bench): readonly Tensor[];
}>;

export const half: readonly FloatDtype[] = ["bf16", "f16"];
export const floats: readonly FloatDtype[] = ["f32", "bf16", "f16"];
export const bf16: readonly FloatDtype[] = ["bf16"];
export const f32: readonly FloatDtype[] = ["f32"];

/** Runs a case with inputs rounded to `grain` and computed in `dtype`. */
export const runCase = (c: Case, grain: FloatDtype, dtype: FloatDtype): readonly Float32Array[] => {
  using _scratch = ops.scope();
  const next = generator(hash(c.name));
  const numbers = (data: Numbers, dims: readonly number[], to: FloatDtype = dtype): Tensor =>
    Tensor.from(Float32Array.from(data, roundings[grain]), dims, to);
  const bench: Bench = {
    dtype,
    random: (dims, { scale = 1, shift = 0, dtype: to } = {}) => {
      const n = dims.reduce((product, d) => product * d, 1);
      return numbers(
        Float32Array.from({ length: n }, () => shift + scale * normal(next)),
        dims,
        to,
      );
    },
    numbers,
    ints: (data) => Tensor.from(Int32Array.from(data), [data.length]),
  };
  return c.run(bench).map(read);
};

const read = (t: Tensor): Float32Array =>
  t.dtype === "u8" ? Float32Array.from(t.contiguous().u8()) : t.contiguous().f32();

const hash = (text: string): number => {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 16777619);
  return h >>> 0;
};

const generator = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

/** Nearly normal: the sum of four uniform numbers, which stays below 3.5. */
const normal = (next: () => number): number =>
  (next() + next() + next() + next() - 2) * Math.sqrt(3);

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

const toBf16 = (x: number): number => {
  word[0] = x;
  const bits = wordBits[0] ?? 0;
  wordBits[0] = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return word[0];
};

const roundings: Readonly<Record<FloatDtype, (x: number) => number>> = {
  f32: Math.fround,
  bf16: toBf16,
  f16: (x) => Math.f16round(x),
};
