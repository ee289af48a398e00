// The token refiner: the prompt's rows, refined for each timestep. It sees the real rows only,
// which equals the masked form, and has gates but no shift or scale.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { Tap } from "./breathe.ts";
import { type LentWeights, linear } from "./lender.ts";
import { timeText, vector } from "./transformer-embeddings.ts";
import type { RefinerSizes } from "./transformer-shape.ts";

const eps = 1e-6;

export interface RefinerInput {
  readonly timesteps: readonly number[];
  /** [n, textDim], the prompt's rows without padding. */
  readonly text: Tensor;
  readonly tap?: Tap | undefined;
}

/** The refined text of each timestep, each [n, D]. `name` is the prefix of the weights' names. */
export const refine = (
  w: LentWeights,
  name: string,
  sizes: RefinerSizes,
  { timesteps, text, tap }: RefinerInput,
): readonly Tensor[] => {
  using mean = ops.meanRows(text);
  using e = timeText(w, `${name}time_text_embed.`, { timesteps, text: mean });
  tap?.("temb", e);
  using gateInput = ops.activation(e, "silu");
  using projected = linear(w, `${name}proj_in`, text);
  tap?.("proj_in", projected);
  return timesteps.map((_, step) => {
    const x = projected.contiguous();
    using condition = gateInput.rows(step, step + 1);
    for (let i = 0; i < sizes.layers; i++) {
      refinerBlock(w, `${name}token_refiner.refiner_blocks.${i}.`, sizes, x, condition);
      tap?.(`block.${i}`, x);
    }
    return x;
  });
};

/** One block, in place on x [n, D]. */
const refinerBlock = (
  w: LentWeights,
  at: string,
  { heads, headDim }: RefinerSizes,
  x: Tensor,
  condition: Tensor,
): void => {
  using scratch = ops.scope();
  const [n = 0, dim = 0] = x.dims;
  const split = (t: Tensor): Tensor => t.reshape([n, heads, headDim]);
  const norm = (which: string): Tensor =>
    ops.layerNorm(x, {
      weight: w.get(`${at}${which}.weight`),
      bias: w.get(`${at}${which}.bias`),
      eps,
    });
  const gates = vector(linear(w, `${at}norm_out.linear`, condition));

  const a = norm("norm1");
  const q = split(linear(w, `${at}attn.to_q`, a));
  const k = split(linear(w, `${at}attn.to_k`, a));
  const v = split(linear(w, `${at}attn.to_v`, a));
  const o = ops.attention(q, k, v, { scale: 1 / Math.sqrt(headDim) }).reshape([n, dim]);
  linear(w, `${at}attn.to_out.0`, o, { residual: x, gate: gates.slice(0, 0, dim), out: x });

  const b = norm("norm2");
  const hidden = linear(w, `${at}ff.net.0.proj`, b, { act: "silu" });
  linear(w, `${at}ff.net.2`, hidden, { residual: x, gate: gates.slice(0, dim, 2 * dim), out: x });
};
