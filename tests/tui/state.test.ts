// The interface's reducer: what messages of the engine and keys make of the state.

import { expect, test } from "bun:test";
import type { Message } from "../../src/engine/protocol.ts";
import { reduce, type State, shownJob } from "../../src/tui/state.ts";
import { halfway, job, now, stepFinished } from "../support/scene.ts";
import { small, stateAfter } from "./draw.tsx";

const told = (state: State, message: Exclude<Message, { type: "reply" }>): State =>
  reduce(state, { type: "message", message });

test("an event moves its own job and no other", () => {
  const jobs = [job("running", halfway, { id: "a" }), job("running", halfway, { id: "b" })];
  const before = stateAfter(small, { type: "jobs", jobs });

  const after = told(before, { type: "event", job: "a", event: stepFinished(1, 20) });

  expect(after.jobs[0]?.view.step?.step).toBe(20);
  expect(after.jobs[1]).toBe(jobs[1]);
});

test("jobs stand in the order running, queued by place, then the newest", () => {
  const jobs = [
    job("finished", [], { id: "old", createdAt: now - 3 }),
    job("finished", [], { id: "new", createdAt: now - 2 }),
    job("queued", [], { id: "second", place: 1 }),
    job("queued", [], { id: "first", place: 0 }),
    job("running", [], { id: "runs" }),
  ];
  const state = jobs.reduce(
    (s, one) => told(s, { type: "job", job: one, dropped: false }),
    stateAfter(small),
  );

  expect(state.jobs.map((one) => one.id)).toEqual(["runs", "first", "second", "new", "old"]);
});

test("the selected job stays selected when jobs change places", () => {
  const jobs = [job("finished", [], { id: "a" }), job("finished", [], { id: "b" })];
  const before = stateAfter(
    small,
    { type: "jobs", jobs },
    { type: "select", list: "jobs", row: 1 },
  );

  const running = told(before, {
    type: "job",
    job: job("running", [], { id: "c" }),
    dropped: false,
  });
  const forgotten = told(running, { type: "forgotten", job: "a" });

  expect(running.jobs[running.selected.jobs]?.id).toBe("b");
  expect(forgotten.jobs[forgotten.selected.jobs]?.id).toBe("b");
});

test("the run screen shows the watched job, else the running one, else the newest", () => {
  const runs = job("running", [], { id: "runs" });
  const other = job("finished", [], { id: "other" });
  const state = stateAfter(small, { type: "jobs", jobs: [other, runs] });

  expect(shownJob(reduce(state, { type: "watch", job: "other" }))?.id).toBe("other");
  expect(shownJob(state)?.id).toBe("runs");
  expect(shownJob({ ...state, jobs: [other] })?.id).toBe("other");
  expect(shownJob({ ...state, jobs: [] })).toBeNull();
});

test("a notice goes when its time has come", () => {
  const notice = { text: "x", tone: "info", until: now + 1000 } as const;
  const state = stateAfter(small, { type: "notice", notice });

  expect(reduce(state, { type: "tick", now: now + 999 }).notice).toEqual(notice);
  expect(reduce(state, { type: "tick", now: now + 1000 }).notice).toBeNull();
});

test("the engine's last word is kept when its connection ends", () => {
  const state = told(stateAfter(small), { type: "bye", reason: "the engine is ending" });

  expect(state.connection).toEqual({ state: "lost", reason: "the engine is ending" });
});

test("a download replaces what the same model's download said before", () => {
  const download = {
    model: "m",
    state: "running",
    file: null,
    bytesDone: 1,
    bytesTotal: 9,
    bytesPerSecond: 1,
    leftMs: null,
    message: null,
  } as const;
  const first = told(stateAfter(small), { type: "download", download });

  const second = told(first, { type: "download", download: { ...download, bytesDone: 5 } });

  expect(second.downloads.map((one) => one.bytesDone)).toEqual([5]);
});

test("a page of lines never scrolls above its first line", () => {
  const state = stateAfter(small, { type: "open", dialog: { kind: "help", from: 0 } });

  expect(reduce(state, { type: "scroll", by: -1 }).dialog).toEqual({ kind: "help", from: 0 });
});
