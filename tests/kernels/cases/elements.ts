// Cases of what works element by element: copies and casts, activations, gates, pictures, the sampler.

import * as ops from "../../../src/ffi/ops.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import { type Bench, type Case, f32, floats } from "../case.ts";

const sizes: readonly (readonly number[])[] = [
  [1, 1],
  [3, 7],
  [5, 64],
  [2, 3, 1000],
  [33, 257],
];

const activations: readonly Case[] = sizes.map((dims) => ({
  name: `activations and sums of [${dims.join(", ")}]`,
  dtypes: floats,
  run: (b) => {
    const [x, y] = [b.random(dims, { scale: 3 }), b.random(dims)];
    const row = b.random([dims.at(-1) ?? 1]);
    return [
      ops.activation(x, "gelu_tanh"),
      ops.activation(x, "silu"),
      ops.activation(x, "quick_gelu"),
      ops.activation(x, "none"),
      ops.add(x, y),
      ops.add(x, row),
      ops.add(y, x, { out: y }),
    ];
  },
}));

const gates: readonly Case[] = [
  [1, 8],
  [5, 33],
  [17, 512],
].map((dims) => ({
  name: `gates of [${dims.join(", ")}]`,
  dtypes: floats,
  run: (b) => {
    const [x, y] = [b.random(dims), b.random(dims)];
    const gate = b.random([dims[1] ?? 1], { dtype: "f32" });
    const coeffs = b.random([2, dims[1] ?? 1], { dtype: "f32" });
    return [
      ops.glu(x, y),
      ops.addGated(x, y, gate),
      ops.scaleShiftAct(x, coeffs, { act: "quick_gelu" }),
      ops.scaleShiftAct(x, coeffs, { out: x }),
    ];
  },
}));

const gatedViews: Case = {
  name: "glu between halves of one matrix",
  dtypes: floats,
  run: (b) => {
    const x = b.random([9, 48]);
    return [ops.glu(x.cols(0, 24), x.cols(24, 48), { out: x.cols(0, 24) }), x];
  },
};

// ------------------------------------------------------------------------------------------- copies

const copies: readonly Case[] = (
  [
    [
      [2, 3],
      [1, 0],
    ],
    [
      [70, 33],
      [1, 0],
    ],
    [
      [3, 40, 24],
      [0, 2, 1],
    ],
    [
      [4, 5, 6, 7],
      [3, 1, 0, 2],
    ],
    [
      [16, 3, 8, 10],
      [1, 2, 3, 0],
    ],
  ] as const
).map(([dims, order]) => ({
  name: `copy of [${dims.join(", ")}] permuted to ${order.join(", ")}`,
  dtypes: floats,
  isExact: true,
  run: (b) => {
    const x = b.random(dims);
    return [x.permute(order).contiguous(), x.permute(order).to("f32"), x.to("f16")];
  },
}));

const wholeNumbers: Case = {
  name: "copy of whole numbers",
  dtypes: f32,
  isExact: true,
  run: (b) => {
    const ids = b.ints([1, -2, 16777217, 2147483647, 5, 6, 7, 8]);
    const again = Tensor.from(
      Int32Array.from(
        ids
          .contiguous()
          .i32()
          .map((v) => v >> 8),
      ),
      [8],
    );
    const bytes = Tensor.from(
      Uint8Array.from({ length: 24 }, (_, i) => i * 10),
      [3, 8],
    );
    return [again.to("f32"), bytes.to("f32"), bytes.permute([1, 0]).contiguous()];
  },
};

const strides: Case = {
  name: "copy between strided views",
  dtypes: floats,
  isExact: true,
  run: (b) => {
    const x = b.random([6, 40]);
    const to = Tensor.zeros([6, 64], b.dtype);
    ops.copy(to.cols(5, 29), x.cols(8, 32));
    ops.copy(to.cols(32, 48), x.cols(0, 16));
    ops.copy(to.view(1, [6, 2], [64, 2]), x.view(0, [6, 2], [40, 3]));
    return [to, ops.fill(Tensor.empty([3, 5], b.dtype), -2.5)];
  },
};

// ------------------------------------------------------------------------------- pictures, sampler

const pictures: Case = {
  name: "pictures to bytes and back",
  dtypes: floats,
  isExact: true,
  run: (b) => {
    const x = b.random([3, 5, 4, 3], { scale: 0.7 });
    const u8 = ops.toU8(x);
    return [u8, ops.toU8(x.permute([3, 0, 1, 2])), ops.fromU8(u8, b.dtype)];
  },
};

const preview: Case = {
  name: "preview of latents",
  dtypes: f32,
  run: (b) => [
    ops.latentRgb(
      b.random([16, 2, 5, 7]),
      b.random([16, 3], { scale: 0.1 }),
      b.random([3], { shift: 0.5, scale: 0.1 }),
    ),
  ],
};

const blends: readonly Case[] = [0, 1, 2, 3].map((axis) => ({
  name: `blend along axis ${axis}`,
  dtypes: floats,
  run: (b) => {
    const dims = [3, 4, 5, 16];
    const [x, y] = [b.random(dims), b.random(dims)];
    const n = dims[axis] ?? 1;
    const weights = Tensor.from(
      Float32Array.from({ length: n }, (_, i) => i / n),
      [n],
    );
    return [ops.blend(x, y, weights, axis), ops.blend(x, y, weights, axis, { out: y })];
  },
}));

const sample = (n: number) => (b: Bench) => {
  const latents = (): Tensor => b.random([2, n]);
  const [x, mt, m0, m1, m2] = [latents(), latents(), latents(), latents(), latents()];
  const correct = [0.5, 0.25, -1.5, 0.125, 0.75];
  const predict = [1.5, -0.5, 0.25, 0.125];
  const corrected = Tensor.empty(x.dims, "f32");
  const next = ops.unipc({ x, mt, m0, m1, m2, correct, predict, corrected });
  ops.unipc({ x, mt, m0, correct: [1, 2, 3], predict: [], last: true });
  return [
    corrected,
    ...(next === undefined ? [] : [next]),
    x,
    ops.lincomb([
      [0.3, mt],
      [-2, m0],
      [1e-3, m1],
    ]),
    ops.lincomb([[2, m0]], { out: m0 }),
    ops.denoised(mt, m1, 0.7, { rounding: "bf16" }),
    ops.denoised(mt, m1, 0.7),
  ];
};

const sampler: readonly Case[] = [1, 8, 101].map((n) => ({
  name: `sampler arithmetic on ${2 * n} numbers`,
  dtypes: f32,
  run: sample(n),
}));

export const elements: readonly Case[] = [
  ...activations,
  ...gates,
  gatedViews,
  ...copies,
  wholeNumbers,
  strides,
  pictures,
  preview,
  ...blends,
  ...sampler,
];
