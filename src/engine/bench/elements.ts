// Ops that memory bounds, each with the bytes that it must read and write at least.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { Bag } from "../models/ownership.ts";
import type { Bench } from "./products.ts";
import { bytesEach, product } from "./random.ts";
import { frames, type Sizes } from "./sizes.ts";
import { opTask, type Task } from "./task.ts";

const eps = 1e-6;

export const elementTasks = (bench: Bench): readonly Task[] => [
  stepTask(bench),
  ...tokenTasks(bench),
  ...latentTasks(bench),
  ...pictureTasks(bench),
];

/** Makes tensors for one task; all of them belong to its bag. */
class Maker {
  readonly #bench: Bench;
  readonly #bag: Bag;

  constructor(bench: Bench, bag: Bag) {
    this.#bench = bench;
    this.#bag = bag;
  }

  random(dims: readonly number[], dtype: FloatDtype, scale = 1): Tensor {
    return this.#bag.add(this.#bench.random.make(dims, dtype, scale));
  }

  empty(dims: readonly number[], dtype: FloatDtype | "u8"): Tensor {
    return this.#bag.add(Tensor.empty(dims, dtype));
  }

  /** A view, or what an op gave. */
  own(tensor: Tensor): Tensor {
    return this.#bag.add(tensor);
  }
}

type Element = readonly [name: string, bytes: number, make: (m: Maker) => () => unknown];

const tasksOf = (bench: Bench, dtype: FloatDtype, all: readonly Element[]): readonly Task[] =>
  all.map(([name, bytes, make]) => {
    const about = { part: "elementwise" as const, name, dtype, work: { memory: bytes }, bytes };
    return opTask(about, (bag) => {
      const act = make(new Maker(bench, bag));
      return () => void act();
    });
  });

const rotary = ({ transformer, section }: Sizes): readonly [number, number] => [
  section.imageRows,
  2 * transformer.headDim,
];

/** All that the blocks of a step do between products and attention, on one set of tensors. */
const stepTask = (bench: Bench): Task => {
  const { dtype, sizes } = bench;
  const { dim, heads, headDim, doubleLayers, singleLayers } = sizes.transformer;
  const { tokens } = sizes.section;
  const norms = 2 * doubleLayers + singleLayers;
  const turns = 2 * (doubleLayers + singleLayers);
  const row = tokens * dim * bytesEach(dtype);
  const bytes = (norms + turns) * 2 * row + turns * product(rotary(sizes)) * 4;
  const name = `a step's: ${norms} adaln, ${turns} q/k norm and rope`;
  const about = { part: "elementwise" as const, name, dtype, work: { memory: bytes } };
  return opTask({ ...about, bytes: 3 * row }, (bag) => {
    const make = new Maker(bench, bag);
    const x = make.random([tokens, dim], dtype);
    const out = make.empty([tokens, dim], dtype);
    const [shift, scale] = [make.random([dim], dtype, 0.1), make.random([dim], dtype, 0.1)];
    const q = make.random([tokens, heads, headDim], dtype);
    const weight = make.own(ops.fill(Tensor.empty([headDim], dtype), 1));
    const table = make.random(rotary(sizes), "f32");
    return () => {
      for (let i = 0; i < norms; i++) ops.adaln(x, shift, scale, { eps, out });
      for (let i = 0; i < turns; i++) ops.qkNormRope(q, { weight, table, eps });
    };
  });
};

const tokenTasks = (bench: Bench): readonly Task[] => {
  const { dtype, sizes } = bench;
  const { dim, mlpDim, heads, headDim } = sizes.transformer;
  const { tokens } = sizes.section;
  const size = bytesEach(dtype);
  const [row, wide] = [tokens * dim * size, tokens * mlpDim * size];
  const other = dtype === "f32" ? "bf16" : "f32";
  const x = (m: Maker): Tensor => m.random([tokens, dim], dtype);
  const out = (m: Maker): Tensor => m.empty([tokens, dim], dtype);
  const vector = (m: Maker): Tensor => m.random([dim], dtype, 0.1);
  return tasksOf(bench, dtype, [
    [
      "adaln",
      2 * row,
      (m) => {
        const [a, shift, scale, o] = [x(m), vector(m), vector(m), out(m)] as const;
        return () => ops.adaln(a, shift, scale, { eps, out: o });
      },
    ],
    [
      "q/k norm and rope",
      2 * row + product(rotary(sizes)) * 4,
      (m) => {
        const q = m.random([tokens, heads, headDim], dtype);
        const weight = m.own(ops.fill(Tensor.empty([headDim], dtype), 1));
        const table = m.random(rotary(sizes), "f32");
        return () => ops.qkNormRope(q, { weight, table, eps });
      },
    ],
    [
      "layer norm",
      2 * row,
      (m) => {
        const [a, weight, bias, o] = [x(m), vector(m), vector(m), out(m)] as const;
        return () => ops.layerNorm(a, { weight, bias, eps, out: o });
      },
    ],
    [
      "rms norm",
      2 * row,
      (m) => {
        const [a, weight, o] = [x(m), vector(m), out(m)] as const;
        return () => ops.rmsNorm(a, weight, { eps, out: o });
      },
    ],
    [
      "add, gated",
      3 * row,
      (m) => {
        const [a, b, gate, o] = [x(m), x(m), vector(m), out(m)] as const;
        return () => ops.addGated(a, b, gate, { out: o });
      },
    ],
    [
      "gelu",
      2 * wide,
      (m) => {
        const [a, o] = [
          m.random([tokens, mlpDim], dtype),
          m.empty([tokens, mlpDim], dtype),
        ] as const;
        return () => ops.activation(a, "gelu_tanh", { out: o });
      },
    ],
    [
      "silu(gate) · up",
      3 * wide,
      (m) => {
        const [a, b] = [m.random([tokens, mlpDim], dtype), m.random([tokens, mlpDim], dtype)];
        const o = m.empty([tokens, mlpDim], dtype);
        return () => ops.glu(a, b, { out: o });
      },
    ],
    [
      "mean of rows",
      row,
      (m) => {
        const [a, o] = [x(m), m.empty([dim], dtype)] as const;
        return () => ops.meanRows(a, { out: o });
      },
    ],
    [
      `cast to ${other}`,
      (row / size) * (size + bytesEach(other)),
      (m) => {
        const [a, o] = [x(m), m.empty([tokens, dim], other)] as const;
        return () => ops.copy(o, a);
      },
    ],
    [
      "transpose",
      2 * row,
      (m) => {
        const turned = m.own(x(m).permute([1, 0]));
        const o = m.empty([dim, tokens], dtype);
        return () => ops.copy(o, turned);
      },
    ],
    [
      "teacache's distance, awaited",
      3 * row,
      (m) => {
        const [a, b] = [x(m), x(m)];
        return () => ops.teacache(a, b);
      },
    ],
  ]);
};

