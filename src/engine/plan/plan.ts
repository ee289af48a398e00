// What a job will do, before it does it: sections, exact frames, tokens, bytes and time of every
// phase, and what the user should know first. Pure: the same facts give the same plan.

import { chooseBucket } from "../buckets.ts";
import type { Plan } from "../events.ts";
import { Failure } from "../failure.ts";
import type { Recipe } from "../job.ts";
import { filmBytesEstimate } from "../media/x264.ts";
import {
  frameCount,
  framesPerSecond,
  paddings,
  sectionCount,
  sectionSpans,
} from "../sections/order.ts";
import { type Placement, placeHost } from "../weights/residency.ts";
import { countTokens, type LatentShape, tileSide } from "./cost.ts";
import type { ModelFacts } from "./facts.ts";
import { planPhases, programBytes } from "./phases.ts";
import { tensorBytes } from "./placement.ts";
import type { Rate } from "./rates.ts";

export type PlanInput = Readonly<{
  recipe: Recipe;
  model: ModelFacts;
  /** Size of the start picture, upright. */
  picture: Readonly<{ height: number; width: number }>;
  /** Tokens of the prompt that reach the transformer; null where it was not tokenised. */
  textTokens: number | null;
  /** Where weights and activations lie. */
  isCpu: boolean;
  /** Memory that spatial tiling has to keep to; null for no limit. */
  deviceBytes: number | null;
  rate: Rate | null;
}>;

export const secondsMax = 3600;

/** Prompt tokens assumed where the prompt was not tokenised. */
const textTokensAssumed = 64;

/** Named in recipes so that one made where it exists is understood; never computed as something else. */
const refuseQuantised = ({ precision }: Recipe): void => {
  if (precision === "native") return;
  throw new Failure("usage.precision", `This build cannot compute with ${precision} weights.`, {
    hint: "Leave --precision out: the weights are used as published.",
  });
};

export const planJob = (input: PlanInput): Plan => {
  const { recipe } = input;
  refuseQuantised(recipe);
  const { order, fps, steps } = recipe;
  const shape = shapeOf(input);
  const { sections, bucket, latent, tokens, frames, spans } = shape;
  const { phases, ms, placement } = planPhases({ ...input, ...shape });
  const peak = (pick: (phase: Plan["phases"][number]) => number): number =>
    Math.max(...phases.map(pick));
  return {
    askedSeconds: recipe.seconds,
    sections,
    frames,
    seconds: frames / fps,
    fps,
    order,
    paddings: order === "inverted" ? [...paddings(sections)] : null,
    bucket,
    latent,
    steps,
    tokens,
    sectionFrames: spans.map((span) => span.final),
    phases,
    deviceBytesPeak: peak((phase) => phase.deviceBytes),
    ramBytesPeak: peak((phase) => phase.ramBytes),
    diskBytes: diskBytes(recipe, bucket, frames),
    ms,
    basis: basisOf(input.rate),
    warnings: [...warningsOf(input, sections, frames), ...streamNotes(input, placement)],
  };
};

/** Where the transformer's blocks lie in a step; null on the CPU. */
export const planPlacement = (input: PlanInput): Placement | null =>
  planPhases({ ...input, ...shapeOf(input) }).placement;

const shapeOf = (input: PlanInput) => {
  const { recipe, model } = input;
  const { order, window } = recipe;
  const sections = sectionCount(checkSeconds(recipe.seconds), window);
  const bucket = chooseBucket(input.picture, model.settings.buckets);
  const latent = latentShape(bucket, window, model);
  const text = input.textTokens ?? textTokensAssumed;
  const tokens = countTokens(latent, model.transformer.patch, {
    image: model.transformer.imageDim === undefined ? 0 : model.siglip.tokens,
    text,
  });
  const spans = sectionSpans(order, sections, window);
  const frames = frameCount(sections, window);
  return {
    sections,
    bucket,
    latent,
    tokens,
    frames,
    spans,
    tiled: usesSpatialTiles(input, latent),
  };
};

