// The packed transformer as data: its configuration, its sizes, and which tensors each block has.
// Pure: nothing here touches the library.

import type { TokenRefinerConfig, TransformerConfig } from "../config/transformer.ts";
import { linearShapes, type Shapes, type WeightGroup } from "./lender.ts";

/** Width of the sinusoid that the timestep and guidance embedders take. */
export const sinusoidWidth = 256;

/** Sizes that blocks need; `dim` channels of the residual stream, `mlpDim` of the mlpDim layers. */
export type TransformerSizes = Pick<TransformerConfig, "heads" | "headDim" | "dim" | "mlpDim">;

/** Every group of the model, in the order of use. */
export interface TransformerGroups {
  /** Time, guidance and text embedders, refiner and image projection: once a job. */
  readonly conditioning: WeightGroup;
  /** Modulation of double blocks, of single blocks, of the head: once a job. */
  readonly doubleModulation: readonly WeightGroup[];
  readonly singleModulation: readonly WeightGroup[];
  readonly headModulation: WeightGroup;
  /** Patch embedders: once a section and once a step. */
  readonly patches: WeightGroup;
  readonly double: readonly WeightGroup[];
  readonly single: readonly WeightGroup[];
  readonly head: WeightGroup;
}

export const groupsOf = (config: TransformerConfig): TransformerGroups => {
  const doubles = upTo(config.doubleLayers);
  const singles = upTo(config.singleLayers);
  return {
    conditioning: conditioningGroup(config),
    doubleModulation: doubles.map((i) => doubleModulation(i, config)),
    singleModulation: singles.map((i) => singleModulation(i, config)),
    headModulation: {
      id: "head modulation",
      prefix: "norm_out.",
      shapes: linearShapes("linear", 2 * config.dim, config.dim),
    },
    patches: patchGroup(config),
    double: doubles.map((i) => doubleGroup(i, config)),
    single: singles.map((i) => singleGroup(i, config)),
    head: {
      id: "head",
      prefix: "",
      shapes: linearShapes("proj_out", config.outChannels * config.patch ** 2, config.dim),
      asStored: ["proj_out.weight", "proj_out.bias"], // the last linear runs in float32
    },
  };
};

export const listGroups = (groups: TransformerGroups): readonly WeightGroup[] => [
  groups.conditioning,
  ...groups.doubleModulation,
  ...groups.singleModulation,
  groups.headModulation,
  groups.patches,
  ...groups.double,
  ...groups.single,
  groups.head,
];

/** Two linears with silu between them: `name.linear_1`, `name.linear_2`. */
const mlp2Shapes = (name: string, into: number, dim: number): Shapes => ({
  ...linearShapes(`${name}.linear_1`, dim, into),
  ...linearShapes(`${name}.linear_2`, dim, dim),
});

/** Shapes of the embedders of timestep, guidance (if any) and a text vector under `name`. */
export const timeTextShapes = (
  name: string,
  dim: number,
  textWidth: number,
  guidance: boolean,
): Shapes => ({
  ...mlp2Shapes(`${name}timestep_embedder`, sinusoidWidth, dim),
  ...(guidance ? mlp2Shapes(`${name}guidance_embedder`, sinusoidWidth, dim) : {}),
  ...mlp2Shapes(`${name}text_embedder`, textWidth, dim),
});

/** The refiner's sizes, alone or as a part of the transformer. */
export type RefinerSizes = Pick<
  TokenRefinerConfig,
  "heads" | "headDim" | "dim" | "mlpDim" | "textDim" | "layers"
>;

/** Shapes of the token refiner, whose names start with `name`. */
export const refinerShapes = (name: string, sizes: RefinerSizes): Shapes => {
  const { dim } = sizes;
  const block = (i: number): Shapes => {
    const at = `${name}token_refiner.refiner_blocks.${i}.`;
    return {
      [`${at}norm1.weight`]: [dim],
      [`${at}norm1.bias`]: [dim],
      [`${at}norm2.weight`]: [dim],
      [`${at}norm2.bias`]: [dim],
      ...attentionShapes(at, ["to_q", "to_k", "to_v", "to_out.0"], dim),
      ...linearShapes(`${at}ff.net.0.proj`, sizes.mlpDim, dim),
      ...linearShapes(`${at}ff.net.2`, dim, sizes.mlpDim),
      ...linearShapes(`${at}norm_out.linear`, 2 * dim, dim),
    };
  };
  return Object.assign(
    {
      ...timeTextShapes(`${name}time_text_embed.`, dim, sizes.textDim, false),
      ...linearShapes(`${name}proj_in`, dim, sizes.textDim),
    },
    ...upTo(sizes.layers).map(block),
  );
};

