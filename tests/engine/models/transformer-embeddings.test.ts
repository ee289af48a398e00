import { expect, test } from "bun:test";
import { sinusoids } from "../../../src/engine/models/transformer-embeddings.ts";

test("a sinusoid has its cosines first", () => {
  const wave = sinusoids([500]);

  expect(wave.length).toBe(256);
  expect(wave[0]).toBeCloseTo(-0.8838, 4);
  expect(wave[128]).toBeCloseTo(-0.4678, 4);
});

test("each scalar has its own row", () => {
  expect([...sinusoids([3, 500]).subarray(256)]).toEqual([...sinusoids([500])]);
});
