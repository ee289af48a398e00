// One whole sampling call: from noise to the last denoised latents of a section, N model calls in N
// steps. The model is a function, so that a network and an analytic stand-in run through the same
// code.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { roundTo } from "../models/rounding.ts";
import { corrector, predictor, type Variant } from "./unipc.ts";

export type Branch = "positive" | "negative";

export type ModelCall = Readonly<{
  step: number;
  /** 1000 · sigma and 1000 · guidance, rounded as the model takes them. */
  timestep: number;
  guidance: number;
  branch: Branch;
}>;

/**
 * The velocity at x, both float32 [C, T, h, w]; the caller frees what it gets. x is not rounded
 * yet.
 */
export type VelocityModel = (x: Tensor, call: ModelCall) => Promise<Tensor> | Tensor;

export type SamplerStep = Readonly<{
  step: number;
  steps: number;
  /** The corrected state and the newest denoised latents; borrowed for the duration of the call. */
  x: Tensor;
  denoised: Tensor;
}>;

export type SampleOptions = Readonly<{
  /** Steps + 1 of them. */
  sigmas: Float32Array;
  guidance: number;
  cfg?: number;
  cfgRescale?: number;
  /** How the model rounds what it is given; the denoised value is formed from the rounded x. */
  rounding?: FloatDtype;
  variant?: Variant;
  /** Start from these latents, as far as the first sigma lets them through. */
  initial?: Tensor;
  model: VelocityModel;
  onStep?: (step: SamplerStep) => Promise<void> | void;
}>;

/** `noise` is float32 [C, T, h, w] and stays as it is; the result is the caller's. */
export const sample = async (noise: Tensor, options: SampleOptions): Promise<Tensor> => {
  const { sigmas, variant = "bh1", onStep } = options;
  const steps = sigmas.length - 1;
  using x = startOf(noise, options);
  /** Denoised latents, newest first; at most four live at once. */
  const past: Tensor[] = [];
  let ahead: Tensor | undefined;
  try {
    for (let step = 0; step < steps; step++) {
      const newest = await denoise(ahead ?? x, step, options);
      ahead?.[Symbol.dispose]();
      ahead = undefined;
      if (step > 0) ahead = advance(x, [newest, ...past], { sigmas, step, variant });
      else if (steps > 1) ahead = predictFirst(x, newest, predictor(sigmas, 1, variant));
      past.unshift(newest);
      while (past.length > 3) past.pop()?.[Symbol.dispose]();
      await onStep?.({ step, steps, x, denoised: newest });
    }
    const result = past.shift();
    if (result === undefined) throw new RangeError("a sampling run needs at least one step");
    return result;
  } finally {
    ahead?.[Symbol.dispose]();
    for (const tensor of past) tensor[Symbol.dispose]();
  }
};

const startOf = (noise: Tensor, { initial, sigmas }: SampleOptions): Tensor => {
  const first = sigmas[0] ?? 1;
  if (initial === undefined) return noise.contiguous();
  return ops.lincomb([
    [1 - first, initial],
    [first, noise],
  ]);
};

/**
 * Corrects x in place for the step just taken and predicts the next one, in one pass over memory.
 */
const advance = (
  x: Tensor,
  [mt, m0, m1, m2]: readonly Tensor[],
  at: Readonly<{ sigmas: Float32Array; step: number; variant: Variant }>,
): Tensor | undefined => {
  if (mt === undefined || m0 === undefined) throw new RangeError("the first step has no past");
  const isLast = at.step === at.sigmas.length - 2;
  const correct = corrector(at.sigmas, at.step, at.variant);
  const predict = isLast ? ([0, 0, 0, 0] as const) : predictor(at.sigmas, at.step + 1, at.variant);
  return ops.unipc({ x, mt, m0, m1, m2, corrected: x, correct, predict, last: isLast });
};

const predictFirst = (x: Tensor, m0: Tensor, weights: readonly number[]): Tensor =>
  ops.lincomb([
    [weights[0] ?? 0, x],
    [weights[1] ?? 0, m0],
  ]);

const denoise = async (x: Tensor, step: number, options: SampleOptions): Promise<Tensor> => {
  const sigma = options.sigmas[step] ?? 0;
  const rounding = options.rounding ?? "f32";
  using velocity = await guidedVelocity(x, step, options);
  return ops.denoised(x, velocity, sigma, { rounding });
};

const guidedVelocity = async (x: Tensor, step: number, options: SampleOptions): Promise<Tensor> => {
  const { model, cfg = 1, cfgRescale = 0 } = options;
  const call = { step, timestep: timestepOf(step, options), guidance: guidanceOf(options) };
  const positive = await model(x, { ...call, branch: "positive" });
  if (cfg === 1) return positive;
  try {
    using negative = await model(x, { ...call, branch: "negative" });
    const guided = ops.lincomb([
      [1 - cfg, negative],
      [cfg, positive],
    ]);
    if (cfgRescale !== 0) {
      const ratio = ops.stats(positive).std / ops.stats(guided).std;
      ops.lincomb([[cfgRescale * ratio + 1 - cfgRescale, guided]], { out: guided });
    }
    return guided;
  } finally {
    positive[Symbol.dispose]();
  }
};

/** What the model is told about the noise level of a step. */
export const timestepOf = (
  step: number,
  { sigmas, rounding = "f32" }: Readonly<{ sigmas: Float32Array; rounding?: FloatDtype }>,
): number => roundTo(Math.fround(1000 * (sigmas[step] ?? 0)), rounding);

export const guidanceOf = ({
  guidance,
  rounding = "f32",
}: Readonly<{ guidance: number; rounding?: FloatDtype }>): number =>
  roundTo(1000 * guidance, rounding);
