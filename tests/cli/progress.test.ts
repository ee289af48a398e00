// What is said while a job runs, word for word.

import { expect, test } from "bun:test";
import { LiveBlock } from "../../src/cli/live-block.ts";
import { eventLine, fit, planLines, progressBlock } from "../../src/cli/progress.ts";
import type { JobEvent, Plan } from "../../src/engine/events.ts";
import { emptyView, type JobView, reduceView } from "../../src/engine/job-view.ts";
import { size, span } from "../../src/engine/words.ts";

const plan: Plan = {
  askedSeconds: 5,
  sections: 4,
  frames: 145,
  seconds: 145 / 30,
  fps: 30,
  order: "inverted",
  paddings: [3, 2, 1, 0],
  bucket: { height: 640, width: 608 },
  latent: { frames: 9, height: 80, width: 76 },
  steps: 25,
  tokens: {
    noise: 13680,
    clean1x: 3040,
    clean2x: 380,
    clean4x: 400,
    image: 729,
    text: 20,
    total: 18249,
  },
  sectionFrames: [],
  phases: [],
  deviceBytesPeak: 0,
  ramBytesPeak: 0,
  diskBytes: 0,
  ms: 90_000,
  basis: "measured on this machine",
  warnings: [],
};

const step = (section: number, index: number): JobEvent => ({
  type: "stepFinished",
  section,
  step: index,
  steps: 25,
  latencyMs: 800,
  skipped: false,
  sectionLeftMs: 9600,
  jobLeftMs: 49_600,
});

const viewAfter = (...events: readonly JobEvent[]): JobView => events.reduce(reduceView, emptyView);

const secondSection: readonly JobEvent[] = [
  { type: "planned", plan },
  {
    type: "sectionFinished",
    section: 0,
    sections: 4,
    framesDone: 0,
    from: 145,
    to: 145,
    latencyMs: 20_000,
    stepsSkipped: 3,
    thumbnails: null,
  },
  { type: "fileWritten", kind: "partial", path: "/films/a.partial.mp4", bytes: 90_000, frames: 33 },
  { type: "phase", name: "sample", section: 1 },
  step(1, 12),
];

const plain = { columns: 80, colour: false };

test("the block shows section, step, pace, time left and what plays by now", () => {
  const lines = progressBlock(viewAfter(...secondSection), plain);

  expect(lines).toEqual([
    "Section 2 of 4 · step 13 of 25 · 0.80 s/step",
    "████████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  37 %",
    "Time left: section 9.6 s, video 50 s",
    "0 of 145 frames final · /films/a.partial.mp4 shows the last 1.10 s",
  ]);
});

test("before the first step the block says what is being done", () => {
  expect(progressBlock(emptyView, plain)).toEqual(["Starting …"]);
  const loading = viewAfter(
    { type: "planned", plan },
    { type: "phase", name: "load", section: null },
    { type: "heartbeat", phase: "load", network: "transformer", block: 11, blocks: 60 },
  );
  expect(progressBlock(loading, plain)).toEqual(["Loading the model … transformer 12 of 60"]);
});

test("while a section is decoded the block says so", () => {
  const view = viewAfter(...secondSection, { type: "phase", name: "decode", section: 1 });

  expect(progressBlock(view, plain)[0]).toBe("Section 2 of 4 · decoding · 0.80 s/step");
});

test("no line of the block is wider than the terminal", () => {
  for (const columns of [10, 21, 30, 47, 200]) {
    for (const line of progressBlock(viewAfter(...secondSection), { columns, colour: false })) {
      expect(Bun.stringWidth(line)).toBeLessThan(Math.max(columns, 21));
    }
  }
});

test("the exact length and the order are said before the run", () => {
  expect(planLines(plan)).toEqual([
    "4 sections, 145 frames = 4.83 s at 608×640, 25 steps a section, about 1 min 30 s.",
    "The end is made first: until the last section the file shows the end of the video.",
  ]);
});

