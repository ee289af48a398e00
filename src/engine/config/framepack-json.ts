// framepack.json: what the published model has as built-in constants. A model folder may bring its
// own; one without gets the published values.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readConfig } from "./read.ts";

const pixels = z.int().positive().max(16384);
const colour = z.tuple([z.number(), z.number(), z.number()]);

/** The buckets of the published model, in the order in which they are searched. */
const publishedBuckets: readonly (readonly [number, number])[] = [
  [416, 960],
  [448, 864],
  [480, 832],
  [512, 768],
  [544, 704],
  [576, 672],
  [608, 640],
  [640, 608],
  [672, 576],
  [704, 544],
  [768, 512],
  [832, 480],
  [864, 448],
  [960, 416],
];

const publishedLatentRgb = {
  factors: [
    [-0.0395, -0.0331, 0.0445],
    [0.0696, 0.0795, 0.0518],
    [0.0135, -0.0945, -0.0282],
    [0.0108, -0.025, -0.0765],
    [-0.0209, 0.0032, 0.0224],
    [-0.0804, -0.0254, -0.0639],
    [-0.0991, 0.0271, -0.0669],
    [-0.0646, -0.0422, -0.04],
    [-0.0696, -0.0595, -0.0894],
    [-0.0799, -0.0208, -0.0375],
    [0.1166, 0.1627, 0.0962],
    [0.1165, 0.0432, 0.0407],
    [-0.2315, -0.192, -0.1355],
    [-0.027, 0.0401, -0.0821],
    [-0.0616, -0.0997, -0.0727],
    [0.0249, -0.0469, -0.1703],
  ],
  bias: [0.0259, -0.0192, -0.0761],
} as const;

export const framepackJson = z
  .strictObject({
    v: z.literal(1, { error: "only version 1 is known" }),
    /** A word for people; not used. */
    about: z.string().optional(),
    /** Picture sizes as [height, width], in the order in which they are searched. */
    buckets: z
      .array(z.tuple([pixels, pixels]))
      .min(1)
      .max(1000),
    /** Latent frames of a section. */
    window: z.int().min(1).max(33),
    steps: z.int().min(1).max(1000),
    /** A good length. */
    seconds: z.number().positive().max(3600),
    /** The most sections it was trained for; null when nothing is said. More is allowed. */
    sectionsMax: z.int().positive().nullable().default(null),
    fps: z.number().positive().max(240),
    /** The distilled guidance it works best with. */
    guidance: z.number().positive().max(1000),
    /** rgb = factorsᵀ · z + bias for the quick look at a latent. */
    latentRgb: z.strictObject({ factors: z.array(colour).length(16), bias: colour }),
    /** What stands around the prompt; `{}` is the prompt. */
    promptTemplate: z
      .string()
      .max(10_000)
      .refine((text) => text.split("{}").length === 2, "it must contain {} exactly once")
      .optional(),
  })
  .refine((raw) => raw.buckets.every(([h, w]) => h % 8 === 0 && w % 8 === 0), {
    path: ["buckets"],
    error: "height and width must be multiples of 8",
  });

type Read = z.output<typeof framepackJson>;

export type FramepackSettings = Readonly<
  Omit<Read, "buckets" | "latentRgb" | "v" | "about"> & {
    buckets: readonly (readonly [number, number])[];
    latentRgb: Readonly<{
      factors: readonly (readonly [number, number, number])[];
      bias: readonly [number, number, number];
    }>;
  }
>;

export const publishedSettings: FramepackSettings = {
  buckets: publishedBuckets,
  window: 9,
  steps: 25,
  seconds: 5,
  sectionsMax: null,
  fps: 30,
  guidance: 10,
  latentRgb: publishedLatentRgb,
};

/** The settings of a model folder, or the published ones where it has no framepack.json. */
export const readFramepackJson = (folder: string): FramepackSettings => {
  const path = join(folder, "framepack.json");
  if (!existsSync(path)) return publishedSettings;
  const { v: _v, about: _about, ...settings } = readConfig(path, framepackJson);
  return settings;
};