/** The refiner's hidden width does not follow mlp_ratio. */
export const refinerSizesOf = (config: TransformerConfig): RefinerSizes => ({
  ...config,
  layers: config.refinerLayers,
  mlpDim: 4 * config.dim,
});

const conditioningGroup = (config: TransformerConfig): WeightGroup => {
  const { dim, imageDim } = config;
  const image =
    imageDim === undefined
      ? {}
      : {
          ...linearShapes("image_projection.up", 3 * dim, imageDim),
          ...linearShapes("image_projection.down", dim, 3 * dim),
        };
  return {
    id: "conditioning",
    prefix: "",
    shapes: {
      ...timeTextShapes("time_text_embed.", dim, config.pooledDim, config.hasGuidance),
      ...refinerShapes("context_embedder.", refinerSizesOf(config)),
      ...image,
    },
  };
};

const patchGroup = (config: TransformerConfig): WeightGroup => {
  const { dim, inChannels: channels, patch: p } = config;
  const conv = (name: string, scale: number): Shapes => ({
    [`${name}.weight`]: [dim, channels, scale, scale * p, scale * p],
    [`${name}.bias`]: [dim],
  });
  const clean = {
    ...conv("clean_x_embedder.proj", 1),
    ...conv("clean_x_embedder.proj_2x", 2),
    ...conv("clean_x_embedder.proj_4x", 4),
  };
  const shapes = { ...conv("x_embedder.proj", 1), ...(config.hasCleanX ? clean : {}) };
  return { id: "patches", prefix: "", shapes };
};

const attentionShapes = (prefix: string, names: readonly string[], dim: number): Shapes =>
  Object.assign({}, ...names.map((name) => linearShapes(`${prefix}attn.${name}`, dim, dim)));

const normShapes = (names: readonly string[], headDim: number): Shapes =>
  Object.fromEntries(names.map((name) => [`attn.${name}.weight`, [headDim]]));

const doubleModulation = (i: number, { dim }: TransformerSizes): WeightGroup => ({
  id: `double ${i} modulation`,
  prefix: `transformer_blocks.${i}.`,
  shapes: {
    ...linearShapes("norm1.linear", 6 * dim, dim),
    ...linearShapes("norm1_context.linear", 6 * dim, dim),
  },
});

const singleModulation = (i: number, { dim }: TransformerSizes): WeightGroup => ({
  id: `single ${i} modulation`,
  prefix: `single_transformer_blocks.${i}.`,
  shapes: linearShapes("norm.linear", 3 * dim, dim),
});

const doubleGroup = (i: number, { dim, headDim, mlpDim }: TransformerSizes): WeightGroup => ({
  id: `double ${i}`,
  prefix: `transformer_blocks.${i}.`,
  shapes: {
    ...attentionShapes("", ["to_q", "to_k", "to_v", "to_out.0"], dim),
    ...attentionShapes("", ["add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"], dim),
    ...normShapes(["norm_q", "norm_k", "norm_added_q", "norm_added_k"], headDim),
    ...linearShapes("ff.net.0.proj", mlpDim, dim),
    ...linearShapes("ff.net.2", dim, mlpDim),
    ...linearShapes("ff_context.net.0.proj", mlpDim, dim),
    ...linearShapes("ff_context.net.2", dim, mlpDim),
  },
});

const singleGroup = (i: number, { dim, headDim, mlpDim }: TransformerSizes): WeightGroup => ({
  id: `single ${i}`,
  prefix: `single_transformer_blocks.${i}.`,
  shapes: {
    ...attentionShapes("", ["to_q", "to_k", "to_v"], dim),
    ...normShapes(["norm_q", "norm_k"], headDim),
    ...linearShapes("proj_mlp", mlpDim, dim),
    ...linearShapes("proj_out", dim, dim + mlpDim),
  },
});

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
