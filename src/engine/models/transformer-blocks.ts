// The double-stream and single-stream blocks, in place on the joined residual stream
// Z = [image rows X (N); text rows E (M)], S = N + M. One function a block, like the equations.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { type LentWeights, linear } from "./lender.ts";
import type { TransformerSizes } from "./transformer-shape.ts";

export const eps = 1e-6;

/** Modulation vectors of a block at one step: views [D] in the order they are stored. */
export type Modulation = readonly Tensor[];

export interface Stream {
  /** The joined residual stream, [S, D]. */
  readonly z: Tensor;
  /** Image rows N; rows from there on are text. */
  readonly imageRows: number;
  /** Noise rows: the last of the image rows. */
  readonly noiseRows: number;
  /** Rotary table of the image rows, [N, 2·headDim] f32. */
  readonly rope: Tensor;
}

export interface DoubleModulation {
  readonly image: Modulation;
  readonly text: Modulation;
}

/**
 * One double-stream block. `modulated` is the first modulated image input where the caller has it
 * already (TeaCache compares it).
 */
export const doubleBlock = (
  w: LentWeights,
  sizes: TransformerSizes,
  { z, imageRows, rope }: Stream,
  modulation: DoubleModulation,
  modulated?: Tensor,
): void => {
  using scratch = ops.scope();
  const [s = 0] = z.dims;
  const [s1, k1, g1, s2, k2, g2] = six(modulation.image);
  const [t1, l1, h1, t2, l2, h2] = six(modulation.text);
  const x = z.rows(0, imageRows);
  const e = z.rows(imageRows, s);

  const q = like(z);
  const k = like(z);
  const v = like(z);
  const a = modulated ?? ops.adaln(x, s1, k1, { eps });
  const b = ops.adaln(e, t1, l1, { eps });
  linear(w, "attn.to_q", a, { out: q.rows(0, imageRows) });
  linear(w, "attn.to_k", a, { out: k.rows(0, imageRows) });
  linear(w, "attn.to_v", a, { out: v.rows(0, imageRows) });
  linear(w, "attn.add_q_proj", b, { out: q.rows(imageRows, s) });
  linear(w, "attn.add_k_proj", b, { out: k.rows(imageRows, s) });
  linear(w, "attn.add_v_proj", b, { out: v.rows(imageRows, s) });

  const qh = heads(q, sizes);
  const kh = heads(k, sizes);
  normRope(w, "attn.norm_q", qh.rows(0, imageRows), rope);
  normRope(w, "attn.norm_k", kh.rows(0, imageRows), rope);
  normRope(w, "attn.norm_added_q", qh.rows(imageRows, s));
  normRope(w, "attn.norm_added_k", kh.rows(imageRows, s));
  const scale = 1 / Math.sqrt(sizes.headDim);
  const o = ops.attention(qh, kh, heads(v, sizes), { scale }).reshape(z.dims);

  linear(w, "attn.to_out.0", o.rows(0, imageRows), { residual: x, gate: g1, out: x });
  linear(w, "attn.to_add_out", o.rows(imageRows, s), { residual: e, gate: h1, out: e });
  feedForward(w, "ff", ops.adaln(x, s2, k2, { eps }), x, g2);
  feedForward(w, "ff_context", ops.adaln(e, t2, l2, { eps }), e, h2);
};

/**
 * One single-stream block. With `noiseOnly` (the last block) only the noise rows of Z are brought
 * up to date: nothing reads the others afterwards, while keys and values still need every row.
 */
export const singleBlock = (
  w: LentWeights,
  sizes: TransformerSizes,
  { z, imageRows, noiseRows, rope }: Stream,
  modulation: Modulation,
  noiseOnly = false,
): void => {
  using scratch = ops.scope();
  const { dim, mlpDim, headDim } = sizes;
  const [s = 0] = z.dims;
  const [shift, scale, gate] = three(modulation);
  const from = noiseOnly ? imageRows - noiseRows : 0;
  const to = noiseOnly ? imageRows : s;

  const a = ops.adaln(z, shift, scale, { eps });
  const live = a.rows(from, to);
  const q = heads(linear(w, "attn.to_q", live), sizes);
  const k = heads(linear(w, "attn.to_k", a), sizes);
  const v = heads(linear(w, "attn.to_v", a), sizes);
  normRope(w, "attn.norm_q", q, rope.rows(from, imageRows));
  normRope(w, "attn.norm_k", k, rope);

  const both = Tensor.empty([to - from, dim + mlpDim], z.dtype); // [attention | mlp]
  const o = heads(both.cols(0, dim), sizes);
  ops.attention(q, k, v, { scale: 1 / Math.sqrt(headDim), out: o });
  linear(w, "proj_mlp", live, { act: "gelu_tanh", out: both.cols(dim, dim + mlpDim) });
  const out = z.rows(from, to);
  linear(w, "proj_out", both, { residual: out, gate, out });
};

/** Velocity patches of the noise rows, f32 [noise rows, C·p·p]. Head order is scale, then shift. */
export const outputHead = (w: LentWeights, rows: Tensor, modulation: Modulation): Tensor => {
  const [scale, shift] = modulation;
  if (scale === undefined || shift === undefined)
    throw new Error("head modulation is scale, shift");
  using y = ops.adaln(rows, shift, scale, { eps });
  return linear(w, "proj_out", y, { outDtype: "f32" });
};

const feedForward = (
  w: LentWeights,
  name: string,
  input: Tensor,
  residual: Tensor,
  gate: Tensor,
): void => {
  using hidden = linear(w, `${name}.net.0.proj`, input, { act: "gelu_tanh" });
  linear(w, `${name}.net.2`, hidden, { residual, gate, out: residual });
};

const normRope = (w: LentWeights, name: string, x: Tensor, table?: Tensor): void => {
  const weight = w.get(`${name}.weight`);
  ops.qkNormRope(x, table === undefined ? { weight, eps } : { weight, table, eps });
};

/** Rows [T, H·D] as [T, H, D], whatever the row stride. */
const heads = (x: Tensor, { heads: count, headDim }: TransformerSizes): Tensor =>
  x.reshape([x.dims[0] ?? 0, count, headDim]);

const like = (x: Tensor): Tensor => Tensor.empty(x.dims, x.dtype as FloatDtype);

const six = (m: Modulation): readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] => {
  const [a, b, c, d, e, f] = m;
  if (!a || !b || !c || !d || !e || !f) throw new Error("a double block takes six vectors");
  return [a, b, c, d, e, f];
};

const three = (m: Modulation): readonly [Tensor, Tensor, Tensor] => {
  const [a, b, c] = m;
  if (!a || !b || !c) throw new Error("a single block takes three vectors");
  return [a, b, c];
};
