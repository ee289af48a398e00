// What the picture and the prompts become before sampling: embeddings of the text, tokens of the
// picture, and the latent that the video starts from.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { PreprocessorConfig } from "../config/encoders.ts";
import type { Breathe } from "../models/breathe.ts";
import type { Clip } from "../models/clip.ts";
import type { Llama } from "../models/llama.ts";
import type { Siglip } from "../models/siglip.ts";
import { normalised, squeezed } from "../models/siglip-pixels.ts";
import { posteriorLatents, type Vae } from "../models/vae.ts";
import type { Picture } from "../picture.ts";
import { blaming, guarded, numbersFailure, troubleOf } from "../sampling/guard.ts";
import { NoiseGenerator } from "../sampling/noise.ts";
import type { PromptTokens } from "../text/prompt.ts";

/** Embeddings of one prompt: rows of the language model, and the pooled row of CLIP. */
export class TextEmbedding implements Disposable {
  readonly text: Tensor;
  readonly pooled: Tensor;

  constructor(text: Tensor, pooled: Tensor) {
    this.text = text;
    this.pooled = pooled;
  }

  [Symbol.dispose](): void {
    this.text[Symbol.dispose]();
    this.pooled[Symbol.dispose]();
  }
}

export const embedPrompt = async (
  { llama, clip }: Readonly<{ llama: Llama; clip: Clip }>,
  tokens: PromptTokens,
  breathe: Breathe,
): Promise<TextEmbedding> => {
  const { ids, crop } = tokens.llama;
  using hidden = await guarded("llama", breathe, (b) => llama.hidden(ids, { breathe: b }));
  const pooled = await guarded("clip", breathe, (b) =>
    clip.pooled(tokens.clip.ids, { breathe: b }),
  );
  using rows = hidden.rows(Math.min(crop, ids.length), ids.length);
  return new TextEmbedding(rows.contiguous(), pooled);
};

/** Tokens of the picture, which is squashed to the encoder's square whatever its shape. */
export const embedPicture = async (
  siglip: Siglip,
  picture: Picture,
  config: PreprocessorConfig,
  breathe: Breathe,
): Promise<Tensor> => {
  const square = squeezed(picture, config);
  using pixels = Tensor.from(normalised(square, config), [3, config.height, config.width]);
  return await guarded("siglip", breathe, (b) => siglip.encode(pixels, { breathe: b }));
};

export type StartOptions = Readonly<{
  /** The posterior's mean, or a sample of it by noise of the seed. */
  kind: "mean" | "sample";
  seed: number;
  spatialTiles: boolean;
  breathe: Breathe;
}>;

/** A stream of its own: the noise of the sections stays that of the seed alone. */
const startSeedOffset = 0x9e3779b9;

/** The start latent, [C, 1, h, w]. */
export const encodeStart = async (
  vae: Vae,
  picture: Picture,
  options: StartOptions,
): Promise<Float32Array> => {
  const { spatialTiles, breathe, kind, seed } = options;
  using bytes = Tensor.from(picture.rgb, [1, picture.height, picture.width, 3]);
  using pixels = ops.fromU8(bytes, "f32");
  using posterior = await vae.encode(pixels, { spatialTiles, breathe });
  const trouble = troubleOf("vae", ops.stats(posterior.mean), posterior.mean.count);
  // One flat colour makes a flat latent; only what is no number at all is a failure here.
  if (trouble === "not numbers") {
    using _again = await vae.encode(pixels, { spatialTiles, breathe: blaming(breathe) });
    throw numbersFailure("vae", "the encoder's output", trouble);
  }
  const noise =
    kind === "sample"
      ? new NoiseGenerator(seed + startSeedOffset).normals(posterior.mean.count)
      : undefined;
  return posteriorLatents(posterior, vae.config.scalingFactor, noise);
};
