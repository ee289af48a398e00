import { expect, test } from "bun:test";
import { Pace, type PaceOptions } from "../../../src/engine/run/pace.ts";

const options: PaceOptions = {
  steps: 10,
  sections: 3,
  skips: false,
  stepFlops: 100,
  clipFlops: [50, 100, 110],
  decodeRate: null,
  computedShare: null,
};

test("nothing is said before the first step", () => {
  expect(new Pace(options).left(0)).toEqual({ section: null, job: null });
});

test("after two steps the rest is steps and decodes at the measured speed", () => {
  const pace = new Pace(options);
  pace.stepDone(5000, false); // warming up
  pace.stepDone(1000, false);

  // Decoding at the speed of sampling: 100 operations a second.
  expect(pace.left(0)).toEqual({ section: 8500, job: 8500 + 11_000 + 11_100 });
});

test("a measured decode replaces the guess, by the size of each clip", () => {
  const pace = new Pace(options);
  for (let i = 0; i < 10; i++) pace.stepDone(1000, false);
  pace.sectionDone(0, 2000);

  expect(pace.left(1)).toEqual({ section: 14_000, job: 14_000 + 14_400 });
});

test("skipped steps are expected at the rate of the sections before", () => {
  const pace = new Pace({ ...options, skips: true, sections: 2 });
  for (let i = 0; i < 10; i++) pace.stepDone(i < 4 ? 1000 : 100, i >= 4);
  pace.sectionDone(0, 500);

  // 0.4 · 1000 + 0.6 · 100 a step, and a clip twice as large.
  expect(pace.left(1).job).toBeCloseTo(4600 + 1000, 6);
});

test("what was measured says how fast sampling and decoding are", () => {
  const pace = new Pace(options);
  for (let i = 0; i < 10; i++) pace.stepDone(1000, false);
  expect(pace.measured()).toBeNull();

  pace.sectionDone(0, 500);

  expect(pace.measured()).toEqual({ sample: 0.1, decode: 0.1, computed: null });
});
