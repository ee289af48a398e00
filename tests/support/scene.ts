// A small world for the interface's tests and screenshots: pictures, a plan, and the events of a job, all made up but whole.

import type { JobEvent, Plan } from "../../src/engine/events.ts";
import { type Recipe, recipeDefaults } from "../../src/engine/job.ts";
import { emptyView, reduceView } from "../../src/engine/job-view.ts";
import type { Inspection, JobState, JobSummary } from "../../src/engine/protocol.ts";

export type Pictures = Readonly<{ frames: number; height: number; width: number; rgb: string }>;

/** A bright disc that moves over a soft gradient, `frames` times; `turn` moves all of it on. */
export const movingDisc = (
  width: number,
  height: number,
  frames: number,
  turn = 0,
): { bytes: Uint8Array; pictures: Pictures } => {
  const bytes = new Uint8Array(width * height * 3 * frames);
  for (let frame = 0; frame < frames; frame++) {
    const angle = ((frame + turn * 3) / Math.max(1, frames)) * 2 * Math.PI;
    const [cx, cy] = [0.5 + 0.25 * Math.cos(angle), 0.5 + 0.25 * Math.sin(angle)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const d = Math.hypot(x / width - cx, ((y / height - cy) * height) / width);
        const disc = 1 / (1 + Math.exp((d - 0.18) * 30));
        const at = ((frame * height + y) * width + x) * 3;
        bytes[at] = 40 + 210 * disc;
        bytes[at + 1] = 60 + 120 * disc + (60 * y) / height;
        bytes[at + 2] = 90 + (110 * x) / width - 60 * disc;
      }
    }
  }
  const rgb = Buffer.from(bytes).toString("base64");
  return { bytes, pictures: { frames, height, width, rgb } };
};

export const plan = (changes: Partial<Plan> = {}): Plan => ({
  askedSeconds: 5,
  sections: 4,
  frames: 145,
  seconds: 4.83,
  fps: 30,
  order: "inverted",
  paddings: [3, 2, 1, 0],
  bucket: { height: 704, width: 544 },
  latent: { frames: 9, height: 88, width: 68 },
  steps: 25,
  tokens: { noise: 100, clean1x: 10, clean2x: 10, clean4x: 10, image: 10, text: 10, total: 150 },
  sectionFrames: [
    { from: 109, to: 145 },
    { from: 73, to: 109 },
    { from: 37, to: 73 },
    { from: 0, to: 37 },
  ],
  phases: [],
  deviceBytesPeak: 21_400_000_000,
  ramBytesPeak: 9_800_000_000,
  diskBytes: 5_200_000,
  ms: 154_000,
  basis: "measured on this machine",
  warnings: [],
  ...changes,
});

export const recipe = (changes: Partial<Recipe> = {}): Recipe => ({
  ...recipeDefaults,
  image: "/pictures/start.png",
  prompt: "The girl dances gracefully, with clear movements, full of charm.",
  ...changes,
});

export const stepFinished = (section: number, step: number, steps = 25): JobEvent => ({
  type: "stepFinished",
  section,
  step,
  steps,
  latencyMs: 1480,
  skipped: step % 3 === 2,
  sectionLeftMs: (steps - 1 - step) * 1480,
  jobLeftMs: (steps - 1 - step) * 1480 + (3 - section) * steps * 1480,
});

export const preview = (section: number, step: number): JobEvent => ({
  type: "preview",
  section,
  step,
  pictures: movingDisc(68, 88, 9, step).pictures,
  from: 109 - 36 * section,
  to: 145 - 36 * section,
});

export const sectionFinished = (section: number): JobEvent => ({
  type: "sectionFinished",
  section,
  sections: 4,
  framesDone: 36 * (section + 1),
  from: 109 - 36 * section,
  to: 145 - 36 * section,
  latencyMs: 38_000,
  stepsSkipped: 8,
  thumbnails: movingDisc(68, 88, 6, 3 - section).pictures,
});

/** What a job has said when it is in the middle of its second section. */
export const halfway: readonly JobEvent[] = [
  { type: "started", backend: "cuda", device: "NVIDIA RTX 4090", version: "0.1.0" },
  { type: "planned", plan: plan() },
  { type: "phase", name: "sample", section: 0 },
  stepFinished(0, 24),
  sectionFinished(0),
  { type: "fileWritten", kind: "partial", path: "/videos/dance.partial.mp4", bytes: 9, frames: 36 },
  { type: "phase", name: "sample", section: 1 },
  stepFinished(1, 11),
  preview(1, 11),
  {
    type: "memory",
    deviceLive: 18_200_000_000,
    devicePeak: 21_400_000_000,
    deviceBudget: 24_000_000_000,
    rss: 6_100_000_000,
    rssPeak: 9_700_000_000,
  },
];

export const finished: JobEvent = {
  type: "finished",
  path: "/videos/dance.mp4",
  frames: 145,
  seconds: 4.83,
  latencyMs: 154_000,
  devicePeak: 21_400_000_000,
  rssPeak: 9_700_000_000,
  sha256: "00",
};

export const failed: JobEvent = {
  type: "failed",
  id: "fit.killed",
  code: 3,
  message: "The engine's computing process was killed by the kernel: out of memory.",
  hint: "Give it less with --ram.",
  kept: "/videos/dance.partial.mp4",
};

/** A moment in the tests' own time; nothing depends on the real one. */
export const now = 1_700_000_000_000;

export const job = (
  state: JobState,
  events: readonly JobEvent[] = [],
  changes: Partial<JobSummary> = {},
): JobSummary => ({
  id: "261122-100531-a1b2",
  state,
  recipe: recipe(),
  place: state === "queued" ? 0 : null,
  createdAt: now - 600_000,
  startedAt: state === "queued" ? null : now - 500_000,
  endedAt: state === "queued" || state === "running" ? null : now - 120_000,
  view: events.reduce(reduceView, emptyView),
  ...changes,
});

export const inspection = (changes: Partial<Inspection> = {}): Inspection => ({
  plan: plan(),
  problems: [],
  crop: movingDisc(68, 88, 1).pictures,
  picture: { width: 1200, height: 1600 },
  tokens: { llama: { used: 21, max: 256, cut: "" }, clip: { used: 15, max: 77, cut: "" } },
  ...changes,
});