const lines: readonly (readonly [JobEvent, string | undefined])[] = [
  [step(1, 12), "Section 2 of 4, step 13 of 25: 0.80 s, 50 s left"],
  [{ type: "phase", name: "text", section: null }, "Reading the prompt …"],
  [{ type: "phase", name: "sample", section: 1 }, undefined],
  [{ type: "warning", id: "w", text: "cut \x1b[31mhere" }, "Note: cut \\x1b[31mhere"],
  [
    { type: "fileWritten", kind: "partial", path: "/a.mp4", bytes: 3588, frames: 33 },
    "/a.mp4 plays now: 33 frames, 3.6 kB",
  ],
  [{ type: "cancelled", code: 130, kept: "/a.mp4" }, undefined],
  [
    {
      type: "finished",
      path: "/films/a.mp4",
      frames: 145,
      seconds: 145 / 30,
      latencyMs: 65_000,
      devicePeak: 0,
      rssPeak: 0,
      sha256: "",
    },
    "Finished in 1 min 05 s: /films/a.mp4, 145 frames = 4.83 s",
  ],
];

test("the peak of a finished run stands beside what was planned", () => {
  const promised = { ...plan, deviceBytesPeak: 5_100_000_000 };
  const finished: JobEvent = {
    ...{ type: "finished", path: "/a.mp4", frames: 145, seconds: 145 / 30, latencyMs: 65_000 },
    ...{ devicePeak: 4_900_000_000, rssPeak: 0, sha256: "" },
  };

  const line = eventLine(finished, viewAfter({ type: "planned", plan: promised }));

  expect(line).toEndWith("145 frames = 4.83 s; 4.9 GB of 5.1 GB planned for tensors");
});

test.each(lines)("event %# as a line", (event, line) => {
  expect(eventLine(event, viewAfter({ type: "planned", plan }))).toBe(line);
});

test("amounts read as people say them", () => {
  expect([0, 80, 800, 9600, 9960, 49_600, 59_700, 250_000, 3_900_000].map(span)).toEqual([
    "0 ms",
    "80 ms",
    "0.80 s",
    "9.6 s",
    "10 s",
    "50 s",
    "1 min 00 s",
    "4 min 10 s",
    "1 h 05 min",
  ]);
  expect([0, 512, 3588, 999_499, 999_600, 25_749_000_000].map(size)).toEqual([
    "0 B",
    "512 B",
    "3.6 kB",
    "999 kB",
    "1.0 MB",
    "25.7 GB",
  ]);
});

test("a line is cut by cells, not by characters", () => {
  expect(fit("日本語のなまえ", 8)).toBe("日本語…");
  expect(fit("👨‍👩‍👧 family", 4)).toBe("👨‍👩‍👧 …");
});

test("the block is drawn over itself, and lines that stay pass above it", () => {
  let shown = "";
  let now = 0;
  let text = "one";
  const terminal = {
    write: (more: string) => {
      shown += more;
    },
    columns: 80,
  };
  const block = new LiveBlock(
    terminal,
    () => [text],
    () => now,
  );

  block.refresh();
  text = "two";
  now = 200;
  block.refresh();
  block.say("kept");
  block[Symbol.dispose]();

  const bare = shown.replaceAll("\x1b[?2026h", "").replaceAll("\x1b[?2026l", "");
  expect(bare).toBe("one\n\x1b[1A\r\x1b[Jtwo\n\x1b[1A\r\x1b[Jkept\ntwo\n\x1b[1A\r\x1b[J");
});

test("a terminal that became narrower is cleared over the rows its lines now take", () => {
  let shown = "";
  let now = 0;
  const terminal = {
    write: (more: string) => {
      shown += more;
    },
    columns: 80,
  };
  const block = new LiveBlock(
    terminal,
    () => ["x".repeat(70)],
    () => now,
  );

  block.refresh();
  terminal.columns = 40;
  now = 200;
  block.refresh();

  expect(shown).toContain("\x1b[2A\r\x1b[J");
  block[Symbol.dispose]();
});
