// Every tensor of the five published networks, in the order of their files: names, shapes, dtypes,
// and the configs that go with them. The encoders' files hold more than is used; that is here too.

import { clipConfig, llamaConfig, siglipConfig } from "../config/encoders.ts";
import { transformerConfig } from "../config/transformer.ts";
import { vaeConfig } from "../config/vae.ts";
import type { Shapes, WeightGroup } from "../models/lender.ts";
import { linearShapes } from "../models/lender.ts";
import { groupsOf } from "../models/transformer-shape.ts";
import { coderGroup, decoderPlan, encoderPlan } from "../models/vae-shape.ts";
import type { FileDtype } from "./safetensors.ts";

export type PublishedTensor = Readonly<{ name: string; dims: readonly number[] }>;
export type PublishedNetwork = Readonly<{
  config: Readonly<Record<string, unknown>>;
  stored: FileDtype;
  tensors: readonly PublishedTensor[];
}>;

const transformer = {
  _class_name: "HunyuanVideoTransformer3DModelPacked",
  _diffusers_version: "0.33.0.dev0",
  attention_head_dim: 128,
  guidance_embeds: true,
  has_clean_x_embedder: true,
  has_image_proj: true,
  image_proj_dim: 1152,
  in_channels: 16,
  mlp_ratio: 4.0,
  num_attention_heads: 24,
  num_layers: 20,
  num_refiner_layers: 2,
  num_single_layers: 40,
  out_channels: 16,
  patch_size: 2,
  patch_size_t: 1,
  pooled_projection_dim: 768,
  qk_norm: "rms_norm",
  rope_axes_dim: [16, 56, 56],
  rope_theta: 256.0,
  text_embed_dim: 4096,
} as const;

const llama = {
  architectures: ["LlamaModel"],
  model_type: "llama",
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: 128001,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 8192,
  mlp_bias: false,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 500000.0,
  torch_dtype: "float16",
  vocab_size: 128320,
} as const;

const clip = {
  architectures: ["CLIPTextModel"],
  model_type: "clip_text_model",
  bos_token_id: 0,
  eos_token_id: 2,
  hidden_act: "quick_gelu",
  hidden_size: 768,
  intermediate_size: 3072,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 77,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  pad_token_id: 1,
  projection_dim: 768,
  torch_dtype: "float16",
  vocab_size: 49408,
} as const;

const siglip = {
  architectures: ["SiglipVisionModel"],
  model_type: "siglip_vision_model",
  hidden_act: "gelu_pytorch_tanh",
  hidden_size: 1152,
  image_size: 384,
  intermediate_size: 4304,
  layer_norm_eps: 1e-6,
  num_attention_heads: 16,
  num_channels: 3,
  num_hidden_layers: 27,
  patch_size: 14,
  torch_dtype: "bfloat16",
} as const;

const vae = {
  _class_name: "AutoencoderKLHunyuanVideo",
  act_fn: "silu",
  block_out_channels: [128, 256, 512, 512],
  in_channels: 3,
  latent_channels: 16,
  layers_per_block: 2,
  mid_block_add_attention: true,
  norm_num_groups: 32,
  out_channels: 3,
  scaling_factor: 0.476986,
  spatial_compression_ratio: 8,
  temporal_compression_ratio: 4,
} as const;

export const publishedPreprocessor = {
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_processor_type: "SiglipImageProcessor",
  image_std: [0.5, 0.5, 0.5],
  resample: 3,
  rescale_factor: 1 / 255,
  size: { height: 384, width: 384 },
} as const;

const named = (prefix: string, shapes: Shapes): readonly PublishedTensor[] =>
  Object.entries(shapes).map(([name, dims]) => ({ name: prefix + name, dims }));

const ofGroups = (groups: readonly WeightGroup[]): readonly PublishedTensor[] =>
  groups.flatMap(({ prefix, shapes }) => named(prefix, shapes));

const each = <T>(count: number, make: (i: number) => readonly T[]): readonly T[] =>
  Array.from({ length: count }, (_, i) => make(i)).flat();

const transformerTensors = (): readonly PublishedTensor[] => {
  const groups = groupsOf(transformerConfig.parse(transformer));
  const patches = ofGroups([groups.patches]);
  const conditioning = ofGroups([groups.conditioning]);
  const starting = (all: readonly PublishedTensor[], prefix: string) =>
    all.filter(({ name }) => name.startsWith(prefix));
  return [
    ...starting(patches, "x_embedder."),
    ...starting(conditioning, "context_embedder."),
    ...starting(conditioning, "time_text_embed."),
    ...groups.double.flatMap((block, i) => ofGroups([groups.doubleModulation[i] ?? block, block])),
    ...groups.single.flatMap((block, i) => {
      const tensors = ofGroups([groups.singleModulation[i] ?? block, block]);
      const isAttention = ({ name }: PublishedTensor): boolean => name.includes(".attn.");
      return [...tensors.filter(isAttention), ...tensors.filter((tensor) => !isAttention(tensor))];
    }),
    ...ofGroups([groups.headModulation, groups.head]),
    ...starting(conditioning, "image_projection."),
    ...starting(patches, "clean_x_embedder."),
  ];
};

