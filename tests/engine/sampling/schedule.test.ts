import { expect, test } from "bun:test";
import { flowMu, roundBf16, roundHalfEven, sigmas } from "../../../src/engine/sampling/schedule.ts";
import { goldenJson, maxAbs } from "../../support/golden.ts";

type Case = {
  steps: number;
  seq_len?: number;
  shift?: number;
  mu: number;
  sigmas: number[];
  timesteps_bf16: number[];
};
const cases = goldenJson("unipc/sigmas.json") as Case[];
const scheduleOf = (want: Case): Float32Array =>
  sigmas(want.seq_len ?? 0, { steps: want.steps, shift: want.shift ?? null });

test.each(cases)("$steps steps, mu $mu, give the known sigmas", (want) => {
  const got = scheduleOf(want);

  if (want.seq_len !== undefined) expect(flowMu(want.seq_len)).toBeCloseTo(want.mu, 12);
  expect(maxAbs(got, want.sigmas)).toBeLessThanOrEqual(6e-8);
});

test.each(cases)("$steps steps, mu $mu, give the known timesteps", (want) => {
  const got = [...scheduleOf(want)].map((s) => roundBf16(Math.fround(1000 * s)));

  expect(got).toEqual(want.timesteps_bf16);
});

test("a fixed shift replaces the one of the tokens", () => {
  const got = sigmas(12, { steps: 2, shift: 3 });

  expect([...got]).toEqual([1, 0.75, 0]);
});

test("strength scales every sigma", () => {
  const got = sigmas(12, { steps: 2, shift: 3, strength: 0.5 });

  expect([...got]).toEqual([0.5, 0.375, 0]);
});

test.each([
  [10_000, 9984],
  [6000, 6016],
  [9000, 9024],
  [4000, 4000],
  [993.7, 992],
  [-0, -0],
  [Number.NaN, Number.NaN],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])("%p rounds to %p in bf16", (x, want) => {
  expect(roundBf16(x)).toBe(want);
});

test.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [10.5, 10],
  [213.5, 214],
  [2.4, 2],
  [2.6, 3],
])("%p rounds to %p, halves to the even neighbour", (x, want) => {
  expect(roundHalfEven(x)).toBe(want);
});
