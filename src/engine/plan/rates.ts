// How fast this machine was the last time: operations a second of sampling, decoding and the rest,
// kept in a small file of the state folder after every job. A plan's time comes from here or from
// nowhere.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Recipe } from "../job.ts";

const rateSchema = z.object({
  /** Floating point operations a second, as cost.ts counts them. */
  sample: z.number().positive(),
  decode: z.number().positive(),
  /** Milliseconds that loading, encoding and preparing took. */
  before: z.number().nonnegative(),
  /** Share of the steps that were computed when skipping was on; null when it never was. */
  computed: z.number().min(0).max(1).nullable(),
});
export type Rate = Readonly<z.infer<typeof rateSchema>>;

const fileSchema = z.object({ v: z.literal(1), rates: z.record(z.string(), rateSchema) });

/** What a measurement holds for: everything that is known without touching a device. */
export type RateKey = Readonly<{ modelId: string }> &
  Pick<Recipe, "backend" | "device" | "dtype" | "precision" | "threads">;

const nameOf = ({ modelId, backend, device, dtype, precision, threads }: RateKey): string =>
  [modelId, backend, device, dtype, precision, threads].join(" · ");

const pathOf = (stateDir: string): string => join(stateDir, "rates.json");

/** Null when nothing was measured yet, or the file is not one that this version wrote. */
export const readRate = (stateDir: string, key: RateKey): Rate | null =>
  readAll(stateDir)[nameOf(key)] ?? null;

/** Replaces the last measurement for the same key. */
export const writeRate = (stateDir: string, key: RateKey, rate: Rate): void => {
  const path = pathOf(stateDir);
  const rates = { ...readAll(stateDir), [nameOf(key)]: rate };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.incomplete`, JSON.stringify({ v: 1, rates }, null, 1));
  renameSync(`${path}.incomplete`, path);
};

const readAll = (stateDir: string): Record<string, Rate> => {
  try {
    const parsed = fileSchema.safeParse(JSON.parse(readFileSync(pathOf(stateDir), "utf8")));
    return parsed.success ? parsed.data.rates : {};
  } catch {
    // No file yet, or not JSON: then nothing is known, and the next job writes a new one.
    return {};
  }
};
