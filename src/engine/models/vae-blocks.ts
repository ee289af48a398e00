// The autoencoder's parts on channels-last activations [T, H, W, C]. Normalisation and silu are
// read through the convolutions' coefficients; padding, upsampling, residuals are part of them too.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { Breathe, Tap } from "./breathe.ts";
import { type LentWeights, linear } from "./lender.ts";
import { Slot } from "./ownership.ts";
import type { CoderPlan, ResamplePlan, ResnetPlan } from "./vae-shape.ts";

const eps = 1e-6;

export interface CoderContext {
  readonly w: LentWeights;
  readonly plan: CoderPlan;
  readonly groups: number;
  readonly breathe: Breathe;
  readonly tap?: Tap | undefined;
  /** Counts residual blocks over all tiles of a call. */
  readonly meter: Meter;
}

export interface Meter {
  done: number;
  readonly total: number;
}

/** Residual blocks of one tile: those of the stages and the two in the middle. */
export const resnetCount = ({ stages }: CoderPlan): number =>
  stages.reduce((sum, { resnets }) => sum + resnets.length, 2);

/** Convolutions are re-laid once; those of size 1 are matrices. Used as the lender's `prepare`. */
export const packConv = (_name: string, stored: Tensor, dtype: FloatDtype): Tensor | undefined =>
  stored.dims.length === 5 ? ops.conv3dPack(stored, dtype) : undefined;

/** Moments [T, h, w, 2·latent] of pixels [F, H, W, 3]. */
export const encodeTile = async (ctx: CoderContext, pixels: Tensor): Promise<Tensor> => {
  const { w, plan } = ctx;
  using x = new Slot(conv(w, `${plan.name}.conv_in.conv`, pixels));
  ctx.tap?.("encoder.conv_in", x.value);
  for (const [i, stage] of plan.stages.entries()) {
    for (const resnet of stage.resnets) await runResnet(ctx, resnet, x);
    if (stage.resample !== undefined) x.put(downsample(w, stage.resample, x.value));
    ctx.tap?.(`encoder.down.${i}`, x.value);
  }
  await runMid(ctx, x);
  using moments = convOut(ctx, x.value);
  const quantised = pointwise(w, "quant_conv", moments);
  ctx.tap?.("quant_conv", quantised);
  return quantised;
};

/** Pixels [4(T−1)+1, 8h, 8w, 3] of unscaled latents [T, h, w, latent]. */
export const decodeTile = async (ctx: CoderContext, latents: Tensor): Promise<Tensor> => {
  const { w, plan } = ctx;
  using x = new Slot(pointwise(w, "post_quant_conv", latents));
  ctx.tap?.("post_quant_conv", x.value);
  x.put(conv(w, `${plan.name}.conv_in.conv`, x.value));
  ctx.tap?.("decoder.conv_in", x.value);
  await runMid(ctx, x);
  for (const [i, stage] of plan.stages.entries()) {
    for (const resnet of stage.resnets) await runResnet(ctx, resnet, x);
    if (stage.resample !== undefined) x.put(upsample(w, stage.resample, x.value));
    ctx.tap?.(`decoder.up.${i}`, x.value);
  }
  return convOut(ctx, x.value);
};

const runMid = async (ctx: CoderContext, x: Slot): Promise<void> => {
  const { w, plan, groups } = ctx;
  const name = `${plan.name}.mid_block`;
  const plans = [0, 1].map((i) => ({
    name: `${name}.resnets.${i}`,
    from: plan.midChannels,
    to: plan.midChannels,
  }));
  for (const [i, resnet] of plans.entries()) {
    await runResnet(ctx, resnet, x);
    if (i > 0) continue;
    attention(w, `${name}.attentions.0`, x.value, groups);
    ctx.tap?.(`${plan.name}.mid_attention`, x.value);
  }
  ctx.tap?.(`${plan.name}.mid_block`, x.value);
};

