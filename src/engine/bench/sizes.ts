// How large the measured work is: the published networks at 544×704 on a GPU, a smaller transformer
// and autoencoder where the CPU computes, and next to nothing where a GPU is emulated.

import type { Backend } from "../../ffi/types.ts";
import { type TransformerConfig, transformerConfig } from "../config/transformer.ts";
import { type VaeConfig, vaeConfig } from "../config/vae.ts";
import { publishedNetworks } from "../weights/published-shapes.ts";

export interface Sizes {
  readonly transformer: TransformerConfig;
  readonly vae: VaeConfig;
  readonly section: SectionSizes;
  /** Latent frames, rows and columns that the autoencoder decodes. */
  readonly latents: readonly [frames: number, rows: number, columns: number];
  /** Bytes of one copy to, from and within the device. */
  readonly copyBytes: number;
  /** Distinct random numbers. */
  readonly block: number;
}

export interface SectionSizes {
  /** Patches of a frame. */
  readonly grid: readonly [rows: number, columns: number];
  /** Vision tokens and tokens of the prompt. */
  readonly image: number;
  readonly prompt: number;
  /** Rows of noise, of all pictures, and of everything. */
  readonly noiseRows: number;
  readonly imageRows: number;
  readonly tokens: number;
}

/** Frames of noise in a section, and of history at full, half and quarter resolution. */
export const frames = { noise: 9, clean1x: 2, clean2x: 2, clean4x: 16 } as const;

const published = { tokens: 18_019, image: 729, prompt: 64 } as const;
/** 544×704 in patches of 16 pixels. */
const side = [34, 44] as const;

export const sectionOf = (tokens_max: number): SectionSizes => {
  const share = Math.min(1, tokens_max / published.tokens);
  const image = Math.max(1, Math.floor(published.image * share));
  const prompt = Math.max(1, Math.floor(published.prompt * share));
  const of = (rows: number): SectionSizes => {
    const columns = Math.max(1, Math.round((rows * side[1]) / side[0]));
    const at = (frames: number, by: number): number =>
      Math.ceil(frames / by) * Math.ceil(rows / by) * Math.ceil(columns / by);
    const noiseRows = at(frames.noise, 1);
    const imageRows =
      noiseRows + at(frames.clean1x, 1) + at(frames.clean2x, 2) + at(frames.clean4x, 4);
    const tokens = imageRows + image + prompt;
    return { grid: [rows, columns], image, prompt, noiseRows, imageRows, tokens };
  };
  let rows = 1;
  while (of(rows + 1).tokens <= tokens_max) rows++;
  return of(rows);
};

export const sizesOf = (backend: Backend, tokens?: number): Sizes => {
  switch (backend) {
    case "cuda":
      return full(tokens ?? published.tokens);
    case "cpu":
      return small(tokens ?? 600);
    case "emulated":
      return tiny(tokens ?? 40);
    default:
      return backend satisfies never;
  }
};

const full = (tokens: number): Sizes => {
  const networks = publishedNetworks();
  return {
    transformer: transformerConfig.parse(networks.transformer.config),
    vae: vaeConfig.parse(networks.vae.config),
    section: sectionOf(tokens),
    latents: [18, 68, 88],
    copyBytes: 256 * 2 ** 20,
    block: 2 ** 20 + 16,
  };
};

const small = (tokens: number): Sizes => ({
  transformer: transformerOf({
    num_attention_heads: 8,
    attention_head_dim: 128,
    num_layers: 1,
    num_single_layers: 2,
    num_refiner_layers: 1,
    rope_axes_dim: [16, 56, 56],
    text_embed_dim: 512,
    pooled_projection_dim: 256,
    image_proj_dim: 256,
  }),
  vae: vaeOf([32, 64, 128, 128], 32),
  section: sectionOf(tokens),
  latents: [5, 8, 8],
  copyBytes: 32 * 2 ** 20,
  block: 2 ** 18 + 16,
});

const tiny = (tokens: number): Sizes => ({
  transformer: transformerOf({
    num_attention_heads: 2,
    attention_head_dim: 16,
    num_layers: 1,
    num_single_layers: 1,
    num_refiner_layers: 1,
    rope_axes_dim: [4, 6, 6],
    text_embed_dim: 16,
    pooled_projection_dim: 16,
    image_proj_dim: 16,
  }),
  vae: vaeOf([8, 8, 8, 8], 4),
  section: sectionOf(tokens),
  latents: [2, 1, 1],
  copyBytes: 2 ** 16,
  block: 2 ** 12 + 16,
});

const transformerOf = (own: Readonly<Record<string, unknown>>): TransformerConfig =>
  transformerConfig.parse({ ...publishedNetworks().transformer.config, ...own });

const vaeOf = (channels: readonly number[], groups: number): VaeConfig =>
  vaeConfig.parse({
    ...publishedNetworks().vae.config,
    block_out_channels: channels,
    norm_num_groups: groups,
  });
