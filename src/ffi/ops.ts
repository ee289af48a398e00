// One typed function an op; meaning, shapes, dtypes: docs/ops.md. An output not given as `out` is
// made here and belongs to the caller or the open scope. The library checks every argument.

import { check, count, fp, kernelError } from "./library.ts";
import { Tensor } from "./tensor.ts";
import type { Activation, FloatDtype, Mask, RopeStyle } from "./types.ts";

type Out = Readonly<{ out?: Tensor | undefined }>;
type Three = readonly [number, number, number];

const acts: Readonly<Record<Activation, number>> = {
  none: 0,
  gelu_tanh: 1,
  silu: 2,
  quick_gelu: 3,
};
const masks: Readonly<Record<Mask, number>> = { none: 0, causal: 1, frame_causal: 2 };
const styles: Readonly<Record<RopeStyle, number>> = { neighbours: 0, halves: 1 };
const roundings: Readonly<Record<FloatDtype, number>> = { f32: 0, bf16: 1, f16: 2 };

const h = (t: Tensor | undefined): number => (t === undefined ? 0 : t.handle);
/** A missing dimension counts 0: the library then names the tensor of the wrong rank. */
const dim = (t: Tensor, axis: number): number => t.dims[axis] ?? 0;
const last = (t: Tensor): number => dim(t, t.dims.length - 1);

/** The output of a finished call. One that was allocated here for a call that failed is freed. */
const done = (op: string, status: number, made: Tensor, given?: Tensor): Tensor => {
  if (status === 0) return made;
  const error = kernelError(op, status);
  if (given === undefined) made[Symbol.dispose]();
  throw error;
};

/** `using scratch = scope()`: frees everything made from here on and not kept. */
export const scope = (): Disposable => {
  check("scope_push", fp.fp_scope_push());
  let isOpen = true;
  return {
    [Symbol.dispose]() {
      if (!isOpen) return;
      isOpen = false;
      check("scope_pop", fp.fp_scope_pop());
    },
  };
};

export const copy = (dst: Tensor, src: Tensor): Tensor =>
  done("copy", fp.fp_copy(dst.handle, src.handle), dst, dst);

export const fill = (x: Tensor, value: number): Tensor =>
  done("fill", fp.fp_fill(x.handle, value), x, x);

// ---------------------------------------------------------------------------- products, attention

type MatmulOptions = Out &
  Readonly<{
    bias?: Tensor | undefined;
    act?: Activation | undefined;
    residual?: Tensor | undefined;
    gate?: Tensor | undefined;
    outDtype?: FloatDtype | undefined;
  }>;

/** a·wᵀ + bias, activated; with a residual: residual + gate∘that. */
export const matmul = (a: Tensor, w: Tensor, options: MatmulOptions = {}): Tensor => {
  const { bias, act = "none", residual, gate, outDtype } = options;
  const out = options.out ?? Tensor.empty([dim(a, 0), dim(w, 0)], outDtype ?? a.dtype);
  const status = fp.fp_matmul(
    out.handle,
    a.handle,
    w.handle,
    h(bias),
    h(residual),
    h(gate),
    acts[act],
  );
  return done("matmul", status, out, options.out);
};

type AttentionOptions = Out &
  Readonly<{
    scale: number;
    mask?: Mask | undefined;
    frame?: number | undefined;
    cuQ?: Tensor | undefined;
    cuK?: Tensor | undefined;
  }>;

export const attention = (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor => {
  const { scale, mask = "none", frame = 0, cuQ, cuK } = options;
  const rows = count("frame", frame);
  const out = options.out ?? Tensor.empty(q.dims, q.dtype);
  const status = fp.fp_attention(
    out.handle,
    q.handle,
    k.handle,
    v.handle,
    h(cuQ),
    h(cuK),
    masks[mask],
    rows,
    scale,
  );
  return done("attention", status, out, options.out);
};

type RopeOptions = Readonly<{
  weight?: Tensor | undefined;
  table?: Tensor | undefined;
  eps?: number | undefined;
  style?: RopeStyle | undefined;
}>;

/** In place. */
export const qkNormRope = (x: Tensor, options: RopeOptions): Tensor => {
  const { weight, table, eps = 1e-6, style = "neighbours" } = options;
  const status = fp.fp_qk_norm_rope(x.handle, h(weight), h(table), eps, styles[style]);
  return done("qk_norm_rope", status, x, x);
};

// ------------------------------------------------------------------------------------------ norms

type Eps = Out & Readonly<{ eps: number }>;

export const adaln = (x: Tensor, shift: Tensor, scale: Tensor, { eps, ...o }: Eps): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, x.dtype);
  const status = fp.fp_adaln(out.handle, x.handle, shift.handle, scale.handle, eps);
  return done("adaln", status, out, o.out);
};