const llamaTensors = (): readonly PublishedTensor[] => {
  const { vocab, dim, mlpDim, layers, kvHeads, headDim } = llamaConfig.parse(llama);
  const layer = {
    "self_attn.q_proj.weight": [dim, dim],
    "self_attn.k_proj.weight": [kvHeads * headDim, dim],
    "self_attn.v_proj.weight": [kvHeads * headDim, dim],
    "self_attn.o_proj.weight": [dim, dim],
    "mlp.gate_proj.weight": [mlpDim, dim],
    "mlp.up_proj.weight": [mlpDim, dim],
    "mlp.down_proj.weight": [dim, mlpDim],
    "input_layernorm.weight": [dim],
    "post_attention_layernorm.weight": [dim],
  };
  return [
    { name: "embed_tokens.weight", dims: [vocab, dim] },
    ...each(layers, (i) => named(`layers.${i}.`, layer)),
    { name: "norm.weight", dims: [dim] },
  ];
};

/** Scale and shift of a layer norm. */
const normShapes = (name: string, dim: number): Shapes => ({
  [`${name}.weight`]: [dim],
  [`${name}.bias`]: [dim],
});

const encoderLayer = (dim: number, mlpDim: number): Shapes => ({
  ...normShapes("layer_norm1", dim),
  ...linearShapes("self_attn.q_proj", dim, dim),
  ...linearShapes("self_attn.k_proj", dim, dim),
  ...linearShapes("self_attn.v_proj", dim, dim),
  ...linearShapes("self_attn.out_proj", dim, dim),
  ...normShapes("layer_norm2", dim),
  ...linearShapes("mlp.fc1", mlpDim, dim),
  ...linearShapes("mlp.fc2", dim, mlpDim),
});

const clipTensors = (): readonly PublishedTensor[] => {
  const { vocab, positions, dim, mlpDim, layers } = clipConfig.parse(clip);
  const at = "text_model.";
  return [
    { name: `${at}embeddings.token_embedding.weight`, dims: [vocab, dim] },
    { name: `${at}embeddings.position_embedding.weight`, dims: [positions, dim] },
    ...each(layers, (i) => named(`${at}encoder.layers.${i}.`, encoderLayer(dim, mlpDim))),
    ...named(at, normShapes("final_layer_norm", dim)),
  ];
};

const siglipTensors = (): readonly PublishedTensor[] => {
  const { dim, mlpDim, layers, channels, patch, tokens } = siglipConfig.parse(siglip);
  const at = "vision_model.";
  // The pooling head, which nothing here uses.
  const head: Shapes = {
    "head.probe": [1, 1, dim],
    "head.attention.in_proj_weight": [3 * dim, dim],
    "head.attention.in_proj_bias": [3 * dim],
    ...linearShapes("head.attention.out_proj", dim, dim),
    ...normShapes("head.layernorm", dim),
    ...linearShapes("head.mlp.fc1", mlpDim, dim),
    ...linearShapes("head.mlp.fc2", dim, mlpDim),
  };
  return [
    { name: `${at}embeddings.patch_embedding.weight`, dims: [dim, channels, patch, patch] },
    { name: `${at}embeddings.patch_embedding.bias`, dims: [dim] },
    { name: `${at}embeddings.position_embedding.weight`, dims: [tokens, dim] },
    ...each(layers, (i) => named(`${at}encoder.layers.${i}.`, encoderLayer(dim, mlpDim))),
    ...named(at, normShapes("post_layernorm", dim)),
    ...named(at, head),
  ];
};

const vaeTensors = (): readonly PublishedTensor[] => {
  const config = vaeConfig.parse(vae);
  const { latentChannels } = config;
  return ofGroups([
    coderGroup(encoderPlan(config), latentChannels),
    coderGroup(decoderPlan(config), latentChannels),
  ]);
};

/** By the folder of a complete model. */
export const publishedNetworks = (): Readonly<
  Record<
    "transformer" | "text_encoder" | "text_encoder_2" | "image_encoder" | "vae",
    PublishedNetwork
  >
> => ({
  transformer: { config: transformer, stored: "BF16", tensors: transformerTensors() },
  text_encoder: { config: llama, stored: "F16", tensors: llamaTensors() },
  text_encoder_2: { config: clip, stored: "F16", tensors: clipTensors() },
  image_encoder: { config: siglip, stored: "BF16", tensors: siglipTensors() },
  vae: { config: vae, stored: "F32", tensors: vaeTensors() },
});
