// `framepack bench`: measures kernels, a step and a decode on a backend. With `--model` and `--io` it
// times a model's networks on given inputs instead, to put this program beside another one.

import { z } from "zod";
import { benchModel, type ModelTimes } from "../engine/bench/model.ts";
import { type Sizes, sizesOf } from "../engine/bench/sizes.ts";
import { runSuite } from "../engine/bench/suite.ts";
import { type PartName, partNames } from "../engine/bench/task.ts";
import { exitCodes, Failure } from "../engine/failure.ts";
import { KernelError, type LibraryInfo, openLibrary } from "../ffi/library.ts";
import { tensorMapper } from "../ffi/mapped-file.ts";
import type { Backend, FloatDtype } from "../ffi/types.ts";
import { envelope, head, lineOf, roundedRow, type Sum, sumLine } from "./bench-table.ts";
import { choice, type Given, number, parseFlags, text, toggle, value } from "./flags.ts";

const spec = {
  backend: choice(["cpu", "emulated", "cuda"], "what computes; cpu unless given"),
  device: number("N", "which GPU, of those that are visible", z.int().min(0).max(1024)),
  threads: number("N", "threads of the cpu backend; 0 takes all cores", z.int().min(0).max(256)),
  dtype: choice(
    ["float32", "bfloat16", "float16"],
    "precision; float32 on a cpu, else bfloat16, unless given",
  ),
  parts: value(
    "PART,…",
    `what to measure: ${partNames.join(", ")}; all unless given`,
    z.string().transform((raw, context) => partsOf(raw, context)),
  ),
  tokens: number("N", "tokens of a step; 18019 on a GPU", z.int().min(20).max(200_000)),
  budget: number("S", "seconds after which nothing is begun; 120 unless given", z.number().min(0)),
  json: toggle("one line of JSON a row, and one for all"),
  model: text("DIR", "folder with transformer/ and vae/: times them on inputs from --io"),
  io: text("DIR", "folder with inputs.safetensors, and outputs_fp32.safetensors to compare with"),
  rounds: number("N", "with --model: rounds after a first one; 5 unless given", z.int().min(1)),
  seconds: number("S", "with --model: no further round after it; 20", z.number().positive()),
};

type BenchFlags = Given<typeof spec>;

/** Flags that only one of the two ways of measuring knows. */
const ofSuite = ["device", "parts", "tokens", "budget", "json"] as const;
const ofModel = ["model", "io", "rounds", "seconds"] as const;

const dtypes: Readonly<Record<NonNullable<BenchFlags["dtype"]>, FloatDtype>> = {
  float32: "f32",
  bfloat16: "bf16",
  float16: "f16",
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("bench", spec, args);
  const asked = ofModel.find((name) => flags[name] !== undefined);
  if (asked === undefined) return benchSuite(flags);
  const other = ofSuite.find((name) => flags[name] !== undefined);
  if (other !== undefined) {
    throw new Failure("usage.bench", `framepack bench takes --${other} without --${asked} only.`, {
      hint: "With --model and --io it times a model; without them it measures kernels.",
    });
  }
  return timeModel(flags);
};

const partsOf = (raw: string, context: z.RefinementCtx): readonly PartName[] => {
  const words = raw.split(",").map((word) => word.trim());
  const wrong = words.find((word) => !partNames.some((name) => name === word));
  if (wrong === undefined) return partNames.filter((name) => words.includes(name));
  context.addIssue({ code: "custom", message: `Parts are ${partNames.join(", ")}` });
  return z.NEVER;
};

// ---- Kernels, a step, a decode ---------------------------------------------------------------

const benchSuite = async (flags: BenchFlags): Promise<number> => {
  const { backend = "cpu", threads = 0, device = 0, json = false } = flags;
  const info = open(backend, { threads, device });
  const sizes = sizesOf(backend, flags.tokens);
  const dtype = dtypes[flags.dtype ?? (backend === "cpu" ? "float32" : "bfloat16")];
  const seconds_max = flags.budget ?? 120;
  if (!json) for (const line of head(info, dtype)) console.log(line);
  const start = performance.now();
  const sum: Sum = { measured: 0, skipped: 0, failed: 0, seconds: 0 };
  const parts = flags.parts ?? partNames;
  for await (const row of runSuite({ info, sizes, dtype, parts, seconds_max })) {
    sum[row.type]++;
    console.log(json ? JSON.stringify(roundedRow(row)) : lineOf(row));
  }
  sum.seconds = (performance.now() - start) / 1000;
  report(sum, { info, sizes, dtype, seconds_max, json });
  return sum.failed === 0 ? exitCodes.ok : exitCodes.unknown;
};

type Setting = Readonly<{
  info: LibraryInfo;
  sizes: Sizes;
  dtype: FloatDtype;
  seconds_max: number;
  json: boolean;
}>;

const report = (sum: Sum, { info, sizes, dtype, seconds_max, json }: Setting): void => {
  const { tokens } = sizes.section;
  if (json) console.log(JSON.stringify(envelope(info, { dtype, tokens, seconds_max, ...sum })));
  else console.error(sumLine(sum));
};

const open = (
  backend: Backend,
  options: Readonly<{ threads: number; device: number }>,
): LibraryInfo => {
  try {
    return openLibrary({ backend, ...options });
  } catch (error) {
    if (!(error instanceof KernelError) || backend !== "cuda") throw error;
    throw new Failure("gpu.unavailable", `The GPU cannot be used: ${error.detail}.`, {
      hint: "framepack doctor says more; --backend cpu measures without it.",
      cause: error,
    });
  }
};

// ---- A model beside another program ----------------------------------------------------------

const timeModel = async (flags: BenchFlags): Promise<number> => {
  const { model, io, dtype = "float32", rounds = 5, seconds = 20 } = flags;
  if (model === undefined || io === undefined) {
    throw new Failure("usage.bench", "framepack bench needs both --model DIR and --io DIR.", {
      hint: "framepack bench --help lists its flags.",
    });
  }
  const info = openLibrary({ backend: flags.backend ?? "cpu", threads: flags.threads ?? 0 });
  const load = { dtype: dtypes[dtype], mapper: tensorMapper, upload: info.backend !== "cpu" };
  const times = await benchModel({ model, io, load, rounds_max: rounds, seconds_max: seconds });
  const { backend, cpu, threads } = info;
  console.log(JSON.stringify({ ...rounded(times), dtype, threads, backend, cpu }));
  return exitCodes.ok;
};

/** Times to a tenth of a millisecond; distances as they are. */
const rounded = (times: ModelTimes): Record<string, number> =>
  Object.fromEntries(
    Object.entries(times).map(([name, value]: [string, number]) => [
      name,
      name.includes("_ms") ? Math.round(value * 10) / 10 : value,
    ]),
  );
