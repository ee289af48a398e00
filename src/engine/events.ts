// What a running job says: one closed set of plain events, zod-checked. The same objects travel
// in-process, over the socket and as NDJSON lines of --json. Times are milliseconds, sizes are bytes.

import { z } from "zod";

export const phaseNames = [
  "check",
  "load",
  "text",
  "vision",
  "encode",
  "prepare",
  "sample",
  "decode",
  "write",
  "finish",
] as const;
export type PhaseName = (typeof phaseNames)[number];

const tokensSchema = z.object({
  noise: z.int(),
  clean1x: z.int(),
  clean2x: z.int(),
  clean4x: z.int(),
  image: z.int(),
  text: z.int(),
  total: z.int(),
});

/** What a run will do, before it does it. */
export const planSchema = z.object({
  askedSeconds: z.number(),
  sections: z.int(),
  /** Exact frames and length of the finished video. */
  frames: z.int(),
  seconds: z.number(),
  fps: z.int(),
  order: z.enum(["inverted", "f1"]),
  /** Latent padding per section; null for f1. */
  paddings: z.array(z.int()).nullable(),
  /** Pixels. */
  bucket: z.object({ height: z.int(), width: z.int() }),
  /** Latent frames made per section, and latent size. */
  latent: z.object({ frames: z.int(), height: z.int(), width: z.int() }),
  steps: z.int(),
  tokens: tokensSchema,
  /** Video frames [from, to) that become final with each section, in the order they are made. */
  sectionFrames: z.array(z.object({ from: z.int(), to: z.int() })),
  phases: z.array(
    z.object({
      name: z.enum(phaseNames),
      deviceBytes: z.int(),
      ramBytes: z.int(),
      weightBytes: z.int(),
      ms: z.number().nullable(),
    }),
  ),
  deviceBytesPeak: z.int(),
  ramBytesPeak: z.int(),
  diskBytes: z.int(),
  /** Expected time; basis says where the figure comes from. */
  ms: z.number().nullable(),
  basis: z.string(),
  warnings: z.array(z.string()),
});
export type Plan = Readonly<z.infer<typeof planSchema>>;

/** Small pictures: `frames` of height × width RGB bytes, base64 of all of them in time order. */
export const picturesSchema = z.object({
  frames: z.int(),
  height: z.int(),
  width: z.int(),
  rgb: z.string(),
});

export const jobEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("started"),
    backend: z.string(),
    device: z.string(),
    version: z.string(),
  }),
  z.object({ type: z.literal("planned"), plan: planSchema }),
  z.object({
    type: z.literal("phase"),
    name: z.enum(phaseNames),
    /** 0-based; null outside sections. */
    section: z.int().nullable(),
  }),
  z.object({ type: z.literal("warning"), id: z.string(), text: z.string() }),
  /** Sent while something long computes, so that a hang can be told from work. */
  z.object({
    type: z.literal("heartbeat"),
    phase: z.enum(phaseNames),
    network: z.string(),
    block: z.int(),
    blocks: z.int(),
  }),
  z.object({
    type: z.literal("stepFinished"),
    section: z.int(),
    step: z.int(),
    steps: z.int(),
    latencyMs: z.number(),
    /** TeaCache reused the last residual. */
    skipped: z.boolean(),
    sectionLeftMs: z.number().nullable(),
    jobLeftMs: z.number().nullable(),
  }),
  z.object({
    type: z.literal("preview"),
    section: z.int(),
    step: z.int(),
    pictures: picturesSchema,
    /** The video frames [from, to) these latents stand for. */
    from: z.int(),
    to: z.int(),
  }),
  z.object({
    type: z.literal("sectionFinished"),
    section: z.int(),
    sections: z.int(),
    /** Video frames that are final by now and where this section's final ones lie. */
    framesDone: z.int(),
    from: z.int(),
    to: z.int(),
    latencyMs: z.number(),
    stepsSkipped: z.int(),
    /** A few of the section's frames, small. */
    thumbnails: picturesSchema.nullable(),
  }),
  z.object({
    type: z.literal("fileWritten"),
    kind: z.enum(["picture", "partial", "video", "frames"]),
    path: z.string(),
    bytes: z.int(),
    frames: z.int(),
  }),
  z.object({
    type: z.literal("memory"),
    deviceLive: z.int(),
    devicePeak: z.int(),
    deviceBudget: z.int(),
    rss: z.int(),
    rssPeak: z.int(),
  }),
  z.object({
    type: z.literal("finished"),
    path: z.string(),
    frames: z.int(),
    seconds: z.number(),
    latencyMs: z.number(),
    devicePeak: z.int(),
    rssPeak: z.int(),
    sha256: z.string(),
  }),
  z.object({
    type: z.literal("failed"),
    id: z.string(),
    code: z.int(),
    message: z.string(),
    hint: z.string().nullable(),
    /** Finished sections kept as a playable file. */
    kept: z.string().nullable(),
  }),
  z.object({ type: z.literal("cancelled"), code: z.int(), kept: z.string().nullable() }),
]);
export type JobEvent = Readonly<z.infer<typeof jobEventSchema>>;
export type Emit = (event: JobEvent) => void;
