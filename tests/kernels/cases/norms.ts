// Cases of the norms, AdaLN, the fused q/k norm with rotation, and reductions.

import * as ops from "../../../src/ffi/ops.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import type { RopeStyle } from "../../../src/ffi/types.ts";
import { type Case, f32, floats } from "../case.ts";

const rowSizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [3, 7],
  [2, 64],
  [5, 1024],
  [2, 3072],
  [1, 8192],
  [1, 8200],
  [3, 1031],
];

const rows: readonly Case[] = rowSizes.map(([t, c]) => ({
  name: `norms of [${t}, ${c}]`,
  dtypes: floats,
  run: (b) => {
    const x = b.random([t, c], { scale: 2, shift: 0.5 });
    const w = b.random([c], { shift: 1, scale: 0.2 });
    const bias = b.random([c], { dtype: "f32" });
    return [
      ops.layerNorm(x, { eps: 1e-5 }),
      ops.layerNorm(x, { weight: w, bias, eps: 1e-5 }),
      ops.rmsNorm(x, w, { eps: 1e-6 }),
      ops.adaln(x, bias, w, { eps: 1e-6 }),
      ops.meanRows(x),
    ];
  },
}));

const columns: Case = {
  name: "norms of a column view",
  dtypes: floats,
  run: (b) => {
    const x = b.random([4, 40]).cols(3, 30);
    const out = Tensor.zeros([4, 50], b.dtype);
    ops.layerNorm(x, { eps: 1e-5, out: out.cols(7, 34) });
    return [out];
  },
};

const groupSizes: readonly (readonly [number, number, number])[] = [
  [1, 4, 2],
  [5, 32, 32],
  [70, 24, 4],
  [300, 128, 32],
  [9, 258, 2],
  [3, 2056, 8],
];

const groups: readonly Case[] = groupSizes.map(([n, c, count]) => ({
  name: `group norm of ${n} positions of ${c} channels in ${count} groups`,
  dtypes: floats,
  run: (b) => {
    const x = b.random([1, n, c], { shift: 3 });
    const coeffs = ops.groupNormCoeffs(x, b.random([c]), b.random([c], { dtype: "f32" }), {
      groups: count,
      eps: 1e-6,
    });
    return [coeffs, ops.scaleShiftAct(x, coeffs, { act: "silu" })];
  },
}));

const ropes: readonly Case[] = (["neighbours", "halves"] as const).flatMap((style: RopeStyle) =>
  [2, 16, 64, 72, 128, 512].map((size) => ({
    name: `rope of heads of ${size}, ${style}`,
    dtypes: floats,
    run: (b) => {
      const table = b.random([5, 2 * size], { dtype: "f32" });
      const weight = b.random([size], { shift: 1, scale: 0.1 });
      const wide = b.random([7, 3 * size + 8]);
      const x = wide.cols(8, 8 + 3 * size).reshape([7, 3, size]);
      const y = b.random([3, 2, size]);
      return [
        wide,
        ops.qkNormRope(x, { weight, table, style }),
        ops.qkNormRope(y, { table, style }),
        ops.qkNormRope(b.random([2, 1, size]), { weight, style }),
      ];
    },
  })),
);

const oddRows: Case = {
  name: "rms norm of heads of odd size",
  dtypes: floats,
  run: (b) => [ops.qkNormRope(b.random([3, 2, 13]), { weight: b.random([13], { shift: 1 }) })],
};

const numbersOf = (values: Readonly<Record<string, number>>): Tensor =>
  Tensor.from(Float32Array.from(Object.values(values)), [Object.keys(values).length]);

const statistics: readonly Case[] = (
  [
    [1, 1],
    [3, 33],
    [70, 4099],
  ] as const
).map(([t, c]) => ({
  name: `statistics of [${t}, ${c}]`,
  dtypes: floats,
  run: (b) => {
    const x = b.random([t, c], { shift: 0.3 });
    const prev = b.random([t, c]);
    return [numbersOf(ops.stats(x)), numbersOf(ops.teacache(x, prev)), prev];
  },
}));

const unfinished: Case = {
  name: "statistics of numbers that are not finite",
  dtypes: f32,
  run: (b) => [numbersOf(ops.stats(b.numbers([Number.NaN, 3, Number.POSITIVE_INFINITY, -7], [4])))],
};

export const norms: readonly Case[] = [
  ...rows,
  columns,
  ...groups,
  ...ropes,
  oddRows,
  ...statistics,
  unfinished,
];
