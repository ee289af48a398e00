// The pre-norm transformer layer that the CLIP text and SigLIP vision encoders share: biased
// attention and a two-layer MLP, each behind an affine LayerNorm.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { Activation, Mask } from "../../ffi/types.ts";
import { type LentWeights, linear, linearShapes, type Shapes, type WeightGroup } from "./lender.ts";

export interface EncoderSizes {
  readonly dim: number;
  readonly mlpDim: number;
  readonly heads: number;
  readonly headDim: number;
  readonly normEps: number;
}

export interface EncoderKind {
  readonly act: Activation;
  readonly mask: Mask;
}

export const normShapes = (name: string, dim: number): Shapes => ({
  [`${name}.weight`]: [dim],
  [`${name}.bias`]: [dim],
});

export const encoderLayerGroup = (i: number, { dim, mlpDim }: EncoderSizes): WeightGroup => ({
  id: `layer ${i}`,
  prefix: `encoder.layers.${i}.`,
  shapes: {
    ...normShapes("layer_norm1", dim),
    ...normShapes("layer_norm2", dim),
    ...linearShapes("self_attn.q_proj", dim, dim),
    ...linearShapes("self_attn.k_proj", dim, dim),
    ...linearShapes("self_attn.v_proj", dim, dim),
    ...linearShapes("self_attn.out_proj", dim, dim),
    ...linearShapes("mlp.fc1", mlpDim, dim),
    ...linearShapes("mlp.fc2", dim, mlpDim),
  },
});

/** One layer, in place on h [T, C]. */
export const encoderLayer = (
  w: LentWeights,
  { heads, headDim, normEps }: EncoderSizes,
  { act, mask }: EncoderKind,
  h: Tensor,
): void => {
  using scratch = ops.scope();
  const [t = 0, c = 0] = h.dims;
  const split = (x: Tensor): Tensor => x.reshape([t, heads, headDim]);
  const a = affineNorm(w, "layer_norm1", h, normEps);
  const q = split(linear(w, "self_attn.q_proj", a));
  const k = split(linear(w, "self_attn.k_proj", a));
  const v = split(linear(w, "self_attn.v_proj", a));
  const o = ops.attention(q, k, v, { scale: 1 / Math.sqrt(headDim), mask }).reshape([t, c]);
  linear(w, "self_attn.out_proj", o, { residual: h, out: h });
  const b = affineNorm(w, "layer_norm2", h, normEps);
  const hidden = linear(w, "mlp.fc1", b, { act });
  linear(w, "mlp.fc2", hidden, { residual: h, out: h });
};

export const affineNorm = (w: LentWeights, name: string, x: Tensor, eps: number): Tensor =>
  ops.layerNorm(x, { weight: w.get(`${name}.weight`), bias: w.get(`${name}.bias`), eps });
