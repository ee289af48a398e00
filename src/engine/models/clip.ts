// The CLIP text encoder, of which only the pooled row is used.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { ClipConfig } from "../config/encoders.ts";
import { Failure } from "../failure.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import {
  affineNorm,
  type EncoderKind,
  encoderLayer,
  encoderLayerGroup,
  normShapes,
} from "./encoder-layer.ts";
import { checkGroups, type Lender, type WeightGroup, type Weights } from "./lender.ts";

const kind: EncoderKind = { act: "quick_gelu", mask: "causal" };
/** A value in old configurations that stands for "the row of the largest id". */
const legacyEos = 2;

export interface ClipOptions {
  readonly breathe?: Breathe | undefined;
  /** Sees intermediates; then every row is computed, not only those before the pooled one. */
  readonly tap?: Tap | undefined;
}

export class Clip {
  readonly config: ClipConfig;
  readonly #lender: Lender;
  readonly #dtype: FloatDtype;

  constructor(config: ClipConfig, lender: Lender, dtype: FloatDtype) {
    this.config = config;
    this.#lender = lender;
    this.#dtype = dtype;
  }

  static check(config: ClipConfig, weights: Weights): void {
    checkGroups(weights, [embeddings(config), ...layers(config), finalNorm(config)]);
  }

  /** The pooled row [C] of token ids (with start and end tokens, padded or not). */
  async pooled(ids: readonly number[], options: ClipOptions = {}): Promise<Tensor> {
    const { breathe = holdBreath, tap } = options;
    const row = pooledRow(ids, this.config.eosId);
    // Attention is causal: rows after the pooled one change nothing.
    const used = tap === undefined ? ids.slice(0, row + 1) : ids;
    using h = await this.#embed(used);
    tap?.("embeddings", h);
    for (const [i, group] of layers(this.config).entries()) {
      using w = await this.#lender.lend(group);
      encoderLayer(w, this.config, kind, h);
      tap?.(`layer.${i}`, h);
      const total = this.config.layers;
      await breathe({ network: "clip", part: group.id, done: i + 1, total, state: h });
    }
    using w = await this.#lender.lend(finalNorm(this.config));
    using scratch = ops.scope();
    const normed = affineNorm(w, "final_layer_norm", h, this.config.normEps);
    tap?.("last_hidden_state", normed);
    return normed
      .rows(row, row + 1)
      .reshape([this.config.dim])
      .contiguous()
      .keep();
  }

  async #embed(ids: readonly number[]): Promise<Tensor> {
    const { positions } = this.config;
    if (ids.length > positions) {
      throw new Failure("input.tokens", `CLIP takes ${positions} tokens, not ${ids.length}.`);
    }
    using w = await this.#lender.lend(embeddings(this.config));
    using scratch = ops.scope();
    const list = Tensor.from(Int32Array.from(ids), [ids.length]);
    const tokens = ops.embed(w.get("embeddings.token_embedding.weight"), list, {
      dtype: this.#dtype,
    });
    const places = w.get("embeddings.position_embedding.weight").rows(0, ids.length);
    return ops.add(tokens, places.to(this.#dtype)).keep();
  }
}

/** First row with the end token, or by the legacy rule the first with the largest id. */
const pooledRow = (ids: readonly number[], eosId: number): number => {
  const largest = ids.indexOf(ids.reduce((a, b) => Math.max(a, b), -1));
  const end = eosId === legacyEos ? largest : ids.indexOf(eosId);
  return Math.max(0, end === -1 ? largest : end);
};

const embeddings = ({ vocab, positions, dim }: ClipConfig): WeightGroup => ({
  id: "clip embeddings",
  prefix: "",
  shapes: {
    "embeddings.token_embedding.weight": [vocab, dim],
    "embeddings.position_embedding.weight": [positions, dim],
  },
});

const layers = (config: ClipConfig): readonly WeightGroup[] =>
  Array.from({ length: config.layers }, (_, i) => encoderLayerGroup(i, config));

const finalNorm = ({ dim }: ClipConfig): WeightGroup => ({
  id: "clip final norm",
  prefix: "",
  shapes: normShapes("final_layer_norm", dim),
});
