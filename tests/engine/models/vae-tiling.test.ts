import { expect, test } from "bun:test";
import {
  decodeTimePlan,
  defaultTiling,
  encodeTimePlan,
  spacePlan,
  type TimePlan,
} from "../../../src/engine/models/vae-tiling.ts";

/** Frames a plan gives, tile by tile, if each tile of n inputs makes `made(n)` outputs. */
const emitted = (plan: TimePlan, made: (length: number) => number): number[] => {
  let left = plan.total;
  return plan.tiles.map(({ from, to }, i) => {
    const length = made(to - from) - (i === 0 ? 0 : 1);
    const count = Math.min(plan.keep + (i === 0 ? 1 : 0), length, left);
    left -= count;
    return count;
  });
};

test.each([
  [1, 1, 1],
  [2, 5, 1],
  [3, 9, 1],
  [4, 13, 1],
  [5, 17, 2],
  [9, 33, 3],
  [10, 37, 3],
  [18, 69, 6],
  [19, 73, 6],
])("%p latents decode to %p frames in %p tiles", (latents, frames, tiles) => {
  const plan = decodeTimePlan(latents, 4, defaultTiling);

  const counts = emitted(plan, (length) => 4 * (length - 1) + 1);

  expect(plan.tiles.length).toBe(tiles);
  expect(counts.reduce((a, b) => a + b, 0)).toBe(frames);
  expect(plan.total).toBe(frames);
});

test("tiles of a long decode overlap by two latents and the useless last one is left out", () => {
  const { tiles } = decodeTimePlan(10, 4, defaultTiling);

  expect(tiles).toEqual([
    { from: 0, to: 5 },
    { from: 3, to: 8 },
    { from: 6, to: 10 },
  ]);
});

test.each([
  [1, 1],
  [9, 3],
  [17, 5],
  [25, 7],
  [73, 19],
])("%p frames encode to %p latents", (frames, latents) => {
  const plan = encodeTimePlan(frames, 4, defaultTiling);

  const counts = emitted(plan, (length) => (length - 1) / 4 + 1);

  expect(counts.reduce((a, b) => a + b, 0)).toBe(latents);
});

test("a picture that fits one tile is not cut", () => {
  expect(spacePlan(32, 32, defaultTiling, { into: 8, out: 1 })).toBeUndefined();
});

test("a large picture is cut into overlapping tiles, the last ones thin", () => {
  const plan = spacePlan(76, 30, defaultTiling, { into: 8, out: 1 });

  expect(plan?.rows).toEqual([
    { from: 0, to: 32 },
    { from: 24, to: 56 },
    { from: 48, to: 76 },
    { from: 72, to: 76 },
  ]);
  expect(plan?.columns.length).toBe(2);
  expect(plan?.blendRows).toBe(64);
  expect(plan?.keepColumns).toBe(192);
});
