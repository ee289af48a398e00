// config.json of the packed video transformer, as the original and as diffusers write it.

import { z } from "zod";
import { count, epsilon, oneOf, size } from "./read.ts";

/** Class names under which the same network is published. */
export const transformerClasses = [
  "HunyuanVideoTransformer3DModelPacked",
  "HunyuanVideoFramepackTransformer3DModel",
] as const;

const axis = z.int().positive().multipleOf(2).max(4096);

export const transformerConfig = z
  .object({
    _class_name: oneOf(...transformerClasses),
    in_channels: size,
    out_channels: size,
    num_attention_heads: size,
    attention_head_dim: size,
    num_layers: count,
    num_single_layers: count,
    num_refiner_layers: count,
    mlp_ratio: z.number().positive().max(64),
    patch_size: size,
    patch_size_t: size,
    qk_norm: oneOf("rms_norm"),
    guidance_embeds: z.boolean().nullish(),
    text_embed_dim: size,
    pooled_projection_dim: size,
    rope_theta: z.number().positive(),
    rope_axes_dim: z.tuple([axis, axis, axis]),
    has_image_proj: z.boolean().default(false),
    image_proj_dim: size.default(1152),
    has_clean_x_embedder: z.boolean().default(false),
    image_condition_type: z.null({ error: "only null is supported" }).optional(),
  })
  .refine((raw) => raw.rope_axes_dim.reduce((a, b) => a + b) === raw.attention_head_dim, {
    path: ["rope_axes_dim"],
    error: "the three axes do not add up to attention_head_dim",
  })
  .refine((raw) => raw.patch_size_t === 1, {
    path: ["patch_size_t"],
    error: "only 1 is supported",
  })
  .transform((raw) => ({
    inChannels: raw.in_channels,
    outChannels: raw.out_channels,
    heads: raw.num_attention_heads,
    headDim: raw.attention_head_dim,
    /** Width of the token stream. */
    dim: raw.num_attention_heads * raw.attention_head_dim,
    /** Hidden width of the feed-forward parts. */
    mlpDim: Math.floor(raw.num_attention_heads * raw.attention_head_dim * raw.mlp_ratio),
    doubleLayers: raw.num_layers,
    singleLayers: raw.num_single_layers,
    refinerLayers: raw.num_refiner_layers,
    patch: raw.patch_size,
    patchT: raw.patch_size_t,
    textDim: raw.text_embed_dim,
    pooledDim: raw.pooled_projection_dim,
    /** Width of the image encoder's tokens; undefined when the network takes no image. */
    imageDim: raw.has_image_proj ? raw.image_proj_dim : undefined,
    hasCleanX: raw.has_clean_x_embedder,
    /** Whether a distilled guidance scale is one of its inputs. */
    hasGuidance: raw.guidance_embeds ?? true,
    ropeTheta: raw.rope_theta,
    /** Channels of a head that turn with time, rows and columns. */
    ropeAxes: raw.rope_axes_dim,
    qkNormEps: 1e-6,
  }));

export type TransformerConfig = z.output<typeof transformerConfig>;

/** The text refiner alone, as reference cases carry it. */
export const tokenRefinerConfig = z
  .object({
    _class_name: oneOf("HunyuanVideoTokenRefiner"),
    in_channels: size,
    num_attention_heads: size,
    attention_head_dim: size,
    num_layers: count,
    mlp_ratio: z.number().positive().max(64).default(4),
    eps: epsilon.default(1e-6),
  })
  .transform((raw) => ({
    textDim: raw.in_channels,
    heads: raw.num_attention_heads,
    headDim: raw.attention_head_dim,
    dim: raw.num_attention_heads * raw.attention_head_dim,
    mlpDim: Math.floor(raw.num_attention_heads * raw.attention_head_dim * raw.mlp_ratio),
    layers: raw.num_layers,
    eps: raw.eps,
  }));

export type TokenRefinerConfig = z.output<typeof tokenRefinerConfig>;

/** The embedding of timestep, guidance and pooled text alone. */
export const timeEmbedConfig = z
  .object({
    _class_name: oneOf("CombinedTimestepGuidanceTextProjEmbeddings"),
    embedding_dim: size,
    pooled_projection_dim: size,
  })
  .transform((raw) => ({ dim: raw.embedding_dim, pooledDim: raw.pooled_projection_dim }));

export type TimeEmbedConfig = z.output<typeof timeEmbedConfig>;
