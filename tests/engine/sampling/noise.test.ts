import { expect, test } from "bun:test";
import { NoiseGenerator } from "../../../src/engine/sampling/noise.ts";
import { Golden, goldenJson, maxAbs } from "../../support/golden.ts";

const outputs = new Golden("rng/outputs.safetensors");
const { draws } = goldenJson("rng/case.json") as {
  draws: { seed: number; shapes: number[][] }[];
};

test.each(draws)("seed $seed gives the noise that torch's generator gives", ({ seed, shapes }) => {
  const generator = new NoiseGenerator(seed);

  const got = shapes.map((shape) => generator.normals(shape.reduce((a, b) => a * b, 1)));

  for (const [i, values] of got.entries()) {
    expect(maxAbs(values, outputs.f32(`${seed}.${i}`))).toBeLessThanOrEqual(1e-5);
  }
});

test("the raw outputs of the default seed are the known ones", () => {
  const generator = new NoiseGenerator(31337);

  const raw = [generator.next(), generator.next(), generator.next(), generator.next()];

  expect(raw).toEqual([3100331191, 3480951327, 4150831638, 1400216829]);
});

test("two sections of full size draw consecutive blocks", () => {
  const generator = new NoiseGenerator(31337);

  const first = generator.normals(875_520);
  const second = generator.normals(875_520);

  expect(first[8]).toBeCloseTo(1.32701015, 5);
  expect(first[875_519]).toBeCloseTo(0.81938827, 5);
  expect([...second.subarray(0, 4)].map((v) => v.toFixed(5))).toEqual([
    "-0.26153",
    "-0.49496",
    "-2.32164",
    "-1.97590",
  ]);
});

test("the high bits of a seed do not count", () => {
  const low = new NoiseGenerator(5).normals(32);
  const high = new NoiseGenerator(2 ** 32 + 5).normals(32);
  const negative = new NoiseGenerator(-1).normals(32);

  expect(high).toEqual(low);
  expect(negative).toEqual(new NoiseGenerator(4294967295).normals(32));
});

test("a restored generator goes on where the saved one stood", () => {
  const generator = new NoiseGenerator(7);
  generator.normals(21);
  generator.normals(3);

  const restored = NoiseGenerator.restore(JSON.parse(JSON.stringify(generator.state())));

  expect(restored.normals(5)).toEqual(generator.normals(5));
  expect(restored.normals(700)).toEqual(generator.normals(700));
});

test("a state of the wrong size is refused", () => {
  const state = { words: "AAAA", index: 0, spare: null };

  expect(() => NoiseGenerator.restore(state)).toThrow("noise generator");
});
