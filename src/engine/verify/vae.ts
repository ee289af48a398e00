// Cases of the autoencoder: encode or decode, whole or in tiles of the sizes that the case names.

import { z } from "zod";
import type { Tensor } from "../../ffi/tensor.ts";
import { loadVae } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import { joinFrames, posteriorLatents, type Vae, type VaeOptions } from "../models/vae.ts";
import { defaultTiling, type Tiling } from "../models/vae-tiling.ts";
import type { Case } from "./case.ts";
import { channelsFirst, type Judge, valuesOf } from "./measure.ts";
import { allDtypes, type CaseKind, type CaseRun } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";

const run = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  using loaded = loadVae(of.folder, load);
  const inputs = of.inputs(variant);
  const outputs = of.outputs(variant);
  const options = { ...tilingOf(of, variant), tap: tapChannelsFirst(judge, outputs) };
  if (inputs.has("latents")) await decode(loaded.network, inputs, outputs, judge, options);
  if (inputs.has("image")) await encode(loaded.network, inputs, outputs, judge, options);
};

export const vae: CaseKind = { dtypes: allDtypes, perVariant: true, run };

const decode = async (
  vae: Vae,
  inputs: ReferenceFile,
  outputs: ReferenceFile,
  judge: Judge,
  options: VaeOptions,
): Promise<void> => {
  using latents = inputs.tensor("latents");
  using frames = new Bag();
  for await (const part of vae.decode(latents, options)) frames.add(part);
  using clip = joinFrames(frames.all);
  const want = outputs.find("pixels");
  if (want !== undefined) judge.compare("pixels", channelsFirst(clip), want.data);
};

const encode = async (
  vae: Vae,
  inputs: ReferenceFile,
  outputs: ReferenceFile,
  judge: Judge,
  options: VaeOptions,
): Promise<void> => {
  using image = inputs.tensor("image");
  using turned = image.permute([1, 2, 3, 0]);
  using pixels = turned.contiguous();
  using posterior = await vae.encode(pixels, options);
  const noise = inputs.has("posterior_noise") ? inputs.floats("posterior_noise") : undefined;
  const got = {
    "posterior.mean": valuesOf(posterior.mean),
    "posterior.logvar": valuesOf(posterior.logvar),
    latents: posteriorLatents(posterior, vae.config.scalingFactor, noise),
  };
  for (const [name, values] of Object.entries(got)) {
    const want = outputs.find(name);
    if (want !== undefined) judge.compare(name, values, want.data);
  }
};

const sizesSchema = z.object({
  use_tiling: z.boolean().default(false),
  tile_sample_min_num_frames: z.int().positive().default(defaultTiling.frames),
  tile_sample_stride_num_frames: z.int().positive().default(defaultTiling.frameStride),
  tile_sample_min_height: z.int().positive().default(defaultTiling.rows),
  tile_sample_stride_height: z.int().positive().default(defaultTiling.rowStride),
  tile_sample_min_width: z.int().positive().default(defaultTiling.columns),
  tile_sample_stride_width: z.int().positive().default(defaultTiling.columnStride),
});

const tilingOf = (of: Case, variant: string): { tiling: Tiling; spatialTiles: boolean } => {
  const sizes = sizesSchema.parse({ ...of.raw, ...of.settings(variant) });
  return {
    spatialTiles: sizes.use_tiling,
    tiling: {
      frames: sizes.tile_sample_min_num_frames,
      frameStride: sizes.tile_sample_stride_num_frames,
      rows: sizes.tile_sample_min_height,
      rowStride: sizes.tile_sample_stride_height,
      columns: sizes.tile_sample_min_width,
      columnStride: sizes.tile_sample_stride_width,
    },
  };
};

/** Intermediates are channels-last here and channels-first in references; tokens are tokens. */
const tapChannelsFirst =
  (judge: Judge, outputs: ReferenceFile) =>
  (name: string, tensor: Tensor): void => {
    const want = outputs.find(name);
    if (want === undefined) return;
    const isTokens = want.dims.length === 3;
    judge.compare(name, isTokens ? valuesOf(tensor) : channelsFirst(tensor), want.data);
  };
