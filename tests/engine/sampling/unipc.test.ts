import { expect, test } from "bun:test";
import { sigmas } from "../../../src/engine/sampling/schedule.ts";
import { corrector, orderOf, phi, predictor } from "../../../src/engine/sampling/unipc.ts";

// Seven sevenths: sigma = 7u / (1 + 6u) for six steps, in exact doubles.
const exact = [1, 35 / 36, 14 / 15, 7 / 8, 7 / 9, 7 / 12, 0];

/** The toy model of the specification: x0 = x / 2 + sigma / 4 + 0.1, in doubles. */
const run = (sigma: ArrayLike<number>, start: number, variant: "bh1" | "bh2" = "bh1") => {
  const steps = sigma.length - 1;
  const model = (x: number, s: number): number => 0.5 * x + 0.25 * s + 0.1;
  let x = start;
  const past = [model(x, sigma[0] ?? 0)];
  for (let i = 1; i < steps; i++) {
    const p = predictor(sigma, i, variant);
    const ahead = p[0] * x + p[1] * at(past, 0) + p[2] * at(past, 1) + p[3] * at(past, 2);
    const mt = model(ahead, sigma[i] ?? 0);
    const c = corrector(sigma, i, variant);
    x = c[0] * x + c[1] * mt + c[2] * at(past, 0) + c[3] * at(past, 1) + c[4] * at(past, 2);
    past.unshift(mt);
  }
  return { x, x0: at(past, 0) };
};
const at = (list: readonly number[], i: number): number => list[i] ?? 0;

test.each([
  [1, 0.9012336303, 0.6964826466],
  [-0.5, -0.2444205585, 0.1236180544],
  [2, 1.6650030895, 1.0783923747],
])("six steps from %p end at the worked example's values", (start, x, x0) => {
  const got = run(exact, start);

  expect(got.x).toBeCloseTo(x, 9);
  expect(got.x0).toBeCloseTo(x0, 9);
});

test("twenty-five steps end at the worked example's value", () => {
  const steps = Array.from({ length: 26 }, (_, i) => (7 * (1 - i / 25)) / (1 + 6 * (1 - i / 25)));

  expect(run(steps, 1).x0).toBeCloseTo(0.5091259442, 9);
});

test("the second variant is told apart from the first", () => {
  expect(run(exact, 1, "bh2").x0).toBeCloseTo(0.69648415, 6);
});

test("the order grows to three and stays below the number of steps", () => {
  expect([1, 2, 3, 4].map((i) => orderOf(i, 25))).toEqual([1, 2, 3, 3]);
  expect([1, 2].map((i) => orderOf(i, 3))).toEqual([1, 2]);
  expect(orderOf(1, 2)).toBe(1);
});

test("the weights of a step add up to one: a constant stays a constant", () => {
  const list = sigmas(9000, { steps: 25 });

  for (let i = 1; i < 25; i++) {
    expect(predictor(list, i, "bh1").reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(corrector(list, i, "bh1").reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
  }
});

test("phi is exact where its recursion would cancel", () => {
  expect(phi(1, 0)).toBe(1);
  expect(phi(4, -0.006)).toBeCloseTo(1 / 24 - 0.006 / 120 + 0.000036 / 720 / 1, 9);
  expect(phi(1, -3)).toBeCloseTo((Math.exp(-3) - 1) / -3, 14);
});
