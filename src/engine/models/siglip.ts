// The SigLIP vision encoder: one token a patch, after the last norm. Its pooling head is unused.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { SiglipConfig } from "../config/encoders.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import {
  affineNorm,
  type EncoderKind,
  encoderLayer,
  encoderLayerGroup,
  normShapes,
} from "./encoder-layer.ts";
import { checkGroups, type Lender, type WeightGroup, type Weights } from "./lender.ts";

const kind: EncoderKind = { act: "gelu_tanh", mask: "none" };

export interface SiglipOptions {
  readonly breathe?: Breathe | undefined;
  readonly tap?: Tap | undefined;
}

export class Siglip {
  readonly config: SiglipConfig;
  readonly #lender: Lender;
  readonly #dtype: FloatDtype;

  constructor(config: SiglipConfig, lender: Lender, dtype: FloatDtype) {
    this.config = config;
    this.#lender = lender;
    this.#dtype = dtype;
  }

  static check(config: SiglipConfig, weights: Weights): void {
    checkGroups(weights, [embeddings(config), ...layers(config), finalNorm(config)]);
  }

  /** Tokens [side², C] of pixels [3, size, size] (f32, −1..1). */
  async encode(pixels: Tensor, options: SiglipOptions = {}): Promise<Tensor> {
    const { breathe = holdBreath, tap } = options;
    using h = await this.#embed(pixels);
    tap?.("embeddings", h);
    for (const [i, group] of layers(this.config).entries()) {
      using w = await this.#lender.lend(group);
      encoderLayer(w, this.config, kind, h);
      tap?.(`layer.${i}`, h);
      const total = this.config.layers;
      await breathe({ network: "siglip", part: group.id, done: i + 1, total, state: h });
    }
    using w = await this.#lender.lend(finalNorm(this.config));
    return affineNorm(w, "post_layernorm", h, this.config.normEps);
  }

  /** Patches that fit whole; the pixels right of and below them are not looked at. */
  async #embed(pixels: Tensor): Promise<Tensor> {
    const { patch, side, dim, channels } = this.config;
    using w = await this.#lender.lend(embeddings(this.config));
    using scratch = ops.scope();
    const edge = side * patch;
    const whole = pixels.slice(1, 0, edge).slice(2, 0, edge).contiguous();
    const clip = whole.reshape([channels, 1, edge, edge]);
    const gathered = ops.patchGather(clip, [1, patch, patch], { dtype: this.#dtype });
    const weight = w.get("embeddings.patch_embedding.weight");
    const residual = w.get("embeddings.position_embedding.weight").to(this.#dtype);
    const bias = w.get("embeddings.patch_embedding.bias");
    const flat = weight.reshape([dim, channels * patch * patch]);
    return ops.matmul(gathered, flat, { bias, residual }).keep();
  }
}

const embeddings = ({ channels, dim, patch, tokens }: SiglipConfig): WeightGroup => ({
  id: "siglip embeddings",
  prefix: "",
  shapes: {
    "embeddings.patch_embedding.weight": [dim, channels, patch, patch],
    "embeddings.patch_embedding.bias": [dim],
    "embeddings.position_embedding.weight": [tokens, dim],
  },
});

const layers = (config: SiglipConfig): readonly WeightGroup[] =>
  Array.from({ length: config.layers }, (_, i) => encoderLayerGroup(i, config));

const finalNorm = ({ dim }: SiglipConfig): WeightGroup => ({
  id: "siglip final norm",
  prefix: "",
  shapes: normShapes("post_layernorm", dim),
});