type LayerNormOptions = Eps & Readonly<{ weight?: Tensor | undefined; bias?: Tensor | undefined }>;

export const layerNorm = (x: Tensor, options: LayerNormOptions): Tensor => {
  const { weight, bias, eps } = options;
  const out = options.out ?? Tensor.empty(x.dims, x.dtype);
  const status = fp.fp_layer_norm(out.handle, x.handle, h(weight), h(bias), eps);
  return done("layer_norm", status, out, options.out);
};

export const rmsNorm = (x: Tensor, weight: Tensor, { eps, ...o }: Eps): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, x.dtype);
  const status = fp.fp_rms_norm(out.handle, x.handle, weight.handle, eps);
  return done("rms_norm", status, out, o.out);
};

type GroupNormOptions = Eps & Readonly<{ groups: number }>;

/** f32 [2, C]: what `scaleShiftAct` and `conv3d` take as coefficients. */
export const groupNormCoeffs = (
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  options: GroupNormOptions,
): Tensor => {
  const groups = count("groups", options.groups);
  const out = options.out ?? Tensor.empty([2, last(x)], "f32");
  const handles = [out.handle, x.handle, weight.handle, bias.handle] as const;
  const status = fp.fp_group_norm_coeffs(...handles, groups, options.eps);
  return done("group_norm_coeffs", status, out, options.out);
};

type ActOptions = Out & Readonly<{ act?: Activation | undefined }>;

export const scaleShiftAct = (x: Tensor, coeffs: Tensor, options: ActOptions = {}): Tensor => {
  const { act = "none" } = options;
  const out = options.out ?? Tensor.empty(x.dims, x.dtype);
  const status = fp.fp_scale_shift_act(out.handle, x.handle, coeffs.handle, acts[act]);
  return done("scale_shift_act", status, out, options.out);
};

// ----------------------------------------------------------------------------- convolution, patches

type ConvOptions = ActOptions &
  Readonly<{
    coeffs?: Tensor | undefined;
    residual?: Tensor | undefined;
    stride?: Three | undefined;
    upT?: boolean | undefined;
    upS?: boolean | undefined;
  }>;

export const conv3d = (x: Tensor, w: Tensor, bias: Tensor, options: ConvOptions = {}): Tensor => {
  const { coeffs, act = "none", residual, stride = [1, 1, 1], upT = false, upS = false } = options;
  const [st, sh, sw] = stride.map((s) => count("stride", s)) as unknown as Three;
  const time = upT ? 2 * dim(x, 0) - 1 : dim(x, 0);
  const up = upS ? 2 : 1;
  const out =
    options.out ??
    Tensor.empty(
      [
        steps(time, 1, st),
        steps(up * dim(x, 1), spare(dim(w, 2)), sh),
        steps(up * dim(x, 2), spare(dim(w, 3)), sw),
        dim(w, 0),
      ],
      x.dtype,
    );
  const status = fp.fp_conv3d(
    out.handle,
    x.handle,
    w.handle,
    bias.handle,
    h(coeffs),
    acts[act],
    h(residual),
    st,
    sh,
    sw,
    upT ? 1 : 0,
    upS ? 1 : 0,
  );
  return done("conv3d", status, out, options.out);
};

/** Replication pads both sides by half the kernel: an odd one keeps the size, an even one adds 1. */
const spare = (kernel: number): number => kernel - 2 * Math.floor(kernel / 2);
const steps = (size: number, taken: number, stride: number): number =>
  stride === 0 ? 0 : Math.max(0, Math.floor((size - taken) / stride) + 1);

