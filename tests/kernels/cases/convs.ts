// Cases of conv3d in all its forms, its packing, patches and embeddings.

import * as ops from "../../../src/ffi/ops.ts";
import { type Bench, type Case, floats, half } from "../case.ts";

type Three = readonly [number, number, number];
type Shape = Readonly<{
  x: readonly [number, number, number, number];
  out: number;
  kernel: Three;
  stride?: Three;
  upT?: boolean;
  upS?: boolean;
  isNormed?: boolean;
  isResidual?: boolean;
}>;

const convolve = (s: Shape) => (b: Bench) => {
  const channels = s.x[3];
  const x = b.random(s.x);
  const fan = channels * s.kernel.reduce((a, n) => a * n, 1);
  const w = b.random([s.out, ...s.kernel, channels], { scale: 1 / Math.sqrt(fan) });
  const bias = b.random([s.out], { dtype: "f32" });
  const coeffs = s.isNormed ? b.random([2, channels], { dtype: "f32" }) : undefined;
  const options = {
    coeffs,
    act: s.isNormed ? ("silu" as const) : ("none" as const),
    stride: s.stride,
    upT: s.upT,
    upS: s.upS,
  };
  const out = ops.conv3d(x, w, bias, options);
  if (s.isResidual !== true) return [out];
  const residual = b.random(out.dims);
  return [ops.conv3d(x, w, bias, { ...options, residual, out: residual })];
};

const shapes: readonly (readonly [string, Shape])[] = [
  ["a single position", { x: [1, 1, 1, 8], out: 8, kernel: [3, 3, 3] }],
  ["3x3x3", { x: [3, 5, 7, 16], out: 24, kernel: [3, 3, 3] }],
  ["1x1x1", { x: [2, 8, 9, 32], out: 16, kernel: [1, 1, 1] }],
  ["three channels in", { x: [2, 6, 5, 3], out: 16, kernel: [3, 3, 3] }],
  ["three channels out", { x: [2, 6, 5, 16], out: 3, kernel: [3, 3, 3], isNormed: true }],
  [
    "with norm, silu and residual",
    { x: [2, 9, 8, 40], out: 40, kernel: [3, 3, 3], isNormed: true, isResidual: true },
  ],
  ["down in space", { x: [2, 9, 8, 16], out: 16, kernel: [3, 3, 3], stride: [1, 2, 2] }],
  ["down in time and space", { x: [5, 8, 7, 16], out: 8, kernel: [3, 3, 3], stride: [2, 2, 2] }],
  ["up in space", { x: [2, 4, 5, 8], out: 16, kernel: [3, 3, 3], upS: true }],
  [
    "up in time and space",
    { x: [3, 4, 3, 16], out: 8, kernel: [3, 3, 3], upT: true, upS: true, isNormed: true },
  ],
  [
    "up in time, one frame",
    { x: [1, 4, 3, 16], out: 8, kernel: [3, 3, 3], upT: true, isResidual: true },
  ],
  ["more than a tile of channels", { x: [1, 12, 11, 136], out: 130, kernel: [1, 3, 3] }],
];

const convs3d: readonly Case[] = shapes.map(([what, s]) => ({
  name: `conv3d ${what}`,
  dtypes: floats,
  run: convolve(s),
}));

const mixedWeights: Case = {
  name: "conv3d with f32 weights",
  dtypes: half,
  run: (b) => [
    ops.conv3d(
      b.random([2, 4, 4, 8]),
      b.random([8, 3, 3, 3, 8], { scale: 0.1, dtype: "f32" }),
      b.random([8]),
    ),
  ],
};

const pack: Case = {
  name: "conv3d_pack",
  dtypes: floats,
  isExact: true,
  run: (b) => [
    ops.conv3dPack(b.random([10, 9, 3, 3, 3]), b.dtype),
    ops.conv3dPack(b.random([3, 16, 1, 2, 3], { dtype: "f32" }), b.dtype),
  ],
};

const patches: readonly Case[] = (
  [
    [
      [16, 2, 4, 6],
      [1, 2, 2],
    ],
    [
      [4, 1, 9, 11],
      [1, 4, 4],
    ],
    [
      [3, 5, 7, 5],
      [4, 8, 8],
    ],
    [
      [2, 3, 5, 7],
      [2, 3, 2],
    ],
  ] as const
).map(([dims, patch]) => ({
  name: `patches ${patch.join("x")} of [${dims.join(", ")}]`,
  dtypes: floats,
  isExact: true,
  run: (b) => [
    ops.patchGather(b.random(dims), patch),
    ops.patchGather(b.random(dims), patch, { dtype: "f32" }),
  ],
}));

const unpatch: Case = {
  name: "unpatchify",
  dtypes: floats,
  isExact: true,
  run: (b) => [ops.unpatchify(b.random([2 * 3 * 2, 4 * 2 * 3]), [4, 2, 6, 6], [2, 3])],
};

const embed: Case = {
  name: "embed",
  dtypes: floats,
  isExact: true,
  run: (b) => [
    ops.embed(b.random([11, 37]), b.ints([10, 0, 3, 3])),
    ops.embed(b.random([5, 300]), b.ints([4]), { dtype: "f32" }),
  ],
};

export const convs: readonly Case[] = [...convs3d, mixedWeights, pack, ...patches, unpatch, embed];
