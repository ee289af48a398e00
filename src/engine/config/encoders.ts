// config.json of the two text encoders and the image encoder, and the image preprocessor's file.

import { z } from "zod";
import { count, epsilon, oneOf, only, size } from "./read.ts";

const rope = z.object({
  rope_theta: z.number().positive().optional(),
  rope_type: oneOf("default").optional(),
});

export const llamaConfig = z
  .object({
    model_type: oneOf("llama"),
    vocab_size: size,
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: count,
    num_attention_heads: size,
    num_key_value_heads: size.optional(),
    head_dim: size.nullish(),
    hidden_act: oneOf("silu").default("silu"),
    rms_norm_eps: epsilon.default(1e-5),
    rope_theta: z.number().positive().optional(),
    rope_parameters: rope.nullish(),
    rope_scaling: rope.nullish(),
    attention_bias: only(false),
    mlp_bias: only(false),
  })
  .transform((raw) => ({
    vocab: raw.vocab_size,
    dim: raw.hidden_size,
    mlpDim: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    kvHeads: raw.num_key_value_heads ?? raw.num_attention_heads,
    headDim: raw.head_dim ?? Math.floor(raw.hidden_size / raw.num_attention_heads),
    normEps: raw.rms_norm_eps,
    ropeTheta: raw.rope_theta ?? raw.rope_parameters?.rope_theta ?? 10000,
  }))
  .refine((config) => config.heads % config.kvHeads === 0, {
    path: ["num_key_value_heads"],
    error: "it does not divide num_attention_heads",
  });

export type LlamaConfig = z.output<typeof llamaConfig>;

export const clipConfig = z
  .object({
    model_type: oneOf("clip_text_model"),
    vocab_size: size,
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: count,
    num_attention_heads: size,
    max_position_embeddings: size.default(77),
    hidden_act: oneOf("quick_gelu").default("quick_gelu"),
    layer_norm_eps: epsilon.default(1e-5),
    eos_token_id: z.int().nonnegative().default(2),
  })
  .transform((raw) => ({
    vocab: raw.vocab_size,
    dim: raw.hidden_size,
    mlpDim: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
    positions: raw.max_position_embeddings,
    normEps: raw.layer_norm_eps,
    /** The pooled row is the first with this id; 2 is a legacy value: then the largest id counts. */
    eosId: raw.eos_token_id,
  }));

export type ClipConfig = z.output<typeof clipConfig>;

const siglipVision = z
  .object({
    model_type: oneOf("siglip_vision_model"),
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: count,
    num_attention_heads: size,
    num_channels: size.default(3),
    image_size: size,
    patch_size: size,
    hidden_act: oneOf("gelu_pytorch_tanh").default("gelu_pytorch_tanh"),
    layer_norm_eps: epsilon.default(1e-6),
  })
  .transform((raw) => {
    const side = Math.floor(raw.image_size / raw.patch_size);
    return {
      dim: raw.hidden_size,
      mlpDim: raw.intermediate_size,
      layers: raw.num_hidden_layers,
      heads: raw.num_attention_heads,
      headDim: Math.floor(raw.hidden_size / raw.num_attention_heads),
      channels: raw.num_channels,
      imageSize: raw.image_size,
      patch: raw.patch_size,
      /** Rows and columns of patches; pixels beyond them are not looked at. */
      side,
      tokens: side * side,
      normEps: raw.layer_norm_eps,
    };
  });

/** A folder with text and vision in one has the vision part under its own key. */
export const siglipConfig = z.preprocess((raw) => {
  const whole = raw as Readonly<Record<string, unknown>> | null;
  return typeof whole?.vision_config === "object" ? whole.vision_config : raw;
}, siglipVision);

export type SiglipConfig = z.output<typeof siglipConfig>;

const triple = z.tuple([z.number(), z.number(), z.number()]);

export const preprocessorConfig = z
  .object({
    size: z.object({ height: size, width: size }),
    resample: z.literal(3, { error: "only 3 (bicubic) is supported" }).default(3),
    do_resize: only(true),
    do_rescale: only(true),
    do_normalize: only(true),
    rescale_factor: z
      .number()
      .positive()
      .default(1 / 255),
    image_mean: triple.default([0.5, 0.5, 0.5]),
    image_std: triple.default([0.5, 0.5, 0.5]),
  })
  .transform((raw) => ({
    height: raw.size.height,
    width: raw.size.width,
    rescale: raw.rescale_factor,
    mean: raw.image_mean,
    std: raw.image_std,
  }));

export type PreprocessorConfig = z.output<typeof preprocessorConfig>;
