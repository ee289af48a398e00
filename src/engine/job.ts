// The recipe of a job: everything that decides what comes out, as plain data. Checked here, once, wherever it comes from
// (flags, preset, socket, a video's metadata). Nothing is computed in this file.

import { z } from "zod";

export const recipeVersion = 1;

/** Longest prompt taken, in UTF-16 units; the text encoders cut far earlier and the cut is shown. */
export const promptLengthMax = 10_000;

export const recipeSchema = z.strictObject({
  v: z.literal(recipeVersion),
  /** A name from the manifest ("framepack", "framepack-f1", "demo") or the path of a model folder. */
  model: z.string().min(1).max(4096),
  /** inverted: the end is made first (anti-drifting). f1: forward in time. */
  order: z.enum(["inverted", "f1"]),
  /** Absolute path of the start picture. */
  image: z.string().min(1).max(4096),
  prompt: z.string().max(promptLengthMax),
  negativePrompt: z.string().max(promptLengthMax),
  /** The low 32 bits count, as in torch's CPU generator. */
  seed: z.int(),
  /** Asked length; the plan says what it becomes. */
  seconds: z.number().positive().max(3600),
  /** Latent frames made per section; 9 for the published weights. */
  window: z.int().min(1).max(33),
  steps: z.int().min(1).max(100),
  /** Distilled guidance. */
  guidance: z.number().min(1).max(32),
  /** Real classifier-free guidance; 1 skips the negative pass. */
  cfg: z.number().min(1).max(32),
  cfgRescale: z.number().min(0).max(1),
  /** Fixed flow shift; null takes it from the token count. */
  shift: z.number().positive().max(100).nullable(),
  teacache: z.boolean(),
  teacacheThreshold: z.number().positive().max(1),
  /** mean: the posterior's mean. sample: seeded noise. */
  startLatent: z.enum(["mean", "sample"]),
  dtype: z.enum(["f32", "bf16"]),
  precision: z.enum(["native", "fp8", "int8"]),
  backend: z.enum(["auto", "cpu", "cuda", "emulated"]),
  device: z.int().min(0).max(63),
  /** 0: every core. The library runs no more than 256. */
  threads: z.int().min(0).max(256),
  vramBytes: z.int().positive().nullable(),
  ramBytes: z.int().positive().nullable(),
  /** Spatial tiles in the VAE; auto: when the untiled decode does not fit. */
  spatialTiling: z.enum(["auto", "on", "off"]),
  crf: z.int().min(0).max(51),
  fps: z.int().min(1).max(120),
  /** Absolute path of the video; the engine names it when null. */
  out: z.string().max(4096).nullable(),
  /** Absolute folder for every frame as PNG. */
  frames: z.string().max(4096).nullable(),
  preset: z.string().max(200).nullable(),
});

export type Recipe = Readonly<z.infer<typeof recipeSchema>>;

/** Published defaults (pipeline 1.1), before a preset, a model's framepack.json or a flag changes them. */
export const recipeDefaults = {
  v: recipeVersion,
  model: "framepack",
  order: "inverted",
  prompt: "",
  negativePrompt: "",
  seed: 31337,
  seconds: 5,
  window: 9,
  steps: 25,
  guidance: 10,
  cfg: 1,
  cfgRescale: 0,
  shift: null,
  teacache: true,
  teacacheThreshold: 0.15,
  startLatent: "mean",
  dtype: "bf16",
  precision: "native",
  backend: "auto",
  device: 0,
  threads: 0,
  vramBytes: null,
  ramBytes: null,
  spatialTiling: "auto",
  crf: 16,
  fps: 30,
  out: null,
  frames: null,
  preset: null,
} as const satisfies Omit<Recipe, "image">;
