import { expect, test } from "bun:test";
import { decodeWork } from "../../../src/engine/bench/decode.ts";
import { limitRate, limitsOf } from "../../../src/engine/bench/limits.ts";
import { sectionOf, sizesOf } from "../../../src/engine/bench/sizes.ts";
import { stepWork } from "../../../src/engine/bench/step.ts";
import type { LibraryInfo } from "../../../src/ffi/library.ts";

const gpu = (device: string): LibraryInfo => ({
  backend: "cuda",
  cpu: "",
  threads: 1,
  device,
  driver: "CUDA 13.0",
  arch: "sm_90",
  bytes: 140e9,
});

test("a full-size section is the published one, token by token", () => {
  const section = sectionOf(18_019);

  expect(section).toEqual({
    grid: [34, 44],
    image: 729,
    prompt: 64,
    noiseRows: 13_464,
    imageRows: 17_226,
    tokens: 18_019,
  });
});

test("a section never has more tokens than asked for", () => {
  const sizes = [20, 57, 600, 5000, 18_000].map((tokens) => [tokens, sectionOf(tokens).tokens]);

  for (const [asked = 0, tokens = 0] of sizes) {
    expect(tokens).toBeLessThanOrEqual(asked);
    expect(tokens).toBeGreaterThan(0);
  }
});

test("a full-size step is 484 trillion operations, which an H200 can do in 0.68 s", () => {
  const { matmul = 0, attention = 0 } = stepWork(sizesOf("cuda"));
  const limit = limitRate({ matmul, attention }, limitsOf(gpu("NVIDIA H200"), "bf16")) ?? 0;

  expect(matmul / 1e12).toBeCloseTo(244.9, 1);
  expect(attention / 1e12).toBeCloseTo(239.4, 1);
  expect((matmul + attention) / 1e12 / limit).toBeCloseTo(0.679, 3);
});

test("decoding a section of 18 latents is 638 trillion operations", () => {
  const { vae, latents } = sizesOf("cuda");

  const { matmul = 0, attention = 0 } = decodeWork(vae, latents);

  expect((matmul + attention) / 1e12).toBeCloseTo(637.6, 1);
});

test("a device that nothing is known of has no limits", () => {
  expect(limitsOf(gpu("NVIDIA GeForce RTX 4090 D"), "bf16")).toEqual({});
  expect(limitRate({ matmul: 1e12 }, {})).toBeUndefined();
});

test("float32 on a GPU is not held against the limits of half precision", () => {
  const limits = limitsOf(gpu("NVIDIA H200"), "f32");

  expect(limits).toEqual({ memory: 4300, link: 52 });
});
