// The autoencoder's work on a section's latents with random weights, and its widest convolution.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { VaeConfig } from "../config/vae.ts";
import { ResidentLender } from "../models/lender.ts";
import { Vae } from "../models/vae.ts";
import { packConv } from "../models/vae-blocks.ts";
import { coderGroup, decoderPlan } from "../models/vae-shape.ts";
import { decodeTimePlan, defaultTiling } from "../models/vae-tiling.ts";
import type { Bench } from "./products.ts";
import { bytesEach, product, RandomWeights } from "./random.ts";
import type { Sizes } from "./sizes.ts";
import { opTask, type Ready, type Task, type Work } from "./task.ts";

export const vaeTasks = (bench: Bench): readonly Task[] => {
  const { sizes, vaeDtype: dtype } = bench;
  const [frames, rows, columns] = sizes.latents;
  const [width, height] = [columns, rows].map((n) => n * sizes.vae.spatial);
  return [
    convolution(bench),
    {
      part: "vae",
      name: `decode ${frames} latents to ${width}×${height}, random weights`,
      dtype,
      work: decodeWork(sizes.vae, sizes.latents),
      bytes: decodeBytes(sizes, bytesEach(dtype)),
      open: () => openDecode(bench),
    },
  ];
};

/** Three by three by three, as wide as the decoder's last stage, on a quarter of its positions. */
const convolution = ({ sizes, vaeDtype: dtype, random }: Bench): Task => {
  const { vae, latents } = sizes;
  const channels = vae.blocks[0] ?? 1;
  const dims = [5, latents[1] * 4, latents[2] * 4, channels];
  const about = {
    part: "vae" as const,
    name: `conv3d ${channels}→${channels} on ${dims.slice(0, 3).join("×")}, norm and silu on load`,
    dtype,
    work: { matmul: 2 * 27 * channels * product(dims) },
    bytes: 2 * product(dims) * bytesEach(dtype),
  };
  return opTask(about, (bag) => {
    const x = bag.add(random.make(dims, dtype));
    const w = bag.add(random.make([channels, 3, 3, 3, channels], dtype, 0.02));
    const bias = bag.add(random.make([channels], dtype));
    const coeffs = bag.add(random.make([2, channels], "f32"));
    const out = bag.add(Tensor.empty(dims, dtype));
    return () => void ops.conv3d(x, w, bias, { coeffs, act: "silu", out });
  });
};

/** A decoder that is ready to run again and again. */
export class RandomDecode implements Ready {
  readonly #vae: Vae;
  readonly #latents: Tensor;
  readonly #lender: ResidentLender;

  constructor(vae: Vae, latents: Tensor, lender: ResidentLender) {
    this.#vae = vae;
    this.#latents = latents;
    this.#lender = lender;
  }

  /** What is yielded belongs to the caller. */
  frames(): AsyncGenerator<Tensor, void> {
    return this.#vae.decode(this.#latents);
  }

  async run(): Promise<void> {
    for await (const part of this.frames()) part[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#latents[Symbol.dispose]();
    this.#lender[Symbol.dispose]();
  }
}

export const openDecode = async (bench: Bench): Promise<RandomDecode> => {
  const { sizes, vaeDtype: dtype, random } = bench;
  const weights = new RandomWeights(random, dtype);
  const lender = new ResidentLender(weights, { dtype, upload: false, prepare: packConv });
  try {
    // Makes the weights now, so that the first run does not.
    (await lender.lend(coderGroup(decoderPlan(sizes.vae), sizes.vae.latentChannels)))[
      Symbol.dispose
    ]();
    const latents = random.make([sizes.vae.latentChannels, ...sizes.latents], "f32");
    return new RandomDecode(new Vae(sizes.vae, lender, dtype), latents, lender);
  } catch (error) {
    lender[Symbol.dispose]();
    throw error;
  }
};

/** Products (convolutions among them) and attention of a decode, tile by tile. */
export const decodeWork = (config: VaeConfig, [count, rows, columns]: Sizes["latents"]): Work => {
  let [matmul, attention] = [0, 0];
  for (const { from, to } of decodeTimePlan(count, config.temporal, defaultTiling).tiles) {
    const tile = tileWork(config, [to - from, rows, columns]);
    matmul += tile.matmul;
    attention += tile.attention;
  }
  return { matmul, attention };
};

const tileWork = (
  config: VaeConfig,
  [frames, rows, columns]: Sizes["latents"],
): Readonly<{ matmul: number; attention: number }> => {
  const plan = decoderPlan(config);
  const conv = (from: number, to: number, taps = 27): number => 2 * taps * from * to;
  const resnet = (from: number, to: number): number =>
    conv(from, to) + conv(to, to) + (from === to ? 0 : conv(from, to, 1));
  const mid = plan.midChannels;
  const start = frames * rows * columns;
  const { latentChannels } = config;
  let positions = start;
  let length = frames;
  let matmul =
    start *
    (conv(latentChannels, latentChannels, 1) +
      conv(...plan.convIn) +
      2 * resnet(mid, mid) +
      4 * conv(mid, mid, 1));
  for (const { resnets, resample } of plan.stages) {
    for (const { from, to } of resnets) matmul += positions * resnet(from, to);
    if (resample === undefined) continue;
    const longer = resample.time ? 2 * length - 1 : length;
    positions = (positions / length) * longer * (resample.space ? 4 : 1);
    length = longer;
    matmul += positions * conv(resample.channels, resample.channels);
  }
  matmul += positions * conv(...plan.convOut);
  // A frame sees itself and those before it.
  const attention = (4 * mid * start ** 2 * (frames + 1)) / (2 * frames);
  return { matmul, attention };
};

/** Weights, and four activations of the widest layer at full size. */
const decodeBytes = ({ vae, latents }: Sizes, each: number): number => {
  const weights = Object.values(coderGroup(decoderPlan(vae), vae.latentChannels).shapes);
  const count = (Math.min(5, latents[0]) - 1) * vae.temporal + 1;
  const positions = count * latents[1] * latents[2] * vae.spatial ** 2;
  const widest = positions * (vae.blocks[1] ?? vae.blocks[0] ?? 1);
  return (weights.reduce((sum, dims) => sum + product(dims), 0) + 4 * widest) * each;
};
