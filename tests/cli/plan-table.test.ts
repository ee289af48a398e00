// The plan as people read it, word for word.

import { expect, test } from "bun:test";
import { planTable } from "../../src/cli/plan-table.ts";
import type { Plan } from "../../src/engine/events.ts";

const minute: Plan = {
  askedSeconds: 60,
  sections: 50,
  frames: 1801,
  seconds: 1801 / 30,
  fps: 30,
  order: "inverted",
  paddings: [3, ...Array<number>(47).fill(2), 1, 0],
  bucket: { height: 640, width: 608 },
  latent: { frames: 9, height: 80, width: 76 },
  steps: 25,
  tokens: {
    ...{ noise: 13680, clean1x: 3040, clean2x: 380, clean4x: 400 },
    ...{ image: 729, text: 20, total: 18249 },
  },
  sectionFrames: [],
  phases: [
    { name: "text", deviceBytes: 1.5e9, ramBytes: 4e8, weightBytes: 15.26e9, ms: null },
    { name: "sample", deviceBytes: 5.2e9, ramBytes: 5e8, weightBytes: 25.7e9, ms: 4_500_000 },
  ],
  deviceBytesPeak: 5.2e9,
  ramBytesPeak: 5e8,
  diskBytes: 131e6,
  ms: 4_600_000,
  basis: "measured on this machine",
  warnings: ["60 s asked: 50 sections make 1801 frames, 60.03 s.", "an \x1b[31mescape"],
};

test("the plan tells length, order, tokens, bytes and time", () => {
  expect(planTable(minute)).toEqual([
    "Length    60 s asked: 50 sections, 1801 frames = 60.03 s at 30 frames a second",
    "Picture   608×640, latents 76×80, 9 a section",
    "Order     the end first; windows skipped before each section: 3 2 (×47) 1 0",
    "Steps     25 a section, 1250 in all",
    "Tokens    18249: window 13680, history 3040 + 380 + 400, picture 729, prompt 20",
    "",
    "Phase       weights    device       RAM  time",
    "text        15.3 GB    1.5 GB    400 MB  –",
    "sample      25.7 GB    5.2 GB    500 MB  1 h 15 min",
    "peak                   5.2 GB    500 MB  1 h 17 min",
    "",
    "Disk      about 131 MB while the video is made",
    "Time      about 1 h 17 min: measured on this machine",
    "Note      60 s asked: 50 sections make 1801 frames, 60.03 s.",
    "Note      an \\x1b[31mescape",
  ]);
});

test("a plan for the forward order and an unmeasured machine says so", () => {
  const text = planTable({
    ...minute,
    order: "f1",
    paddings: null,
    ms: null,
    basis: "not measured",
  });

  expect(text).toContain("Order     forward in time");
  expect(text).toContain("Time      unknown: not measured");
});
