// Cases of matmul and attention: one size per tile edge and its neighbours, primes, epilogues, masks.

import * as ops from "../../../src/ffi/ops.ts";
import type { Tensor } from "../../../src/ffi/tensor.ts";
import type { Mask } from "../../../src/ffi/types.ts";
import { bf16, type Case, f32, floats, half } from "../case.ts";

const matmulSizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 40, 64],
  [5, 7, 13],
  [8, 33, 96],
  [9, 16, 32],
  [64, 128, 32],
  [127, 129, 72],
  [128, 128, 128],
  [129, 127, 61],
  [150, 260, 40],
];

const plainMatmuls: readonly Case[] = matmulSizes.map(([m, n, k]) => ({
  name: `matmul [${m}, ${k}] by [${n}, ${k}]`,
  dtypes: floats,
  run: (b) => [ops.matmul(b.random([m, k]), b.random([n, k], { scale: 1 / Math.sqrt(k) }))],
}));

const deep: Case = {
  name: "matmul deeper than all stages",
  dtypes: half,
  run: (b) => {
    const [a, w] = [b.random([300, 648]), b.random([264, 648], { scale: 0.04 })];
    return [ops.matmul(a, w, { bias: b.random([264]), act: "silu" }), ops.matmul(a, w)];
  },
};

const manyTiles: Case = {
  name: "matmul over eleven by two tiles",
  dtypes: bf16,
  run: (b) => [ops.matmul(b.random([1300, 32]), b.random([200, 32], { scale: 0.2 }))],
};

const epilogues: readonly Case[] = (["gelu_tanh", "silu", "quick_gelu"] as const).map((act) => ({
  name: `matmul with bias, ${act}, gate and residual`,
  dtypes: floats,
  run: (b) => {
    const a = b.random([37, 48]);
    const w = b.random([56, 48], { scale: 0.15 });
    const bias = b.random([56], { dtype: "f32" });
    const gate = b.random([56], { dtype: "f32" });
    const residual = b.random([37, 56]);
    const out = ops.matmul(a, w, { bias, act, gate, residual });
    ops.matmul(a, w, { act, residual, out: residual });
    return [out, residual];
  },
}));

const ownBias: Case = {
  name: "matmul with a bias of its own precision",
  dtypes: half,
  run: (b) => {
    const a = b.random([37, 48]);
    const w = b.random([56, 48], { scale: 0.15 });
    const bias = b.random([56]);
    const residual = b.random([37, 56]);
    return [
      ops.matmul(a, w, { bias }),
      ops.matmul(a, w, { bias, act: "gelu_tanh" }),
      ops.matmul(a, w, { bias, residual, out: residual }),
    ];
  },
};

const views: Case = {
  name: "matmul between column views, with an f32 result",
  dtypes: half,
  run: (b) => {
    const wide = b.random([70, 128]);
    const w = b.random([24, 80], { scale: 0.2 });
    const part = ops.matmul(wide.cols(16, 64), w.cols(0, 48), { outDtype: "f32" });
    const odd = ops.matmul(wide.cols(3, 50), w.cols(1, 48));
    const few = ops.matmul(wide.rows(2, 4).cols(8, 56), w.cols(0, 48), { bias: b.random([24]) });
    return [part, odd, few];
  },
};

const mixed: Case = {
  name: "matmul with f32 weights",
  dtypes: half,
  run: (b) => [ops.matmul(b.random([20, 33]), b.random([17, 33], { scale: 0.2, dtype: "f32" }))],
};

// ---------------------------------------------------------------------------------------- attention

type Shape = Readonly<{ q: number; k: number; heads: number; groups?: number; size: number }>;

const attend =
  (shape: Shape, mask: Mask = "none", frame = 0): Case["run"] =>
  (b) => {
    const { q, k, heads, groups = heads, size } = shape;
    const scale = 1 / Math.sqrt(size);
    const options = { scale, mask, frame };
    return [
      ops.attention(
        b.random([q, heads, size]),
        b.random([k, groups, size]),
        b.random([k, groups, size]),
        options,
      ),
    ];
  };

const shapes: readonly Shape[] = [
  { q: 1, k: 1, heads: 1, size: 128 },
  { q: 17, k: 5, heads: 2, size: 128 },
  { q: 127, k: 48, heads: 1, size: 128 },
  { q: 129, k: 97, heads: 2, size: 128 },
  { q: 200, k: 530, heads: 2, groups: 1, size: 128 },
  { q: 130, k: 353, heads: 1, size: 128 },
  { q: 40, k: 65, heads: 4, groups: 2, size: 64 },
  { q: 130, k: 64, heads: 1, size: 64 },
  { q: 31, k: 63, heads: 2, size: 72 },
  { q: 33, k: 31, heads: 2, size: 16 },
  { q: 33, k: 17, heads: 1, size: 512 },
  { q: 20, k: 33, heads: 2, size: 160 },
];

const unmasked: readonly Case[] = shapes.map((s) => ({
  name: `attention of ${s.q} queries to ${s.k} keys, ${s.heads}/${s.groups ?? s.heads} heads of ${s.size}`,
  dtypes: floats,
  run: attend(s),
}));