const runResnet = async (ctx: CoderContext, plan: ResnetPlan, x: Slot): Promise<void> => {
  resnet(ctx.w, plan, x, ctx.groups);
  const { meter } = ctx;
  meter.done++;
  const { done, total } = meter;
  await ctx.breathe({ network: "vae", part: plan.name, done, total, state: x.value });
};

/** x ← conv2(silu(norm2(conv1(silu(norm1(x)))))) + shortcut(x); in place where sizes allow. */
const resnet = (w: LentWeights, { name, from, to }: ResnetPlan, x: Slot, groups: number): void => {
  using first = coefficients(w, `${name}.norm1`, x.value, groups);
  using h = conv(w, `${name}.conv1.conv`, x.value, { coeffs: first, act: "silu" });
  if (from !== to) x.put(pointwise(w, `${name}.conv_shortcut.conv`, x.value));
  using second = coefficients(w, `${name}.norm2`, h, groups);
  const residual = x.value;
  conv(w, `${name}.conv2.conv`, h, { coeffs: second, act: "silu", residual, out: residual });
};

/** One head over all positions, each frame seeing itself and earlier ones; in place. */
const attention = (w: LentWeights, name: string, x: Tensor, groups: number): void => {
  using scratch = ops.scope();
  const [t = 0, h = 0, width = 0, c = 0] = x.dims;
  const n = t * h * width;
  const s = x.reshape([n, c]);
  const a = ops.scaleShiftAct(s, coefficients(w, `${name}.group_norm`, s, groups));
  const [q, k, v] = ["to_q", "to_k", "to_v"].map((part) =>
    linear(w, `${name}.${part}`, a).reshape([n, 1, c]),
  );
  if (q === undefined || k === undefined || v === undefined) return;
  const scale = 1 / Math.sqrt(c);
  const o = ops.attention(q, k, v, { scale, mask: "frame_causal", frame: h * width });
  linear(w, `${name}.to_out.0`, o.reshape([n, c]), { residual: s, out: s });
};

const convOut = ({ w, plan, groups }: CoderContext, x: Tensor): Tensor => {
  using coeffs = coefficients(w, `${plan.name}.conv_norm_out`, x, groups);
  return conv(w, `${plan.name}.conv_out.conv`, x, { coeffs, act: "silu" });
};

const downsample = (w: LentWeights, { name, time, space }: ResamplePlan, x: Tensor): Tensor => {
  const stride: [number, number, number] = [time ? 2 : 1, space ? 2 : 1, space ? 2 : 1];
  return conv(w, `${name}.conv`, x, { stride });
};

const upsample = (w: LentWeights, { name, time, space }: ResamplePlan, x: Tensor): Tensor =>
  conv(w, `${name}.conv`, x, { upT: time, upS: space });

type ConvOptions = NonNullable<Parameters<typeof ops.conv3d>[3]>;

const conv = (w: LentWeights, name: string, x: Tensor, options: ConvOptions = {}): Tensor =>
  ops.conv3d(x, w.get(`${name}.weight`), w.get(`${name}.bias`), options);

/** A 1×1×1 convolution is a matrix product over positions. */
const pointwise = (w: LentWeights, name: string, x: Tensor): Tensor => {
  using scratch = ops.scope();
  const weight = w.get(`${name}.weight`); // packed [O, 1, 1, 1, I]
  const [out = 0, , , , into = 0] = weight.dims;
  const [t = 0, h = 0, width = 0] = x.dims;
  const rows = x.reshape([t * h * width, into]);
  const bias = w.get(`${name}.bias`);
  const y = ops.matmul(rows, weight.reshape([out, into]), { bias });
  return y.reshape([t, h, width, out]).keep();
};

const coefficients = (w: LentWeights, name: string, x: Tensor, groups: number): Tensor =>
  ops.groupNormCoeffs(x, w.get(`${name}.weight`), w.get(`${name}.bias`), { groups, eps });