/** [O, I, kt, kh, kw] as stored → [O, kt, kh, kw, I] as `conv3d` takes it. */
export const conv3dPack = (w: Tensor, dtype: FloatDtype, o: Out = {}): Tensor => {
  const dims = [dim(w, 0), dim(w, 2), dim(w, 3), dim(w, 4), dim(w, 1)];
  const out = o.out ?? Tensor.empty(dims, dtype);
  return done("conv3d_pack", fp.fp_conv3d_pack(out.handle, w.handle), out, o.out);
};

type DtypeOption = Out & Readonly<{ dtype?: FloatDtype | undefined }>;

export const patchGather = (x: Tensor, patch: Three, options: DtypeOption = {}): Tensor => {
  const [kt, kh, kw] = patch.map((k) => count("patch", k)) as unknown as Three;
  const parts = patch.map((k, i) => (k === 0 ? 0 : Math.ceil(dim(x, i + 1) / k)));
  const rows = parts.reduce((n, p) => n * p, 1);
  const out =
    options.out ?? Tensor.empty([rows, dim(x, 0) * kt * kh * kw], options.dtype ?? x.dtype);
  const status = fp.fp_patch_gather(out.handle, x.handle, kt, kh, kw);
  return done("patch_gather", status, out, options.out);
};

/** `dims` is [C, T, H, W] of the result, which is f32. */
export const unpatchify = (
  x: Tensor,
  dims: readonly number[],
  [kh, kw]: readonly [number, number],
  o: Out = {},
): Tensor => {
  const sides = [count("patch", kh), count("patch", kw)] as const;
  const out = o.out ?? Tensor.empty(dims, "f32");
  return done("unpatchify", fp.fp_unpatchify(out.handle, x.handle, ...sides), out, o.out);
};

export const embed = (table: Tensor, ids: Tensor, options: DtypeOption = {}): Tensor => {
  const out =
    options.out ?? Tensor.empty([dim(ids, 0), dim(table, 1)], options.dtype ?? table.dtype);
  return done("embed", fp.fp_embed(out.handle, table.handle, ids.handle), out, options.out);
};

// ------------------------------------------------------------------------------ element by element

export const activation = (x: Tensor, act: Activation, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, x.dtype);
  return done("activation", fp.fp_activation(out.handle, x.handle, acts[act]), out, o.out);
};

/** silu(gate)·up */
export const glu = (gate: Tensor, up: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(gate.dims, gate.dtype);
  return done("glu", fp.fp_glu(out.handle, gate.handle, up.handle), out, o.out);
};

/** b has a's shape, or is one row. */
export const add = (a: Tensor, b: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(a.dims, a.dtype);
  return done("add", fp.fp_add(out.handle, a.handle, b.handle), out, o.out);
};

/** x + gate∘y */
export const addGated = (x: Tensor, y: Tensor, gate: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, x.dtype);
  const status = fp.fp_add_gated(out.handle, x.handle, y.handle, gate.handle);
  return done("add_gated", status, out, o.out);
};

export const meanRows = (x: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty([dim(x, 1)], x.dtype);
  return done("mean_rows", fp.fp_mean_rows(out.handle, x.handle), out, o.out);
};

/** Along `axis`: a·(1 − w) + b·w. */
export const blend = (a: Tensor, b: Tensor, weights: Tensor, axis: number, o: Out = {}): Tensor => {
  const along = count("axis", axis);
  const out = o.out ?? Tensor.empty(a.dims, a.dtype);
  const status = fp.fp_blend(out.handle, a.handle, b.handle, weights.handle, along);
  return done("blend", status, out, o.out);
};

/** [-1, 1] → 0..255 */
export const toU8 = (x: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, "u8");
  return done("to_u8", fp.fp_to_u8(out.handle, x.handle), out, o.out);
};

export const fromU8 = (x: Tensor, dtype: FloatDtype, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty(x.dims, dtype);
  return done("from_u8", fp.fp_from_u8(out.handle, x.handle), out, o.out);
};

// ---------------------------------------------------------------------------------------- sampler

