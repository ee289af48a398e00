// Bytes and time of each phase of a job. On the CPU weights stay in their mapped files and count as
// such; on a device they lie where placement.ts puts them.

import type { Plan } from "../events.ts";
import type { Recipe } from "../job.ts";
import { type CoderPlan, coderGroup, decoderPlan, encoderPlan } from "../models/vae-shape.ts";
import type { SectionSpan } from "../sections/order.ts";
import { framesOf, overlapOf } from "../sections/order.ts";
import type { Placement } from "../weights/residency.ts";
import {
  decodeActivationBytes,
  decodeFlops,
  decodeTiles,
  encodeActivationBytes,
  encoderActivationBytes,
  type LatentShape,
  preparedBytes,
  type Tokens,
  tileSide,
  tileStride,
  transformerActivationBytes,
  transformerFlops,
} from "./cost.ts";
import type { ModelFacts } from "./facts.ts";
import { llamaBytes, placeTransformer, preparingBytes } from "./placement.ts";
import type { Rate } from "./rates.ts";

export type PhasesInput = Readonly<{
  recipe: Recipe;
  model: ModelFacts;
  isCpu: boolean;
  /** Memory there is; null for no limit. */
  deviceBytes: number | null;
  rate: Rate | null;
  latent: LatentShape;
  tokens: Tokens;
  spans: readonly SectionSpan[];
  tiled: boolean;
}>;

type Phase = Plan["phases"][number];
type Phases = Readonly<{
  phases: Phase[];
  ms: number | null;
  /** The transformer's blocks in a step; null on the CPU. */
  placement: Placement | null;
}>;

/** Resident memory of the program itself, its JavaScript heap and decoded pictures included. */
export const programBytes = 220_000_000;

/** Tokens of the prompt template that the text encoder reads besides the prompt. */
const templateTokens = 95;

export const planPhases = (input: PhasesInput): Phases => {
  const { model, rate, tokens, latent } = input;
  const bytes = bytesOf(input.recipe);
  const other = otherBytesOf(input);
  const { bytes: weights } = model;
  const text = encoderActivationBytes(model.llama, templateTokens + tokens.text, other);
  const vision = encoderActivationBytes(model.siglip, model.siglip.tokens, other);
  const encode = encodeActivationBytes(model.vae, pixelsOf(latent, model), other);
  const prepared = preparedBytes(model.transformer, {
    steps: input.recipe.steps,
    text: tokens.text,
    image: tokens.image,
    bytes,
  });
  const step = transformerActivationBytes(model.transformer, tokens, bytes);
  // The decoder, the shared pixels and the remembered tiles stay between sections.
  const kept = prepared + keptBytes(input) + coderBytes(decoderPlan(model.vae), input);
  const encoder = coderBytes(encoderPlan(model.vae), input);
  const decode = decodeBytes(input, other);
  const device = deviceWeights(input, kept + Math.max(step, decode));
  const phases = [
    phase(input, "text", {
      bytes: text,
      weights: weights.llama + weights.clip,
      device: device.text,
    }),
    phase(input, "vision", { bytes: vision, weights: weights.siglip, device: weights.siglip }),
    phase(input, "encode", { bytes: encoder + encode, weights: weights.vae, device: 0 }),
    phase(
      input,
      "prepare",
      { bytes: prepared, weights: weights.transformer, device: device.prepare },
      rate?.before,
    ),
    phase(
      input,
      "sample",
      { bytes: kept + step, weights: weights.transformer, device: device.step },
      sampleMs(input),
    ),
    phase(
      input,
      "decode",
      { bytes: kept + decode, weights: weights.vae, device: device.step },
      decodeMs(input),
    ),
  ];
  const known = phases.map(({ ms }) => ms).filter((ms) => ms !== null);
  const ms = rate === null ? null : known.reduce((sum, ms) => sum + ms, 0);
  return { phases, ms, placement: device.placement };
};

/** `weights` lie in their mapped files; `device` of them on a device at once. */
const phase = (
  { isCpu }: PhasesInput,
  name: Phase["name"],
  need: Readonly<{ bytes: number; weights: number; device: number }>,
  ms: number | null = null,
): Phase => ({
  name,
  deviceBytes: Math.ceil(need.bytes + (isCpu ? 0 : need.device)),
  ramBytes: Math.ceil(programBytes + (isCpu ? need.bytes : 0)),
  weightBytes: need.weights,
  ms,
});

type DeviceWeights = Readonly<{
  text: number;
  prepare: number;
  /** Resident blocks, slots and what every step needs: there from the first step to the last. */
  step: number;
  placement: Placement | null;
}>;

