// config.json of the video autoencoder.

import { z } from "zod";
import { oneOf, only, size } from "./read.ts";

export const vaeConfig = z
  .object({
    _class_name: oneOf("AutoencoderKLHunyuanVideo"),
    in_channels: size.default(3),
    out_channels: size.default(3),
    latent_channels: size.default(16),
    block_out_channels: z.array(size).min(1).max(8),
    down_block_types: z.array(oneOf("HunyuanVideoDownBlock3D")).optional(),
    up_block_types: z.array(oneOf("HunyuanVideoUpBlock3D")).optional(),
    layers_per_block: z.int().positive().max(64).default(2),
    act_fn: oneOf("silu").default("silu"),
    norm_num_groups: size.default(32),
    scaling_factor: z.number().positive().default(0.476986),
    spatial_compression_ratio: z.int().positive().max(64).default(8),
    temporal_compression_ratio: z.int().positive().max(64).default(4),
    mid_block_add_attention: only(true),
  })
  .refine((raw) => raw.block_out_channels.every((width) => width % raw.norm_num_groups === 0), {
    path: ["norm_num_groups"],
    error: "it does not divide every entry of block_out_channels",
  })
  .transform((raw) => ({
    inChannels: raw.in_channels,
    outChannels: raw.out_channels,
    latentChannels: raw.latent_channels,
    blocks: raw.block_out_channels,
    layersPerBlock: raw.layers_per_block,
    groups: raw.norm_num_groups,
    normEps: 1e-6,
    scalingFactor: raw.scaling_factor,
    /** Pixels a latent row or column stands for. */
    spatial: raw.spatial_compression_ratio,
    /** Frames a latent frame stands for, except the first, which stands for one. */
    temporal: raw.temporal_compression_ratio,
  }));

export type VaeConfig = z.output<typeof vaeConfig>;