/** On the latents of a section, f32: small, so that starting a kernel counts. */
const latentTasks = (bench: Bench): readonly Task[] => {
  const { transformer, section } = bench.sizes;
  const { inChannels: channels, patch } = transformer;
  const [rows, columns] = section.grid;
  const dims = [channels, frames.noise, rows * patch, columns * patch];
  const bytes = product(dims) * 4;
  const x = (m: Maker): Tensor => m.random(dims, "f32");
  const width = channels * patch ** 2;
  return tasksOf(bench, "f32", [
    [
      "unipc on a section's latents",
      7 * bytes,
      (m) => {
        const [a, mt, m0, m1, m2, corrected, predicted] = [0, 1, 2, 3, 4, 5, 6].map(() => x(m));
        if (!a || !mt || !m0) throw new Error("unipc takes its history");
        const correct = [0.2, 0.2, 0.2, 0.2, 0.2];
        const args = { x: a, mt, m0, m1, m2, corrected, predicted, correct, predict: correct };
        return () => ops.unipc(args);
      },
    ],
    [
      "x − σ·v on a section's latents",
      3 * bytes,
      (m) => {
        const [a, v, out] = [x(m), x(m), m.empty(dims, "f32")] as const;
        return () => ops.denoised(a, v, 0.5, { out });
      },
    ],
    [
      "statistics of a section's latents, awaited",
      bytes,
      (m) => {
        const a = x(m);
        return () => ops.stats(a);
      },
    ],
    [
      "patches of a section's latents",
      2 * bytes,
      (m) => {
        const [a, out] = [x(m), m.empty([section.noiseRows, width], "f32")] as const;
        return () => ops.patchGather(a, [1, patch, patch], { dtype: "f32", out });
      },
    ],
    [
      "latents of a section's patches",
      2 * bytes,
      (m) => {
        const [a, out] = [
          m.random([section.noiseRows, width], "f32"),
          m.empty(dims, "f32"),
        ] as const;
        return () => ops.unpatchify(a, dims, [patch, patch], { out });
      },
    ],
  ]);
};

/** On what the autoencoder makes of one tile in time, at half its size and at its full one. */
const pictureTasks = (bench: Bench): readonly Task[] => {
  const { vae, latents } = bench.sizes;
  const dtype = bench.vaeDtype;
  const size = bytesEach(dtype);
  const count = (Math.min(5, latents[0]) - 1) * vae.temporal + 1;
  const at = (by: number, channels: number): readonly number[] => [
    count,
    (latents[1] * vae.spatial) / by,
    (latents[2] * vae.spatial) / by,
    channels,
  ];
  const channels = vae.blocks[1] ?? vae.blocks[0] ?? 1;
  const inner = at(2, channels);
  const pixels = at(1, 3);
  const [wide, shown] = [product(inner) * size, product(pixels)];
  return tasksOf(bench, dtype, [
    [
      "group norm's coefficients",
      wide,
      (m) => {
        const a = m.random(inner, dtype);
        const [weight, bias] = [m.random([channels], dtype), m.random([channels], dtype)];
        const out = m.empty([2, channels], "f32");
        return () => ops.groupNormCoeffs(a, weight, bias, { groups: vae.groups, eps, out });
      },
    ],
    [
      "scale, shift, silu",
      2 * wide,
      (m) => {
        const [a, coeffs] = [m.random(inner, dtype), m.random([2, channels], "f32")] as const;
        const out = m.empty(inner, dtype);
        return () => ops.scaleShiftAct(a, coeffs, { act: "silu", out });
      },
    ],
    [
      "blend of frames",
      3 * shown * size,
      (m) => {
        const [a, b, out] = [
          m.random(pixels, dtype),
          m.random(pixels, dtype),
          m.empty(pixels, dtype),
        ] as const;
        const weights = m.random([count], "f32");
        return () => ops.blend(a, b, weights, 0, { out });
      },
    ],
    [
      "pixels to bytes",
      shown * (size + 1),
      (m) => {
        const [a, out] = [m.random(pixels, dtype), m.empty(pixels, "u8")] as const;
        return () => ops.toU8(a, { out });
      },
    ],
  ]);
};
