// The cuda backend's own code, on a libcuda that runs kernels by the emulator: what it asks of a
// driver, in which order, and what it says when the driver refuses.

import { beforeAll, expect, test } from "bun:test";
import { buildLibraries, buildTime_ms, driverPath, mutantsPath, runScript } from "./libraries.ts";

const env = {
  FRAMEPACK_LIBRARY: mutantsPath,
  FRAMEPACK_LIBCUDA: driverPath,
  FRAMEPACK_CUBLASLT: "none",
};

beforeAll(buildLibraries, buildTime_ms);

const onCuda = async (words: readonly string[], more: Readonly<Record<string, string>> = {}) => {
  const { out, error } = await runScript("backend-run.ts", ["cuda", ...words], { ...env, ...more });
  expect(error).toBe("");
  return JSON.parse(out) as { count: number; fault?: string | null; refusal?: string };
};

test("ops of every kind run through the driver", async () => {
  const words = [
    "matmul [1",
    "attention of 129",
    "norms of [5",
    "conv3d 3x3x3",
    "embed",
    "copy of",
  ];

  const { count, fault } = await onCuda(words);

  expect(fault).toBeNull();
  expect(count).toBeGreaterThan(20);
}, 60_000);

test("products go to cuBLASLt where it is there, and come back the same", async () => {
  const { count, fault } = await onCuda(["matmul"], { FRAMEPACK_CUBLASLT: driverPath });

  expect(fault).toBeNull();
  expect(count).toBeGreaterThan(20);
}, 60_000);

test("a cuBLASLt that computes wrongly shows, so it is used", async () => {
  const { fault } = await onCuda(["matmul [128"], {
    FRAMEPACK_CUBLASLT: driverPath,
    FRAMEPACK_BLAS_WRONG: "1",
  });

  expect(fault).toContain("matmul [128");
}, 60_000);

test("without a visible GPU the refusal says where to look", async () => {
  const { refusal } = await onCuda(["embed"], { CUDA_VISIBLE_DEVICES: "" });

  expect(refusal).toContain("0 are visible");
  expect(refusal).toContain("CUDA_VISIBLE_DEVICES");
});

test("without a driver the refusal says what to install", async () => {
  const { refusal } = await onCuda(["embed"], { FRAMEPACK_LIBCUDA: "/nonexistent/libcuda.so.1" });

  expect(refusal).toContain("no NVIDIA driver");
});
