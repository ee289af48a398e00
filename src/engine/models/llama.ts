// The Llama text encoder, up to the hidden state that the transformer was trained on: the one
// before the last two layers, without the final norm. Those two layers are never loaded.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { LlamaConfig } from "../config/encoders.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import {
  checkGroups,
  type Lender,
  type LentWeights,
  type WeightGroup,
  type Weights,
} from "./lender.ts";
import { halvesTable } from "./rope-table.ts";

/** Layers at the end that do not count. */
const layersUnused = 2;

export interface LlamaOptions {
  /**
   * "round" rounds the rotary frequencies to float16, as the published pipeline's cast of the whole
   * encoder does; "exact" keeps them. Float16 runs round unless told otherwise.
   */
  readonly frequencies?: "round" | "exact" | undefined;
  readonly breathe?: Breathe | undefined;
  /** Sees intermediates; then the last two layers run as well. */
  readonly tap?: Tap | undefined;
}

export class Llama {
  readonly config: LlamaConfig;
  readonly #lender: Lender;
  readonly #dtype: FloatDtype;

  constructor(config: LlamaConfig, lender: Lender, dtype: FloatDtype) {
    this.config = config;
    this.#lender = lender;
    this.#dtype = dtype;
  }

  static check(config: LlamaConfig, weights: Weights): void {
    checkGroups(weights, [embedding(config), ...layerGroups(config, usedLayers(config))]);
  }

  /** The hidden states [n, C] of token ids without padding. */
  async hidden(ids: readonly number[], options: LlamaOptions = {}): Promise<Tensor> {
    const { breathe = holdBreath, tap } = options;
    const { layers, headDim, ropeTheta } = this.config;
    const mode = options.frequencies ?? (this.#dtype === "f16" ? "round" : "exact");
    const round = mode === "round" ? Math.f16round : Math.fround;
    const table = halvesTable(ids.length, headDim, ropeTheta, round);
    using rope = Tensor.from(table, [ids.length, 2 * headDim]);
    using h = await this.#embed(ids);
    tap?.("hidden_states.0", h);
    const used = usedLayers(this.config);
    const groups = layerGroups(this.config, tap === undefined ? used : layers);
    let result: Tensor | undefined;
    for (const [i, group] of groups.entries()) {
      if (i === used) result = h.contiguous();
      using w = await this.#lender.lend(group);
      llamaLayer(w, this.config, h, rope);
      if (i < layers - 1) tap?.(`hidden_states.${i + 1}`, h);
      const total = groups.length;
      await breathe({ network: "llama", part: group.id, done: i + 1, total, state: h });
    }
    if (tap !== undefined) await this.#tapNormed(h, tap);
    return result ?? h.contiguous();
  }

  /** The last entry of the reference's list of states is behind the final norm. */
  async #tapNormed(h: Tensor, tap: Tap): Promise<void> {
    using w = await this.#lender.lend(finalNorm(this.config));
    using normed = ops.rmsNorm(h, w.get("norm.weight"), { eps: this.config.normEps });
    tap(`hidden_states.${this.config.layers}`, normed);
  }

  async #embed(ids: readonly number[]): Promise<Tensor> {
    using w = await this.#lender.lend(embedding(this.config));
    using list = Tensor.from(Int32Array.from(ids), [ids.length]);
    return ops.embed(w.get("embed_tokens.weight"), list, { dtype: this.#dtype });
  }
}

/** One layer, in place on h [T, C]. Query heads share key and value heads in blocks. */
const llamaLayer = (w: LentWeights, config: LlamaConfig, h: Tensor, table: Tensor): void => {
  using scratch = ops.scope();
  const { heads, kvHeads, headDim, normEps: eps } = config;
  const [t = 0] = h.dims;
  const a = ops.rmsNorm(h, w.get("input_layernorm.weight"), { eps });
  const part = (name: string, count: number): Tensor =>
    ops.matmul(a, w.get(`self_attn.${name}.weight`)).reshape([t, count, headDim]);
  const q = part("q_proj", heads);
  const k = part("k_proj", kvHeads);
  const v = part("v_proj", kvHeads);
  ops.qkNormRope(q, { table, style: "halves" });
  ops.qkNormRope(k, { table, style: "halves" });
  const o = ops.attention(q, k, v, { scale: 1 / Math.sqrt(headDim), mask: "causal" });
  const joined = o.reshape([t, heads * headDim]);
  ops.matmul(joined, w.get("self_attn.o_proj.weight"), { residual: h, out: h });

  const b = ops.rmsNorm(h, w.get("post_attention_layernorm.weight"), { eps });
  const gate = ops.matmul(b, w.get("mlp.gate_proj.weight"));
  const up = ops.matmul(b, w.get("mlp.up_proj.weight"));
  const hidden = ops.glu(gate, up, { out: gate });
  ops.matmul(hidden, w.get("mlp.down_proj.weight"), { residual: h, out: h });
};

/** What a prompt needs, in the order of use. */
export const llamaGroups = (
  config: LlamaConfig,
): Readonly<{ embedding: WeightGroup; layers: readonly WeightGroup[] }> => ({
  embedding: embedding(config),
  layers: layerGroups(config, usedLayers(config)),
});

const usedLayers = ({ layers }: LlamaConfig): number => Math.max(0, layers - layersUnused);

const embedding = ({ vocab, dim }: LlamaConfig): WeightGroup => ({
  id: "llama embedding",
  prefix: "",
  shapes: { "embed_tokens.weight": [vocab, dim] },
  asStored: ["embed_tokens.weight"], // only a few rows of it are read
});

const finalNorm = ({ dim }: LlamaConfig): WeightGroup => ({
  id: "llama final norm",
  prefix: "",
  shapes: { "norm.weight": [dim] },
});

const layerGroups = (config: LlamaConfig, count: number): readonly WeightGroup[] => {
  const { dim, mlpDim, heads, kvHeads, headDim } = config;
  const shapes = {
    "input_layernorm.weight": [dim],
    "post_attention_layernorm.weight": [dim],
    "self_attn.q_proj.weight": [heads * headDim, dim],
    "self_attn.k_proj.weight": [kvHeads * headDim, dim],
    "self_attn.v_proj.weight": [kvHeads * headDim, dim],
    "self_attn.o_proj.weight": [dim, heads * headDim],
    "mlp.gate_proj.weight": [mlpDim, dim],
    "mlp.up_proj.weight": [mlpDim, dim],
    "mlp.down_proj.weight": [dim, mlpDim],
  };
  return Array.from({ length: count }, (_, i) => ({
    id: `layer ${i}`,
    prefix: `layers.${i}.`,
    shapes,
  }));
};
