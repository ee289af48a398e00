// The same work twice gives the same bytes on a real GPU: every op case, a denoise step, a decode.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDecode } from "../../src/engine/bench/decode.ts";
import type { Bench } from "../../src/engine/bench/products.ts";
import { RandomTensors } from "../../src/engine/bench/random.ts";
import { sizesOf } from "../../src/engine/bench/sizes.ts";
import { openStep } from "../../src/engine/bench/step.ts";
import { joinFrames } from "../../src/engine/models/vae.ts";
import { closeLibrary, openLibrary } from "../../src/ffi/library.ts";
import { cases } from "../kernels/backends.ts";
import { runCase } from "../kernels/case.ts";
import { findDifference } from "../kernels/compare.ts";
import { isAsked } from "./asked.ts";

/** As large as what a CPU measures: many tiles and blocks. */
const withBench = async <T>(use: (bench: Bench) => Promise<T>): Promise<T> => {
  const sizes = sizesOf("cpu", 1100);
  using random = new RandomTensors(sizes.block);
  return await use({ sizes, dtype: "bf16", vaeDtype: "f16", random });
};

const oneStep = (): Promise<Uint8Array> =>
  withBench(async (bench) => {
    using step = await openStep(bench);
    using velocity = await step.velocity();
    return velocity.bytes();
  });

const oneDecode = (): Promise<Uint8Array> =>
  withBench(async (bench) => {
    using decode = await openDecode(bench);
    const parts = await Array.fromAsync(decode.frames());
    using clip = joinFrames(parts);
    for (const part of parts) part[Symbol.dispose]();
    return clip.bytes();
  });

const all = cases.flatMap((c) => c.dtypes.map((dtype) => [c.name, dtype, c] as const));
const pairs = isAsked ? all : [];

describe.skipIf(!isAsked)("on a GPU", () => {
  beforeAll(() => {
    openLibrary({ backend: "cuda" });
  });

  afterAll(() => {
    closeLibrary();
  });

  test.each(pairs)("twice the same: %s in %s", (_, dtype, c) => {
    const first = runCase(c, dtype, dtype);

    const second = runCase(c, dtype, dtype);

    expect(findDifference(second, first)).toBeNull();
  });

  test("a denoise step gives the same finite bytes twice", async () => {
    const first = await oneStep();

    const second = await oneStep();

    expect(new Float32Array(first.buffer).every(Number.isFinite)).toBe(true);
    expect(second).toEqual(first);
  });

  test("a decode gives the same bytes twice", async () => {
    const first = await oneDecode();

    const second = await oneDecode();

    expect(second).toEqual(first);
  });
});
