// A job between two sections, on disk: one safetensors file, written whole or not at all. It holds
// everything that the rest of the job depends on, so that a resumed job gives the same bytes as one
// that was never interrupted.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Failure } from "../failure.ts";
import { type Recipe, recipeSchema } from "../job.ts";
import type { FilmState } from "../media/sink.ts";
import { quoted } from "../printable.ts";
import type { NoiseState } from "../sampling/noise.ts";
import type { SectionState } from "../sections/make-sections.ts";
import { readSafetensors } from "../weights/safetensors.ts";
import { tensorBytes, writeSafetensors } from "../weights/safetensors-write.ts";

const factsSchema = z.object({
  v: z.literal(1),
  recipe: recipeSchema,
  /** Identity of the weights; another model must not go on where this one stopped. */
  model: z.string(),
  version: z.string(),
  /** Where the video is being made. */
  out: z.string(),
  done: z.int().min(0),
  /** Latents made, and frames held in the history tensor. */
  made: z.int(),
  frames: z.int(),
  noise: z.object({ words: z.string(), index: z.int(), spare: z.number().nullable() }),
  film: z.object({
    segments: z.array(z.object({ file: z.string(), frames: z.int() })),
  }),
  stepsSkipped: z.int(),
});

export type Checkpoint = Readonly<{
  recipe: Recipe;
  model: string;
  version: string;
  out: string;
  noise: NoiseState;
  film: FilmState;
  sections: SectionState;
  stepsSkipped: number;
}>;

const metadataKey = "framepack.checkpoint";

export const checkpointPath = (jobDir: string): string => join(jobDir, "checkpoint.safetensors");

export const saveCheckpoint = (jobDir: string, checkpoint: Checkpoint): void => {
  const { sections, ...rest } = checkpoint;
  const { history, edge, done } = sections;
  const facts: z.input<typeof factsSchema> = {
    v: 1,
    ...rest,
    film: { segments: [...rest.film.segments] },
    done,
    made: history.made,
    frames: history.frames,
  };
  const tensors = {
    history: tensorBytes(history.data, [history.data.length]),
    ...(edge === null ? {} : { edge: tensorBytes(edge.data, edge.dims) }),
  };
  mkdirSync(jobDir, { recursive: true, mode: 0o700 });
  writeSafetensors(checkpointPath(jobDir), tensors, { [metadataKey]: JSON.stringify(facts) });
};

/** Undefined where the job has none; a Failure where it has one that cannot be used. */
export const loadCheckpoint = (jobDir: string): Checkpoint | undefined => {
  const path = checkpointPath(jobDir);
  if (!existsSync(path)) return undefined;
  const file = readSafetensors(path);
  const parsed = factsSchema.safeParse(parse(file.metadata[metadataKey] ?? ""));
  if (!parsed.success) throw unusable(path);
  const bytes = readFileSync(path);
  const floats = (name: string): { data: Float32Array; dims: readonly number[] } | null => {
    const entry = file.tensors.get(name);
    if (entry === undefined) return null;
    const part = Uint8Array.from(bytes.subarray(entry.from, entry.from + entry.bytes));
    return { data: new Float32Array(part.buffer), dims: entry.dims };
  };
  const history = floats("history");
  if (history === null) throw unusable(path);
  const { v: _v, done, made, frames, ...rest } = parsed.data;
  const sections = { done, history: { data: history.data, frames, made }, edge: floats("edge") };
  return { ...rest, sections };
};

/**
 * Where a job's video is being made, told before the first checkpoint: a job killed earlier leaves
 * a partial file.
 */
export const noteOutput = (jobDir: string, out: string): void => {
  mkdirSync(jobDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(jobDir, "out"), out);
};

/** What `noteOutput` told, by this or an earlier run of the job. */
export const notedOutput = (jobDir: string): string | null => {
  const path = join(jobDir, "out");
  return existsSync(path) ? readFileSync(path, "utf8") : null;
};

export const removeCheckpoint = (jobDir: string): void => {
  rmSync(jobDir, { recursive: true, force: true });
};

/** A checkpoint goes on only with the very same job and weights. */
export const refuseOther = (
  checkpoint: Checkpoint,
  now: Readonly<{ recipe: Recipe; model: string }>,
): void => {
  const differs = Object.entries(now.recipe).find(
    ([key, value]) =>
      JSON.stringify(value) !== JSON.stringify(checkpoint.recipe[key as keyof Recipe]),
  );
  if (differs !== undefined) {
    throw new Failure("usage.resume", `The job was begun with another value for ${differs[0]}.`, {
      hint: "A job goes on only as it was begun; start a new one for other settings.",
    });
  }
  if (checkpoint.model !== now.model) {
    throw new Failure("model.changed", "The model's files have changed since the job was begun.", {
      hint: "Start the job again; its finished part is kept where it was.",
    });
  }
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema then says no.
    return undefined;
  }
};

const unusable = (path: string): Failure =>
  new Failure("checkpointed.unusable", `The checkpoint ${quoted(path)} cannot be read.`, {
    hint: "It may come from another version; start the job again.",
  });
