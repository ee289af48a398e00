// The video autoencoder as data: its configuration, the plan of each coder, and the tensors it has.
// Pure: nothing here touches the library.

import type { VaeConfig } from "../config/vae.ts";
import { Failure } from "../failure.ts";
import { linearShapes, type Shapes, type WeightGroup } from "./lender.ts";

export interface ResnetPlan {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** A convolution that halves or, after repeating neighbours, doubles the sizes named. */
export interface ResamplePlan {
  readonly name: string;
  readonly channels: number;
  readonly time: boolean;
  readonly space: boolean;
}

export interface StagePlan {
  readonly resnets: readonly ResnetPlan[];
  readonly resample?: ResamplePlan;
}

/** Encoder: conv_in, stages, mid, out. Decoder: conv_in, mid, stages, out. */
export interface CoderPlan {
  readonly name: "encoder" | "decoder";
  readonly convIn: readonly [from: number, to: number];
  readonly stages: readonly StagePlan[];
  readonly midChannels: number;
  readonly convOut: readonly [from: number, to: number];
}

export const encoderPlan = (config: VaeConfig): CoderPlan => {
  const channels = config.blocks;
  const stages = channels.map((to, i): StagePlan => {
    const name = `encoder.down_blocks.${i}`;
    const from = channels[i - 1] ?? first(channels);
    const resnets = resnetPlans(name, config.layersPerBlock, from, to);
    const resample = resamplePlan(config, i, `${name}.downsamplers.0.conv`, to);
    return resample === undefined ? { resnets } : { resnets, resample };
  });
  return {
    name: "encoder",
    convIn: [config.inChannels, first(channels)],
    stages,
    midChannels: last(channels),
    convOut: [last(channels), 2 * config.latentChannels],
  };
};

export const decoderPlan = (config: VaeConfig): CoderPlan => {
  const channels = config.blocks.toReversed();
  const stages = channels.map((to, i): StagePlan => {
    const name = `decoder.up_blocks.${i}`;
    const from = channels[i - 1] ?? first(channels);
    const resnets = resnetPlans(name, config.layersPerBlock + 1, from, to);
    const resample = resamplePlan(config, i, `${name}.upsamplers.0.conv`, to);
    return resample === undefined ? { resnets } : { resnets, resample };
  });
  return {
    name: "decoder",
    convIn: [config.latentChannels, first(channels)],
    stages,
    midChannels: first(channels),
    convOut: [last(channels), config.outChannels],
  };
};

/** The coder's tensors, with the 1×1×1 convolution on the latents' side. */
export const coderGroup = (plan: CoderPlan, latentChannels: number): WeightGroup => {
  const { name, midChannels: mid } = plan;
  const quant = name === "encoder" ? "quant_conv" : "post_quant_conv";
  const width = name === "encoder" ? 2 * latentChannels : latentChannels;
  const resnets = [
    ...plan.stages.flatMap((stage) => stage.resnets),
    { name: `${name}.mid_block.resnets.0`, from: mid, to: mid },
    { name: `${name}.mid_block.resnets.1`, from: mid, to: mid },
  ];
  const resamples = plan.stages.flatMap(({ resample }) => (resample ? [resample] : []));
  const shapes: Shapes = Object.assign(
    {
      ...convShapes(quant, width, width, 1),
      ...convShapes(`${name}.conv_in.conv`, plan.convIn[1], plan.convIn[0], 3),
      ...normShapes(`${name}.conv_norm_out`, plan.convOut[0]),
      ...convShapes(`${name}.conv_out.conv`, plan.convOut[1], plan.convOut[0], 3),
    },
    ...resnets.map(resnetShapes),
    ...resamples.map((r) => convShapes(`${r.name}.conv`, r.channels, r.channels, 3)),
    attentionShapes(`${name}.mid_block.attentions.0`, mid),
  );
  return { id: name, prefix: "", shapes };
};

/** Fails on a configuration that no published model of this kind has. */
export const checkVaeConfig = (config: VaeConfig): void => {
  const wrong = (what: string): Failure =>
    new Failure("model.config", `The autoencoder's config.json ${what}.`);
  if (config.spatial !== 8 || config.temporal !== 4) {
    throw wrong("asks for other ratios than 8 in space and 4 in time");
  }
  if (config.blocks.length !== 4) throw wrong("needs four block_out_channels");
};

const resnetPlans = (name: string, count: number, from: number, to: number): ResnetPlan[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${name}.resnets.${i}`,
    from: i === 0 ? from : to,
    to,
  }));

/** Space changes in the first log2(8) blocks, time in the last log2(4) blocks but one. */
const resamplePlan = (
  config: VaeConfig,
  i: number,
  name: string,
  channels: number,
): ResamplePlan | undefined => {
  const count = config.blocks.length;
  const space = i < Math.log2(config.spatial);
  const time = i >= count - 1 - Math.log2(config.temporal) && i < count - 1;
  return space || time ? { name, channels, time, space } : undefined;
};

const convShapes = (name: string, out: number, into: number, kernel: number): Shapes => ({
  [`${name}.weight`]: [out, into, kernel, kernel, kernel],
  [`${name}.bias`]: [out],
});

const normShapes = (name: string, channels: number): Shapes => ({
  [`${name}.weight`]: [channels],
  [`${name}.bias`]: [channels],
});

const resnetShapes = ({ name, from, to }: ResnetPlan): Shapes => ({
  ...normShapes(`${name}.norm1`, from),
  ...convShapes(`${name}.conv1.conv`, to, from, 3),
  ...normShapes(`${name}.norm2`, to),
  ...convShapes(`${name}.conv2.conv`, to, to, 3),
  ...(from === to ? {} : convShapes(`${name}.conv_shortcut.conv`, to, from, 1)),
});

const attentionShapes = (name: string, channels: number): Shapes => ({
  ...normShapes(`${name}.group_norm`, channels),
  ...linearShapes(`${name}.to_q`, channels, channels),
  ...linearShapes(`${name}.to_k`, channels, channels),
  ...linearShapes(`${name}.to_v`, channels, channels),
  ...linearShapes(`${name}.to_out.0`, channels, channels),
});

const first = (channels: readonly number[]): number => channels[0] ?? 0;
const last = (channels: readonly number[]): number => channels.at(-1) ?? 0;
