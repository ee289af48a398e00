// What nvcc says about every kernel on every architecture, held against a table: registers decide how
// many blocks share a multiprocessor, and a hot kernel that spills has lost. The build writes the
// reports when it compiles GPU code; without them there is nothing to hold.

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, "../../build/ptxas");
const architectures = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_120"];

type Limit = readonly [kernels: RegExp, registers: number, why: string];

// The first row that fits a kernel counts. Spills are allowed nowhere.
const limits: readonly Limit[] = [
  [/^matmul_tile_/, 128, "two blocks of 256 threads"],
  [/^conv3d_tile_act_/, 168, "one block of 256 threads, room for the input in registers"],
  [/^conv3d_tile_/, 128, "two blocks of 256 threads"],
  [/^attention_(bf16|f16)_(64|80)_/, 255, "two blocks of 128 threads"],
  [/^attention_(bf16|f16)_128_/, 200, "one block of 256 threads"],
  [
    /^(attention|matmul)_sm90_/,
    168,
    "one block of 384 threads, which hand registers on: 24 and twice 240",
  ],
  [/^attention_(bf16|f16)_512_/, 168, "one block of 256 threads"],
  [/^(layer_norm|rms_norm|adaln)_/, 128, "a row of 8192 stays in registers"],
  [/^lincomb_/, 128, "eight operands of eight elements"],
  [/^stats_/, 128, "sums in f64, one block"],
  [/./, 96, "everything else is bound by memory and wants many blocks"],
];

type Row = Readonly<{ kernel: string; arch: string; registers: number; spills: number }>;

const readRows = (path: string): readonly Row[] => {
  const text = readFileSync(path, "utf8");
  const entry =
    /Compiling entry function '(\w+)' for '(\w+)'\n(?:.*\n)*?.*?(\d+) bytes spill stores, (\d+) bytes spill loads\n.*?Used (\d+) registers/g;
  return [...text.matchAll(entry)].map(([, kernel = "", arch = "", stores, loads, used]) => ({
    kernel,
    arch,
    registers: Number(used),
    spills: Number(stores) + Number(loads),
  }));
};

const paths = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
const rows = paths.flatMap(readRows);

test.skipIf(rows.length === 0)("every kernel is compiled for every architecture", () => {
  const kernels = new Set(rows.map(({ kernel }) => kernel));

  const missing = [...kernels].flatMap((kernel) =>
    architectures
      .filter((arch) => !rows.some((row) => row.kernel === kernel && row.arch === arch))
      // Kernels of one architecture's own instructions say so in their name.
      .filter((arch) => !/_sm90_/.test(kernel) || arch === "sm_90a")
      .map((arch) => `${kernel} for ${arch}`),
  );

  expect(missing).toEqual([]);
});

test.skipIf(rows.length === 0)("no kernel spills registers", () => {
  const spilling = rows.filter(({ spills }) => spills > 0);

  expect(spilling).toEqual([]);
});

test.skipIf(rows.length === 0)("no kernel takes more registers than its row allows", () => {
  const over = rows.filter(({ kernel, registers }) => {
    const limit = limits.find(([pattern]) => pattern.test(kernel));
    return limit === undefined || registers > limit[1];
  });

  expect(over).toEqual([]);
});

test.skipIf(rows.length === 0)(
  "the assembler serialises no wgmma and ignores no setmaxnreg",
  () => {
    const warnings = paths.flatMap((path) =>
      readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => /C75\d\d|serializ|setmaxnreg/i.test(line)),
    );

    expect(warnings).toEqual([]);
  },
);
