// Whether a job fits into the memory there is, and what would if it does not. Said before anything
// is computed.

import type { Plan } from "../events.ts";
import { Failure } from "../failure.ts";
import type { Recipe } from "../job.ts";
import { reserveBytes } from "./placement.ts";
import { type PlanInput, planJob } from "./plan.ts";

/** Throws `fit.memory` or `fit.vram`, naming the nearest setting that fits. */
export const refuseUnfit = (input: PlanInput, plan: Plan): void => {
  const { deviceBytes: limit, isCpu } = input;
  if (limit === null || needOf(input, plan) <= limit) return;
  const need = amount(needOf(input, plan));
  const [id, what] = isCpu
    ? (["fit.memory", "memory"] as const)
    : (["fit.vram", "GPU memory"] as const);
  const text = `The job needs about ${need} of ${what} and may use ${amount(limit)}.`;
  throw new Failure(id, text, { hint: nearest(input, limit) });
};

const needOf = ({ isCpu }: PlanInput, plan: Plan): number =>
  isCpu ? plan.ramBytesPeak : plan.deviceBytesPeak + reserveBytes;

const nearest = (input: PlanInput, limit: number): string => {
  const flag = input.isCpu ? "--ram" : "--vram";
  for (const change of changes(input.recipe)) {
    const recipe = { ...input.recipe, ...change };
    const changed = { ...input, recipe };
    const need = needOf(changed, planJob(changed));
    if (need > limit) continue;
    return `${flagsOf(change)} fits, with ${amount(need)}.`;
  }
  const least = { ...input, recipe: { ...input.recipe, spatialTiling: "on" as const } };
  const need = needOf(least, planJob(least));
  return `--spatial-tiling on with ${flag} ${Math.ceil(need / 1e8) / 10}G is the least.`;
};

type Change = Readonly<Partial<Pick<Recipe, "spatialTiling" | "window">>>;

/** From what costs least: tiles, then a shorter window. */
const changes = ({ window, spatialTiling }: Recipe): readonly Change[] => {
  const tiled = { spatialTiling: "on" } as const;
  const shorter = Array.from({ length: window - 1 }, (_, i) => ({
    ...tiled,
    window: window - 1 - i,
  }));
  return spatialTiling === "on" ? shorter : [tiled, ...shorter];
};

const flagsOf = ({ spatialTiling, window }: Change): string =>
  [
    ...(spatialTiling === undefined ? [] : [`--spatial-tiling ${spatialTiling}`]),
    ...(window === undefined ? [] : [`--window ${window}`]),
  ].join(" ");

/** Rounded up: a promise that is a little too small is none. */
const amount = (bytes: number): string =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(Math.ceil(bytes / 1e8) / 10).toFixed(1)} GB`;
