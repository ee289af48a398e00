// How the sanitizer's checks are counted, with a runner that stands for the tool.

import { expect, test } from "bun:test";
import { type Execute, gpuPaths, requireGpuTests, sanitize } from "../../src/cli/test-gpu.ts";

/** A tool that ends with 99 when it is asked to be `faulty`, and notes what it was asked. */
const toolWhere = (faulty: string): Readonly<{ execute: Execute; asked: string[][] }> => {
  const asked: string[][] = [];
  const execute: Execute = async (_program, args) => {
    asked.push([...args]);
    return args[0] === `--tool=${faulty}`
      ? { code: 99, output: "RACECHECK SUMMARY: 1 hazard\n" }
      : { code: 0, output: "ERROR SUMMARY: 0 errors\n" };
  };
  return { execute, asked };
};

test("each tool of the sanitizer is a check of its own, over the op cases", async () => {
  const { execute, asked } = toolWhere("none");

  const { counts } = await sanitize("/checkout", execute, "/bin/compute-sanitizer");

  expect(counts).toEqual({ passed: 4, failed: 0, skipped: 0 });
  expect(asked.map(([tool]) => tool)).toEqual([
    "--tool=memcheck",
    "--tool=racecheck",
    "--tool=synccheck",
    "--tool=initcheck",
  ]);
  expect(asked[0]?.at(-1)).toBe("/checkout/tests/gpu/run-cases.ts");
});

test("what a tool found fails its check and is shown", async () => {
  const { execute } = toolWhere("racecheck");

  const { counts, output } = await sanitize("/checkout", execute, "/bin/compute-sanitizer");

  expect(counts).toEqual({ passed: 3, failed: 1, skipped: 0 });
  expect(output).toContain("racecheck ended with 99:\nRACECHECK SUMMARY: 1 hazard");
});

test("without the sanitizer its checks are skipped, which is said", async () => {
  const { execute, asked } = toolWhere("none");

  const { counts, note } = await sanitize("/checkout", execute, null);

  expect(counts).toEqual({ passed: 0, failed: 0, skipped: 4 });
  expect(note).toBe("compute-sanitizer is not on PATH");
  expect(asked).toEqual([]);
});

test("words pick files in tests/gpu and nowhere else", () => {
  expect(gpuPaths([])).toEqual(["tests/gpu/"]);
  expect(gpuPaths(["kernels", "goldens"])).toEqual(["tests/gpu/kernels", "tests/gpu/goldens"]);
});

test("a copy without tests says how to make one that has them", () => {
  expect(() => requireGpuTests("/nonexistent")).toThrow("comes without its tests");
});
