import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { sizesOf } from "../../../src/engine/bench/sizes.ts";
import { type Measured, type Row, runSuite } from "../../../src/engine/bench/suite.ts";
import { type PartName, partNames } from "../../../src/engine/bench/task.ts";
import {
  closeLibrary,
  type LibraryInfo,
  loadLibrary,
  memory,
  openLibrary,
} from "../../../src/ffi/library.ts";
import type { Backend } from "../../../src/ffi/types.ts";

const tiny = sizesOf("emulated");

let info: LibraryInfo;

const open = (backend: Backend, budget = 0): void => {
  info = openLibrary({ backend, threads: 2, budget });
};

beforeEach(() => {
  loadLibrary();
  closeLibrary();
});

afterEach(() => {
  closeLibrary();
});

const rowsOf = (parts: readonly PartName[], seconds_max: number): Promise<readonly Row[]> =>
  Array.fromAsync(runSuite({ info, sizes: tiny, dtype: "bf16", parts, seconds_max }));

const measuredOf = (rows: readonly Row[]): readonly Measured[] =>
  rows.filter((row) => row.type === "measured");

describe.each(["cpu", "emulated"] as const)("on the backend %s", (backend) => {
  test("every part is measured, each row with a time, its runs and one rate", async () => {
    open(backend);
    // Decoding takes the emulator seconds; what it decodes with is among the other parts.
    const parts = partNames.filter((part) => part !== "vae" || backend === "cpu");

    const rows = await rowsOf(parts, 60);

    const measured = measuredOf(rows);
    expect(rows.filter((row) => row.type !== "measured")).toEqual([]);
    expect([...new Set(measured.map(({ part }) => part))]).toEqual(parts);
    for (const { ms, ms_min, runs, tflops, gbps } of measured) {
      expect(ms_min).toBeGreaterThan(0);
      expect(ms).toBeGreaterThanOrEqual(ms_min);
      expect(runs).toBeGreaterThan(0);
      expect([tflops, gbps].filter((rate) => rate !== undefined && rate > 0)).toHaveLength(1);
    }
  }, 60_000);
});

test("the names of rows are unique, so that two measurements can be compared", async () => {
  open("cpu");

  const rows = await rowsOf(partNames, 60);

  const names = rows.map(({ part, name }) => `${part} ${name}`);
  expect(new Set(names).size).toBe(names.length);
});

test("a benchmark leaves no tensor behind", async () => {
  open("cpu");

  await rowsOf(partNames, 60);

  expect(memory().tensors).toBe(0);
});

test("without time, every row says that the budget was spent", async () => {
  open("cpu");

  const rows = await rowsOf(["attention", "copy"], 0);

  expect(rows).toHaveLength(6);
  for (const row of rows) {
    expect(row).toMatchObject({ type: "skipped", why: "the budget of 0 s was spent before it" });
  }
});

test("what would take longer than the budget is skipped before it begins", async () => {
  open("cpu");
  const sizes = sizesOf("cuda");
  const start = performance.now();

  const rows = await Array.fromAsync(
    runSuite({ info, sizes, dtype: "f32", parts: ["attention", "step"], seconds_max: 5 }),
  );

  expect(performance.now() - start).toBeLessThan(5000);
  expect(rows).toHaveLength(4);
  for (const row of rows) {
    expect(row).toMatchObject({ type: "skipped", why: expect.stringContaining("would not fit") });
  }
});

test("what does not fit into memory is skipped with both numbers", async () => {
  open("cpu", 50_000);

  const rows = await rowsOf(["copy"], 60);

  expect(rows).toHaveLength(3);
  for (const row of rows) {
    expect(row).toMatchObject({
      type: "skipped",
      why: "it needs 131 kB of memory and 50.0 kB are free",
    });
  }
});