const oddHead: Case = {
  name: "attention with an odd head size",
  dtypes: floats,
  run: attend({ q: 9, k: 11, heads: 3, size: 13 }),
};

const masked: readonly Case[] = [
  {
    name: "causal attention",
    mask: "causal",
    frame: 0,
    shape: { q: 140, k: 140, heads: 1, size: 64 },
  },
  {
    name: "causal attention after a prefix",
    mask: "causal",
    frame: 0,
    shape: { q: 30, k: 77, heads: 2, groups: 1, size: 128 },
  },
  {
    name: "causal attention with more queries than keys",
    mask: "causal",
    frame: 0,
    shape: { q: 40, k: 20, heads: 1, size: 128 },
  },
  {
    name: "frame-causal attention",
    mask: "frame_causal",
    frame: 13,
    shape: { q: 65, k: 65, heads: 1, size: 512 },
  },
  {
    name: "frame-causal attention, long frames",
    mask: "frame_causal",
    frame: 50,
    shape: { q: 150, k: 150, heads: 1, size: 64 },
  },
].map(({ name, mask, frame, shape }) => ({
  name,
  dtypes: floats,
  run: attend(shape, mask as Mask, frame),
}));

const ragged: Case = {
  name: "attention over sequences of 5, 0, 131 and 1 tokens",
  dtypes: floats,
  run: (b) => {
    const bounds = [0, 5, 5, 136, 137];
    const [q, k, v] = [0, 1, 2].map(() => b.random([137, 2, 64])) as [Tensor, Tensor, Tensor];
    const [cuQ, cuK] = [b.ints(bounds), b.ints(bounds)];
    return [
      ops.attention(q, k, v, { scale: 0.125, cuQ, cuK }),
      ops.attention(q, k, v, { scale: 0.125, cuQ, cuK, mask: "causal" }),
    ];
  },
};

// More than two blocks of keys per sequence, ends inside the neighbour's rows, one sequence without keys.
const raggedWide: Case = {
  name: "attention over sequences of 130, 0, 200 and 70 tokens, heads of 128",
  dtypes: half,
  run: (b) => {
    const q = b.random([400, 2, 128]);
    const [k, v] = [0, 1].map(() => b.random([600, 1, 128])) as [Tensor, Tensor];
    const cuQ = b.ints([0, 130, 130, 330, 400]);
    const cuK = b.ints([0, 380, 390, 600, 600]);
    return [ops.attention(q, k, v, { scale: 0.09, cuQ, cuK })];
  },
};

const raggedLoud: Case = {
  name: "attention beside a sequence of infinite values",
  dtypes: half,
  run: (b) => {
    const [q, k] = [0, 1].map(() => b.random([60, 1, 128])) as [Tensor, Tensor];
    const row = (x: number): number => (x < 40 * 128 ? Math.sin(x) : Number.POSITIVE_INFINITY);
    const v = b.numbers(
      Float32Array.from({ length: 60 * 128 }, (_, x) => row(x)),
      [60, 1, 128],
    );
    const bounds = b.ints([0, 40, 60]);
    const out = ops.attention(q, k, v, { scale: 0.09, cuQ: bounds, cuK: bounds });
    return [out.rows(0, 40)];
  },
};

const noKeys: Case = {
  name: "attention of queries that have no keys",
  dtypes: half,
  run: (b) => {
    const q = b.random([12, 1, 64]);
    const kv = b.random([7, 1, 64]);
    return [
      ops.attention(q, kv, kv, { scale: 0.1, cuQ: b.ints([0, 5, 12]), cuK: b.ints([0, 0, 7]) }),
    ];
  },
};

const strided: Case = {
  name: "attention on columns of one wide matrix",
  dtypes: half,
  run: (b) => {
    const qkv = b.random([66, 3 * 128 + 24]);
    const part = (at: number): Tensor => qkv.cols(at, at + 128).reshape([66, 2, 64]);
    const out = b.random([66, 256]);
    ops.attention(part(0), part(128), part(264), {
      scale: 0.125,
      out: out.cols(64, 192).reshape([66, 2, 64]),
    });
    return [out];
  },
};

const loud: Case = {
  name: "attention with scores that overflow an exponential",
  dtypes: bf16,
  run: (b) => [
    ops.attention(
      b.random([40, 1, 128], { scale: 20 }),
      b.random([70, 1, 128], { scale: 20 }),
      b.random([70, 1, 128]),
      {
        scale: 1,
      },
    ),
  ],
};

export const products: readonly Case[] = [
  ...plainMatmuls,
  manyTiles,
  deep,
  ...epilogues,
  ownBias,
  views,
  mixed,
  ...unmasked,
  oddHead,
  ...masked,
  ragged,
  raggedWide,
  raggedLoud,
  noKeys,
  strided,
  loud,
  {
    name: "attention in f32",
    dtypes: f32,
    run: attend({ q: 70, k: 45, heads: 2, groups: 1, size: 128 }),
  },
];
