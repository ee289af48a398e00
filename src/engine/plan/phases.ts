// Bytes and time of each phase of a job. On the CPU weights stay in their mapped files and count as such; on a device
// they are uploaded, unless they are streamed, which the loader decides and the plan only bounds.

import type { Plan } from "../events.ts";
import type { Recipe } from "../job.ts";
import type { SectionSpan } from "../sections/order.ts";
import { framesOf, overlapOf } from "../sections/order.ts";
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
import type { Rate } from "./rates.ts";

export type PhasesInput = Readonly<{
  recipe: Recipe;
  model: ModelFacts;
  isCpu: boolean;
  rate: Rate | null;
  latent: LatentShape;
  tokens: Tokens;
  spans: readonly SectionSpan[];
  tiled: boolean;
}>;

type Phase = Plan["phases"][number];
type Phases = Readonly<{ phases: Phase[]; ms: number | null }>;

/** Resident memory of the program itself, its JavaScript heap and decoded pictures included. */
const programBytes = 220_000_000;

/** Tokens of the prompt template that the text encoder reads besides the prompt. */
const templateTokens = 95;

export const planPhases = (input: PhasesInput): Phases => {
  const { model, rate, tokens, latent } = input;
  const bytes = bytesOf(input.recipe);
  const other = otherBytesOf(input);
  const { bytes: weights } = model;
  const prepared = preparedBytes(model.transformer, {
    steps: input.recipe.steps,
    text: tokens.text,
    image: tokens.image,
    bytes,
  });
  const kept = keptBytes(input);
  const activations = {
    text: encoderActivationBytes(model.llama, templateTokens + tokens.text, other),
    vision: encoderActivationBytes(model.siglip, model.siglip.tokens, other),
    encode: encodeActivationBytes(model.vae, pixelsOf(latent, model), other),
    prepare: prepared,
    sample: prepared + transformerActivationBytes(model.transformer, tokens, bytes),
    decode: prepared + decodeBytes(input, other),
  };
  const phases = [
    phase(input, "text", activations.text, weights.llama + weights.clip),
    phase(input, "vision", activations.vision, weights.siglip),
    phase(input, "encode", activations.encode, weights.vae),
    {
      ...phase(input, "prepare", activations.prepare, weights.transformer),
      ms: rate?.before ?? null,
    },
    {
      ...phase(input, "sample", kept + activations.sample, weights.transformer),
      ms: sampleMs(input),
    },
    { ...phase(input, "decode", kept + activations.decode, weights.vae), ms: decodeMs(input) },
  ];
  const known = phases.map(({ ms }) => ms).filter((ms) => ms !== null);
  return { phases, ms: rate === null ? null : known.reduce((sum, ms) => sum + ms, 0) };
};

const phase = (
  { isCpu }: PhasesInput,
  name: Phase["name"],
  activations: number,
  weightBytes: number,
): Phase => ({
  name,
  deviceBytes: Math.ceil(activations + (isCpu ? 0 : weightBytes)),
  ramBytes: Math.ceil(programBytes + (isCpu ? activations : 0)),
  weightBytes,
  ms: null,
});

/** Bytes of a value in the transformer, and in the encoders and the autoencoder. */
const bytesOf = (recipe: Recipe): number => (recipe.dtype === "f32" ? 4 : 2);
const otherBytesOf = ({ recipe, isCpu }: Pick<PhasesInput, "recipe" | "isCpu">): number =>
  recipe.dtype === "f32" || isCpu ? 4 : 2;

const pixelsOf = (latent: LatentShape, { vae }: ModelFacts): { height: number; width: number } => ({
  height: latent.height * vae.spatial,
  width: latent.width * vae.spatial,
});

/** The pixels that two sections share, kept between them. */
const keptBytes = (input: PhasesInput): number => {
  const { height, width } = pixelsOf(input.latent, input.model);
  return overlapOf(input.recipe.window) * height * width * 3 * otherBytesOf(input);
};

const decodeBytes = ({ latent, model, recipe, tiled }: PhasesInput, bytes: number): number => {
  const side = (length: number): number => (tiled ? Math.min(length, tileSide) : length);
  const tile = { latents: 5, height: side(latent.height), width: side(latent.width) };
  const { height, width } = pixelsOf(latent, model);
  const clip = framesOf(2 * recipe.window + 1) * height * width * 3 * bytes;
  return clip + decodeActivationBytes(model.vae, tile, bytes);
};

/** Share of the steps that is computed, when nothing better is known: nine to thirteen of twenty-five. */
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
