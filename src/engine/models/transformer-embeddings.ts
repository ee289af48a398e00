// What enters the packed transformer: sinusoids of timestep and guidance, the conditioning vector,
// the projected image and the patches of noise and history.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { type LentWeights, linear } from "./lender.ts";
import { sinusoidWidth } from "./transformer-shape.ts";

const { fround } = Math;

/** Sinusoids of scalars, [n, 256] f32: cosines first, angles formed in float32. */
export const sinusoids = (scalars: readonly number[]): Float32Array => {
  const half = sinusoidWidth / 2;
  const rows = new Float32Array(scalars.length * sinusoidWidth);
  for (let k = 0; k < half; k++) {
    const exponent = fround(fround(-fround(Math.log(10_000)) * k) / half);
    const frequency = fround(Math.exp(exponent));
    scalars.forEach((scalar, i) => {
      const angle = fround(fround(scalar) * frequency);
      rows[i * sinusoidWidth + k] = Math.cos(angle);
      rows[i * sinusoidWidth + half + k] = Math.sin(angle);
    });
  }
  return rows;
};

/** Lin₂(silu(Lin₁(x))) of rows, with the weights `name.linear_1` and `name.linear_2`. */
export const embedVectors = (w: LentWeights, name: string, x: Tensor): Tensor => {
  using inner = linear(w, `${name}.linear_1`, x, { act: "silu" });
  return linear(w, `${name}.linear_2`, inner);
};

/** The embedding of each scalar, [n, D]. */
export const embedScalars = (
  w: LentWeights,
  name: string,
  scalars: readonly number[],
  dtype: FloatDtype,
): Tensor => {
  using waves = Tensor.from(sinusoids(scalars), [scalars.length, sinusoidWidth], dtype);
  return embedVectors(w, name, waves);
};

export interface TimeText {
  readonly timesteps: readonly number[];
  /** Given exactly where the model has guidance embeddings. */
  readonly guidance?: number | undefined;
  /** [textWidth], one vector for all timesteps. */
  readonly text: Tensor;
}

/** c of every timestep, [steps, D]: (timestep + guidance) + text. `name` is the weights' prefix. */
export const timeText = (w: LentWeights, name: string, input: TimeText): Tensor => {
  using scratch = ops.scope();
  const { timesteps, guidance, text } = input;
  const dtype = text.dtype as FloatDtype;
  let c = embedScalars(w, `${name}timestep_embedder`, timesteps, dtype);
  if (guidance !== undefined) {
    const g = embedScalars(w, `${name}guidance_embedder`, [guidance], dtype);
    c = ops.add(c, vector(g));
  }
  const pooled = embedVectors(w, `${name}text_embedder`, text.reshape([1, text.dims[0] ?? 0]));
  return ops.add(c, vector(pooled)).keep();
};

/** The image tokens as the blocks see them: Lin[down](silu(Lin[up](image))), [m, D]. */
export const projectImage = (w: LentWeights, image: Tensor): Tensor => {
  using up = linear(w, "image_projection.up", image, { act: "silu" });
  return linear(w, "image_projection.down", up);
};

/**
 * Patches of latents [C, T, h, w] (f32) embedded by the strided convolution `name`, [n, D].
 * Sizes are filled up to whole patches by repeating the last frame, row and column.
 */
export const embedPatches = (
  w: LentWeights,
  name: string,
  latents: Tensor,
  dtype: FloatDtype,
): Tensor => {
  using scratch = ops.scope();
  const weight = w.get(`${name}.weight`);
  const [dim = 0, channels = 0, kt = 0, kh = 0, kw = 0] = weight.dims;
  const flat = weight.reshape([dim, channels * kt * kh * kw]);
  const gathered = ops.patchGather(latents, [kt, kh, kw], { dtype });
  return ops.matmul(gathered, flat, { bias: w.get(`${name}.bias`) }).keep();
};

/** A matrix of one row as a vector view. */
export const vector = (row: Tensor): Tensor => row.reshape([row.dims[1] ?? 0]);
