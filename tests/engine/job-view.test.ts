import { expect, test } from "bun:test";
import type { JobEvent } from "../../src/engine/events.ts";
import {
  emptyView,
  eventsOf,
  playableFile,
  reduceView,
  resumedView,
} from "../../src/engine/job-view.ts";

const events: readonly JobEvent[] = [
  { type: "started", backend: "cpu", device: "EPYC", version: "0.1.0" },
  { type: "warning", id: "cut", text: "The prompt was cut." },
  { type: "phase", name: "sample", section: 1 },
  {
    type: "sectionFinished",
    section: 0,
    sections: 2,
    framesDone: 36,
    from: 37,
    to: 73,
    latencyMs: 5,
    stepsSkipped: 0,
    thumbnails: null,
  },
  { type: "fileWritten", kind: "partial", path: "/a.partial.mp4", bytes: 9, frames: 36 },
  {
    type: "stepFinished",
    section: 1,
    step: 3,
    steps: 12,
    latencyMs: 4,
    skipped: false,
    sectionLeftMs: 30,
    jobLeftMs: 40,
  },
];

test("a view can be told again as events", () => {
  const view = events.reduce(reduceView, emptyView);

  expect(eventsOf(view).reduce(reduceView, emptyView)).toEqual(view);
});

test("a newer partial file takes the place of the older", () => {
  const again: JobEvent = {
    type: "fileWritten",
    kind: "partial",
    path: "/b.partial.mp4",
    bytes: 20,
    frames: 73,
  };

  const view = [...events, again].reduce(reduceView, emptyView);

  expect(view.files.map((f) => f.path)).toEqual(["/b.partial.mp4"]);
  expect(playableFile(view)).toBe("/b.partial.mp4");
});

test("what failed keeps what it names as kept", () => {
  const failed: JobEvent = {
    type: "failed",
    id: "output.disk",
    code: 7,
    message: "The disk is full.",
    hint: null,
    kept: "/kept.mp4",
  };

  expect(playableFile([...events, failed].reduce(reduceView, emptyView))).toBe("/kept.mp4");
});

test("a resumed view keeps what was finished, but not what became a video of its own", () => {
  const running = events.reduce(reduceView, emptyView);
  const cut = reduceView(running, { type: "cancelled", code: 75, kept: "/a.partial.mp4" });
  const whole = reduceView(running, { type: "cancelled", code: 130, kept: "/a.mp4" });

  expect(resumedView(cut)).toEqual(running);
  expect(resumedView(whole)).toEqual(emptyView);
});
