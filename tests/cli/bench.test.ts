// The verb as a process: which of its two ways it takes, what it prints, how it leaves.

import { expect, setDefaultTimeout, test } from "bun:test";

setDefaultTimeout(60_000); // a busy machine takes its time

const main = new URL("../../src/main.ts", import.meta.url).pathname;

const framepack = (...args: readonly string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, ...args], {
    env: { ...process.env, FRAMEPACK_LIBCUDA: "/nonexistent/libcuda.so.1" },
  });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

const linesOf = (out: string): readonly Record<string, unknown>[] =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("--json prints a row for each thing measured and one line for all", () => {
  const { code, out, err } = framepack("bench", "--parts", "copy", "--threads", "1", "--json");

  const lines = linesOf(out);
  expect(code).toBe(0);
  expect(err).toBe("");
  expect(lines.map(({ type }) => type)).toEqual(["measured", "measured", "measured", "benched"]);
  expect(lines[0]).toMatchObject({ part: "copy", name: "host to device, 32 MiB", dtype: "u8" });
  expect(lines[3]).toMatchObject({ backend: "cpu", threads: 1, measured: 3, skipped: 0 });
});

test("without --json the rows are a table on stdout and their sum is on stderr", () => {
  const { code, out, err } = framepack("bench", "--parts", "copy,copy", "--budget", "0");

  const [device = "", head = "", first = ""] = out.split("\n");
  expect(code).toBe(0);
  expect(device).toStartWith("cpu, ");
  expect(head).toMatch(/^part +name +ms +rate +of limit$/);
  expect(first).toMatch(/^copy +u8 +host to device, 32 MiB +skipped: the budget of 0 s was spent/);
  expect(err).toMatch(/^0 rows measured, 3 skipped in [\d.]+ m?s\.\n$/);
});

test("a part that is none is a usage failure with the names of all", () => {
  const { code, err } = framepack("bench", "--parts", "copy,convolve");

  expect(code).toBe(2);
  expect(err).toContain("attention, matmul, elementwise, step, vae, copy");
});

test("flags of the two ways of measuring do not mix", () => {
  const { code, err } = framepack("bench", "--model", "x", "--io", "y", "--parts", "copy");

  expect(code).toBe(2);
  expect(err).toContain("--parts without --model only");
});

test("a model alone is not enough to time it", () => {
  const { code, err } = framepack("bench", "--model", "x");

  expect(code).toBe(2);
  expect(err).toContain("needs both --model DIR and --io DIR");
});

test("without a driver, measuring a GPU leaves with 6", () => {
  const { code, err } = framepack("bench", "--backend", "cuda");

  expect(code).toBe(6);
  expect(err).toContain("The GPU cannot be used: there is no NVIDIA driver here");
});

test("without a driver, the tests on a GPU are skipped with the reason and leave with 6", () => {
  const { code, out } = framepack("test", "--gpu");

  expect(code).toBe(6);
  expect(out).toMatch(/^skip gpu +0 passed, 0 failed, 1 skipped .*there is no NVIDIA driver here/);
  expect(out.trimEnd().split("\n").at(-1)).toBe("0 passed, 0 failed");
});