const terms_max = 8;
const termsIn = new Uint32Array(terms_max);
const coeffsIn = new Float64Array(terms_max);

/** Σ c·t over at most 8 terms; `out` may be one of them. */
export const lincomb = (terms: readonly (readonly [number, Tensor])[], o: Out = {}): Tensor => {
  for (const [i, [c, t]] of terms.entries()) {
    termsIn[i] = t.handle;
    coeffsIn[i] = c;
  }
  const out = o.out ?? Tensor.empty(terms[0]?.[1].dims ?? [0], "f32");
  const status = fp.fp_lincomb(out.handle, terms.length, termsIn, coeffsIn);
  return done("lincomb", status, out, o.out);
};

type UnipcArgs = Readonly<{
  x: Tensor;
  mt: Tensor;
  m0: Tensor;
  m1?: Tensor | undefined;
  m2?: Tensor | undefined;
  /** cc: weights of x, mt, m0, m1, m2. */
  correct: readonly number[];
  /** cp: weights of the corrected x, mt, m0, m1. */
  predict: readonly number[];
  /** Where the corrected x goes; x itself unless given. */
  corrected?: Tensor | undefined;
  predicted?: Tensor | undefined;
  /** No prediction: the last step has none. */
  last?: boolean | undefined;
}>;

const correctIn = new Float64Array(5);
const predictIn = new Float64Array(4);

/** Corrects x and predicts the next one in one pass; gives the prediction, if one was wanted. */
export const unipc = (args: UnipcArgs): Tensor | undefined => {
  const { x, mt, m0, m1, m2, corrected = x, last: isLast = false } = args;
  for (let i = 0; i < 5; i++) correctIn[i] = args.correct[i] ?? 0;
  for (let i = 0; i < 4; i++) predictIn[i] = isLast ? 0 : (args.predict[i] ?? 0);
  const predicted = isLast ? undefined : (args.predicted ?? Tensor.empty(x.dims, "f32"));
  const status = fp.fp_unipc(
    corrected.handle,
    h(predicted),
    x.handle,
    mt.handle,
    m0.handle,
    h(m1),
    h(m2),
    correctIn,
    predictIn,
  );
  done("unipc", status, predicted ?? corrected, predicted === undefined ? x : args.predicted);
  return predicted;
};

type DenoisedOptions = Out & Readonly<{ rounding?: FloatDtype | undefined }>;

/** round(x) − sigma·v */
export const denoised = (
  x: Tensor,
  v: Tensor,
  sigma: number,
  options: DenoisedOptions = {},
): Tensor => {
  const rounding = roundings[options.rounding ?? "f32"];
  const out = options.out ?? Tensor.empty(x.dims, "f32");
  const status = fp.fp_denoised(out.handle, x.handle, v.handle, sigma, rounding);
  return done("denoised", status, out, options.out);
};

/** Mean distance of a from prev, and mean size of prev, which then becomes a. */
export const teacache = (a: Tensor, prev: Tensor): { diff: number; base: number } => {
  using out = Tensor.empty([2], "f32");
  check("teacache", fp.fp_teacache(out.handle, a.handle, prev.handle));
  const [diff = 0, base = 0] = out.f32();
  return { diff, base };
};

export type Stats = Readonly<Record<"bad" | "min" | "max" | "mean" | "std" | "absMax", number>>;

/** `bad` counts what is not finite; the others are over the finite values. */
export const stats = (x: Tensor): Stats => {
  using out = Tensor.empty([6], "f32");
  check("stats", fp.fp_stats(out.handle, x.handle));
  const [bad = 0, min = 0, max = 0, mean = 0, std = 0, absMax = 0] = out.f32();
  return { bad, min, max, mean, std, absMax };
};

/** A small picture of latents: u8 [T, h, w, 3]. */
export const latentRgb = (z: Tensor, factors: Tensor, bias: Tensor, o: Out = {}): Tensor => {
  const out = o.out ?? Tensor.empty([dim(z, 1), dim(z, 2), dim(z, 3), 3], "u8");
  const status = fp.fp_latent_rgb(out.handle, z.handle, factors.handle, bias.handle);
  return done("latent_rgb", status, out, o.out);
};
