// config.json of every network: published values, what is derived from them, what is refused.

import { expect, test } from "bun:test";
import {
  clipConfig,
  llamaConfig,
  preprocessorConfig,
  siglipConfig,
} from "../../../src/engine/config/encoders.ts";
import { readConfig } from "../../../src/engine/config/read.ts";
import {
  timeEmbedConfig,
  tokenRefinerConfig,
  transformerConfig,
} from "../../../src/engine/config/transformer.ts";
import { vaeConfig } from "../../../src/engine/config/vae.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const publishedTransformer = {
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
};

const publishedVae = {
  _class_name: "AutoencoderKLHunyuanVideo",
  act_fn: "silu",
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("HunyuanVideoDownBlock3D"),
  in_channels: 3,
  latent_channels: 16,
  layers_per_block: 2,
  mid_block_add_attention: true,
  norm_num_groups: 32,
  out_channels: 3,
  scaling_factor: 0.476986,
  spatial_compression_ratio: 8,
  temporal_compression_ratio: 4,
  up_block_types: Array(4).fill("HunyuanVideoUpBlock3D"),
};

const publishedLlama = {
  architectures: ["LlamaModel"],
  attention_bias: false,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 14336,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 500000.0,
  vocab_size: 128320,
};

const problemOf = (schema: Parameters<typeof readConfig>[1], config: unknown): string => {
  using folder = new ScratchFolder();
  const path = folder.write("config.json", JSON.stringify(config));
  try {
    readConfig(path, schema);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("the config was accepted");
};

test("the published transformer has a width of 3072 and takes an image of 1152 channels", () => {
  const config = transformerConfig.parse(publishedTransformer);

  expect(config).toMatchObject({ dim: 3072, mlpDim: 12288, doubleLayers: 20, singleLayers: 40 });
  expect(config).toMatchObject({ imageDim: 1152, hasCleanX: true, ropeAxes: [16, 56, 56] });
});

test("the class name that diffusers gives the same network is accepted", () => {
  const config = transformerConfig.parse({
    ...publishedTransformer,
    _class_name: "HunyuanVideoFramepackTransformer3DModel",
    image_condition_type: null,
  });

  expect(config.heads).toBe(24);
});

test("a transformer without image and history parts says so in its config", () => {
  const raw = { ...publishedTransformer, has_image_proj: false, has_clean_x_embedder: false };

  expect(transformerConfig.parse(raw)).toMatchObject({ imageDim: undefined, hasCleanX: false });
});

test("an unknown architecture names itself and the known ones", () => {
  const raw = { ...publishedTransformer, _class_name: "FluxTransformer2DModel" };

  const problem = problemOf(transformerConfig, raw);

  expect(problem).toContain('_class_name: "FluxTransformer2DModel" is not supported');
  expect(problem).toContain("HunyuanVideoTransformer3DModelPacked");
});

test("every problem of a config is told with its path", () => {
  const raw = { ...publishedTransformer, qk_norm: "layer_norm", num_layers: -1, patch_size: "2" };

  const problem = problemOf(transformerConfig, raw);

  expect(problem).toContain("config.json");
  expect(problem).toContain("qk_norm:");
  expect(problem).toContain("num_layers:");
  expect(problem).toContain("patch_size:");
});

test("rope axes that do not fill a head are refused", () => {
  const problem = problemOf(transformerConfig, {
    ...publishedTransformer,
    rope_axes_dim: [8, 8, 8],
  });

  expect(problem).toContain("rope_axes_dim: the three axes do not add up");
});

test("the parts alone have configs of their own", () => {
  const refiner = {
    in_channels: 20,
    num_attention_heads: 3,
    attention_head_dim: 16,
    num_layers: 2,
  };

  expect(
    tokenRefinerConfig.parse({ _class_name: "HunyuanVideoTokenRefiner", ...refiner }),
  ).toMatchObject({ dim: 48, mlpDim: 192, layers: 2 });
  expect(
    timeEmbedConfig.parse({
      _class_name: "CombinedTimestepGuidanceTextProjEmbeddings",
      embedding_dim: 48,
      pooled_projection_dim: 12,
    }),
  ).toEqual({ dim: 48, pooledDim: 12 });
});

test("the published autoencoder is read, and groups that do not divide are refused", () => {
  expect(vaeConfig.parse(publishedVae)).toMatchObject({
    blocks: [128, 256, 512, 512],
    scalingFactor: 0.476986,
    groups: 32,
  });
  expect(problemOf(vaeConfig, { ...publishedVae, norm_num_groups: 3 })).toContain(
    "norm_num_groups",
  );
  expect(problemOf(vaeConfig, { ...publishedVae, _class_name: "AutoencoderKLWan" })).toContain(
    '"AutoencoderKLWan" is not supported',
  );
});

test("the rope theta of the text encoder is read in its old and in its new place", () => {
  const { rope_theta, rope_scaling: _, ...rest } = publishedLlama;
  const renewed = { ...rest, rope_parameters: { rope_theta, rope_type: "default" } };

  expect(llamaConfig.parse(publishedLlama)).toMatchObject({ ropeTheta: 500000, headDim: 128 });
  expect(llamaConfig.parse(renewed)).toMatchObject({ ropeTheta: 500000, kvHeads: 8 });
});

test("scaled rope positions, biases and another activation are refused", () => {
  const scaled = { ...publishedLlama, rope_scaling: { rope_type: "llama3", factor: 8 } };

  expect(problemOf(llamaConfig, scaled)).toContain("rope_scaling.rope_type");
  expect(problemOf(llamaConfig, { ...publishedLlama, mlp_bias: true })).toContain("mlp_bias");
  expect(problemOf(llamaConfig, { ...publishedLlama, hidden_act: "gelu" })).toContain("hidden_act");
});

test("the pooled text encoder keeps the id that marks the pooled row", () => {
  const config = clipConfig.parse({
    model_type: "clip_text_model",
    vocab_size: 49408,
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    eos_token_id: 2,
    hidden_act: "quick_gelu",
  });

  expect(config).toMatchObject({ headDim: 64, positions: 77, eosId: 2, normEps: 1e-5 });
});

const vision = {
  model_type: "siglip_vision_model",
  hidden_size: 1152,
  intermediate_size: 4304,
  num_hidden_layers: 27,
  num_attention_heads: 16,
  image_size: 384,
  patch_size: 14,
};

test("the image encoder counts whole patches only, also inside a config of text and vision", () => {
  expect(siglipConfig.parse(vision)).toMatchObject({ headDim: 72, side: 27, tokens: 729 });
  expect(siglipConfig.parse({ model_type: "siglip", vision_config: vision }).tokens).toBe(729);
});

test("a preprocessor with another resampling is refused", () => {
  const raw = {
    size: { height: 384, width: 384 },
    resample: 3,
    rescale_factor: 0.00392156862745098,
  };

  expect(preprocessorConfig.parse(raw)).toMatchObject({ height: 384, mean: [0.5, 0.5, 0.5] });
  expect(problemOf(preprocessorConfig, { ...raw, resample: 2 })).toContain("resample");
});