/** What comes over the link in every step, and from where. */
const streamNotes = (input: PlanInput, placement: Placement | null): readonly string[] => {
  if (placement === null || placement.streamedBytes === 0) return [];
  const { doubleLayers, singleLayers } = input.model.transformer;
  const { streamedBytes, resident } = placement;
  const host = placeHost({ streamedBytes, programBytes, ramBytes: input.recipe.ramBytes });
  const gb = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  const total = doubleLayers + singleLayers;
  const stream = `${resident} of ${total} blocks stay on the GPU; ${gb(streamedBytes)} stream to it in every step.`;
  if (host.diskBytes === 0) return [stream];
  return [
    stream,
    `They do not fit into ${gb(input.recipe.ramBytes ?? 0)}: every step reads them from the disk.`,
  ];
};

/** A length that can be made, or a refusal that says why not. */
export const checkSeconds = (seconds: number): number => {
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= secondsMax) return seconds;
  throw new Failure("usage.seconds", `A video cannot be ${seconds} seconds long.`, {
    hint: `Give a number above 0 and up to ${secondsMax} with --seconds.`,
  });
};

export const latentShape = (
  bucket: Readonly<{ height: number; width: number }>,
  window: number,
  model: Pick<ModelFacts, "vae">,
): LatentShape => ({
  frames: window,
  height: bucket.height / model.vae.spatial,
  width: bucket.width / model.vae.spatial,
});

/** Whether the decoder cuts pictures into tiles. Asked for, or needed for want of memory. */
export const usesSpatialTiles = (input: PlanInput, latent: LatentShape): boolean => {
  const { spatialTiling } = input.recipe;
  if (latent.height <= tileSide && latent.width <= tileSide) return false;
  if (spatialTiling !== "auto") return spatialTiling === "on";
  if (input.deviceBytes === null) return false;
  const { phases } = planPhases({ ...input, latent, tokens: noTokens, spans: [], tiled: false });
  const decode = phases.find((phase) => phase.name === "decode");
  const limit = input.isCpu ? input.deviceBytes : tensorBytes(input.deviceBytes);
  return limit !== null && (decode?.deviceBytes ?? 0) > limit;
};

const noTokens = { noise: 0, clean1x: 0, clean2x: 0, clean4x: 0, image: 0, text: 0, total: 0 };

/** Segments, the growing file and its successor lie on the disk at once. */
const diskBytes = (
  recipe: Recipe,
  bucket: Readonly<{ height: number; width: number }>,
  frames: number,
): number => {
  const film = 3 * filmBytesEstimate({ ...bucket, frames, crf: recipe.crf });
  const pictures = recipe.frames === null ? 0 : frames * bucket.width * bucket.height * 3;
  return film + pictures;
};

const basisOf = (rate: Rate | null): string =>
  rate === null ? "not measured on this machine yet" : "measured on this machine";

const warningsOf = ({ recipe, model }: PlanInput, sections: number, frames: number): string[] => {
  const { settings } = model;
  const { window, fps, cfg, seed } = recipe;
  const real = frames / framesPerSecond;
  const n = sections === 1 ? "1 section makes" : `${sections} sections make`;
  const most = settings.sectionsMax;
  const list: (string | false)[] = [
    Math.abs(real - recipe.seconds) >= 0.01 &&
      `${recipe.seconds} s asked: ${n} ${frames} frames, ${real.toFixed(2)} s.`,
    most !== null &&
      sections > most &&
      `The model was trained for up to ${most} sections; ${sections} may drift.`,
    window !== settings.window &&
      `The model was made for a window of ${settings.window} latent frames, not ${window}.`,
    fps !== framesPerSecond &&
      [
        `Motion is made for ${framesPerSecond} frames a second; at ${fps} it runs at`,
        `${(fps / framesPerSecond).toFixed(2)} times the speed,`,
        `and the video lasts ${(frames / fps).toFixed(2)} s.`,
      ].join(" "),
    recipe.prompt.trim() === "" && "The prompt is empty: what moves is left to the model.",
    recipe.negativePrompt !== "" &&
      cfg === 1 &&
      "The negative prompt is not used: it counts with --cfg above 1 only.",
    cfg !== 1 && "Real guidance computes every step twice; the model is made for 1.",
    (seed < 0 || seed > 0xffffffff) &&
      `Only the low 32 bits of the seed count: ${seed} gives the noise of ${seed >>> 0}.`,
  ];
  return list.filter((text) => text !== false);
};
