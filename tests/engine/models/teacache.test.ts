import { expect, test } from "bun:test";
import { rescale, TeaCacheClock } from "../../../src/engine/models/teacache.ts";

/** Decisions of 25 steps whose input changes by the same amount each time, as 1s and 0s. */
const decisions = (delta: number, steps = 25): string => {
  const clock = new TeaCacheClock(steps, 0.15);
  return Array.from({ length: steps }, () => (clock.advance(delta).compute ? "1" : "0")).join("");
};

test("the polynomial has its published values", () => {
  expect(rescale(0)).toBeCloseTo(0.096124, 6);
  expect(rescale(0.03)).toBeCloseTo(0.052219, 6);
  expect(rescale(0.15)).toBeCloseTo(0.161723, 6);
  expect(rescale(0.3)).toBeCloseTo(0.342552, 6);
});

test("the first and the last step compute", () => {
  expect(decisions(0.03)).toBe("1001001001001001001001001");
  expect(decisions(0.04, 5)).toBe("10011");
});

test.each([
  [0, 13],
  [0.02, 9],
  [0.1, 13],
  [0.12, 25],
  [0.2, 13],
  [0.3, 25],
])("a constant change of %p computes %p of 25 steps", (delta, full) => {
  expect([...decisions(delta)].filter((d) => d === "1").length).toBe(full);
});

test("the clock starts anew when a section's steps are over", () => {
  const clock = new TeaCacheClock(3, 0.15);
  const made = Array.from({ length: 6 }, () => clock.advance(0.03).compute);

  expect(made).toEqual([true, false, true, true, false, true]);
});
