// Reference cases through the CUDA kernels, run by the emulator: whole networks, not single ops.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { LoadOptions } from "../../src/engine/models/load.ts";
import { openCase, verifyCase } from "../../src/engine/verify/verify.ts";
import { closeLibrary, loadLibrary, openLibrary } from "../../src/ffi/library.ts";
import { tensorMapper } from "../../src/ffi/mapped-file.ts";
import type { FloatDtype } from "../../src/ffi/types.ts";
import { goldenFolder } from "../support/golden.ts";

// One precision each, the one it runs in on a GPU: the emulator is slow.
const chosen: readonly (readonly [string, FloatDtype])[] = [
  ["unipc", "f32"],
  ["token-refiner", "bf16"],
  ["token-refiner", "f32"],
  ["dit-packed", "bf16"],
  ["dit-packed-f1", "bf16"],
  ["dit-teacache", "bf16"],
  ["llama", "bf16"],
  ["siglip-vision", "bf16"],
  ["vae", "f16"],
];

const load = (dtype: FloatDtype): LoadOptions => ({ dtype, mapper: tensorMapper, upload: true });

beforeAll(() => {
  loadLibrary();
  closeLibrary();
  openLibrary({ backend: "emulated" });
});

afterAll(() => {
  closeLibrary();
});

test.each(chosen)(
  "emulated: every tensor of %s in %s is within its limit",
  async (name, dtype) => {
    const { checks } = await verifyCase(openCase(join(goldenFolder, name)), [dtype], load);

    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.length).toBeGreaterThan(0);
  },
  300_000,
);
