// Attention and matrix products in the shapes that a denoise step and the autoencoder have.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Activation, FloatDtype } from "../../ffi/types.ts";
import { bytesEach, type RandomTensors } from "./random.ts";
import type { Sizes } from "./sizes.ts";
import { opTask, type Task } from "./task.ts";

export interface Bench {
  readonly sizes: Sizes;
  readonly dtype: FloatDtype;
  /** What the autoencoder runs in beside a transformer of `dtype`. */
  readonly vaeDtype: FloatDtype;
  readonly random: RandomTensors;
}

export const attentionTasks = (bench: Bench): readonly Task[] => {
  const { sizes, dtype, vaeDtype } = bench;
  const { heads, headDim } = sizes.transformer;
  const [frames, rows, columns] = sizes.latents;
  const step = { tokens: sizes.section.tokens, heads, size: headDim };
  const tile = Math.min(5, frames);
  const middle = { tokens: tile * rows * columns, heads: 1, size: sizes.vae.blocks.at(-1) ?? 1 };
  return [
    attention(bench, dtype, step),
    // One frame hides nothing, but a kernel that knows no masks leaves it to the general one.
    attention(bench, dtype, { ...step, frames: 1 }),
    attention(bench, vaeDtype, { ...middle, frames: tile }),
  ];
};

type AttentionShape = Readonly<{ tokens: number; heads: number; size: number; frames?: number }>;

const attention = (bench: Bench, dtype: FloatDtype, shape: AttentionShape): Task => {
  const { tokens, heads, size, frames } = shape;
  const dims = [tokens, heads, size];
  // A frame sees itself and those before it.
  const seen = frames === undefined ? 1 : (frames + 1) / (2 * frames);
  const frame = frames === undefined ? undefined : tokens / frames;
  const about = {
    part: "attention" as const,
    name: `${tokens} tokens × ${heads} × ${size}${frame ? `, frames of ${frame}` : ""}`,
    dtype,
    work: { attention: 4 * tokens ** 2 * heads * size * seen },
    bytes: 4 * tokens * heads * size * bytesEach(dtype),
  };
  const mask = frame === undefined ? {} : { mask: "frame_causal" as const, frame };
  return opTask(about, (bag) => {
    const [q, k, v] = [0, 1, 2].map(() => bag.add(bench.random.make(dims, dtype)));
    if (!q || !k || !v) throw new Error("attention takes three tensors");
    const out = bag.add(Tensor.empty(dims, dtype));
    const options = { scale: 1 / Math.sqrt(size), out, ...mask };
    return () => {
      ops.attention(q, k, v, options);
    };
  });
};

type Product = Readonly<{
  name: string;
  shape: readonly [m: number, n: number, k: number];
  act?: Activation;
  isGated?: boolean;
}>;

/** The products of a double block's picture rows, then those of a single block. */
export const matmulTasks = (bench: Bench): readonly Task[] => {
  const { dim, mlpDim } = bench.sizes.transformer;
  const { imageRows, tokens } = bench.sizes.section;
  const all: readonly Product[] = [
    { name: "q, k, v", shape: [imageRows, 3 * dim, dim] },
    { name: "attention out, gated", shape: [imageRows, dim, dim], isGated: true },
    { name: "mlp up, gelu", shape: [imageRows, mlpDim, dim], act: "gelu_tanh" },
    { name: "mlp down, gated", shape: [imageRows, dim, mlpDim], isGated: true },
    { name: "single q, k, v, mlp up", shape: [tokens, 3 * dim + mlpDim, dim] },
    { name: "single out, gated", shape: [tokens, dim, dim + mlpDim], isGated: true },
  ];
  return all.map((each) => matmul(bench, each));
};

const matmul = ({ random, dtype }: Bench, { name, shape, act, isGated }: Product): Task => {
  const [m, n, k] = shape;
  const about = {
    part: "matmul" as const,
    name: `${name} ${m}×${n}×${k}`,
    dtype,
    work: { matmul: 2 * m * n * k },
    bytes: (m * k + n * k + m * n) * bytesEach(dtype),
  };
  return opTask(about, (bag) => {
    const a = bag.add(random.make([m, k], dtype));
    const w = bag.add(random.make([n, k], dtype, 0.02));
    const bias = bag.add(random.make([n], dtype));
    // Written over its own residual, as in a block; the small gate keeps it bounded.
    const out = bag.add(random.make([m, n], dtype));
    const gate = isGated ? bag.add(random.make([n], dtype, 0.02)) : undefined;
    const residual = isGated ? out : undefined;
    return () => {
      ops.matmul(a, w, { bias, act, gate, residual, out });
    };
  });
};