const deviceWeights = (input: PhasesInput, fixedBytes: number): DeviceWeights => {
  const { isCpu, model, recipe, deviceBytes } = input;
  if (isCpu) return { text: 0, prepare: 0, step: 0, placement: null };
  const { transformer, llama, bytes } = model;
  const encoders = recipe.dtype === "f32" ? "f32" : "f16";
  const placement = placeTransformer(transformer, recipe.dtype, { deviceBytes, fixedBytes });
  return {
    text: llamaBytes(llama, encoders) + bytes.clip,
    prepare: preparingBytes(transformer, recipe.dtype),
    step: placement.deviceBytes - fixedBytes,
    placement,
  };
};

/** Convolutions are laid out anew in the run's dtype, on any backend. */
const coderBytes = (plan: CoderPlan, input: PhasesInput): number => {
  const { shapes } = coderGroup(plan, input.model.vae.latentChannels);
  const values = Object.values(shapes).map((dims) => dims.reduce((n, d) => n * d, 1));
  return values.reduce((sum, n) => sum + n, 0) * otherBytesOf(input);
};

/** Bytes of a value in the transformer, and in the encoders and the autoencoder. */
const bytesOf = (recipe: Recipe): number => (recipe.dtype === "f32" ? 4 : 2);
const otherBytesOf = ({ recipe, isCpu }: Pick<PhasesInput, "recipe" | "isCpu">): number =>
  recipe.dtype === "f32" || isCpu ? 4 : 2;

const pixelsOf = (latent: LatentShape, { vae }: ModelFacts): { height: number; width: number } => ({
  height: latent.height * vae.spatial,
  width: latent.width * vae.spatial,
});

/**
 * What stays between sections: the pixels that two of them share, and decoded tiles to use again.
 */
const keptBytes = (input: PhasesInput): number => {
  const { height, width } = pixelsOf(input.latent, input.model);
  const edge = overlapOf(input.recipe.window) * height * width * 3 * otherBytesOf(input);
  const memo = memoBytes({ height, width }, otherBytesOf(input), input.deviceBytes);
  return edge + (input.spans.length > 1 ? memo : 0);
};

/**
 * Room for the decoded tiles of one clip and the new ones of the next, which come before the old
 * ones are asked for; none where that would be a large part of the memory there is.
 */
export const memoBytes = (
  bucket: Readonly<{ height: number; width: number }>,
  bytes: number,
  deviceBytes: number | null,
): number => {
  const need = 9 * 17 * bucket.height * bucket.width * 3 * bytes;
  return deviceBytes !== null && need > deviceBytes / 16 ? 0 : need;
};

const decodeBytes = ({ latent, model, recipe, tiled }: PhasesInput, bytes: number): number => {
  const side = (length: number): number => (tiled ? Math.min(length, tileSide) : length);
  const tile = { latents: 5, height: side(latent.height), width: side(latent.width) };
  const { height, width } = pixelsOf(latent, model);
  const clip = framesOf(2 * recipe.window + 1) * height * width * 3 * bytes;
  return clip + decodeActivationBytes(model.vae, tile, bytes);
};

/**
 * Share of the steps that is computed, when nothing better is known: nine to thirteen of
 * twenty-five.
 */
const computedAssumed = 0.45;

export const sampleFlops = ({ recipe, model, tokens, spans, rate }: PhasesInput): number => {
  const branches = recipe.cfg === 1 ? 1 : 2;
  const computed = recipe.teacache ? (rate?.computed ?? computedAssumed) : 1;
  const steps = recipe.steps * branches * computed;
  return spans.length * steps * transformerFlops(model.transformer, tokens.total);
};

export const clipFlops = (
  { model, latent, tiled }: Pick<PhasesInput, "model" | "latent" | "tiled">,
  latents: number,
): number => {
  const { height, width } = latent;
  // Tiles in space overlap by a quarter on each side that has a neighbour.
  const overlap = tiled ? (tileSide / tileStride) ** 2 : 1;
  const tiles = decodeTiles(latents).map((n) => decodeFlops(model.vae, n, height, width));
  return overlap * tiles.reduce((sum, flops) => sum + flops, 0);
};

const sampleMs = (input: PhasesInput): number | null =>
  input.rate === null ? null : (1000 * sampleFlops(input)) / input.rate.sample;

const decodeMs = (input: PhasesInput): number | null => {
  if (input.rate === null) return null;
  const flops = input.spans.map(({ decoded }) => clipFlops(input, decoded.to - decoded.from));
  return (1000 * flops.reduce((sum, f) => sum + f, 0)) / input.rate.decode;
};
