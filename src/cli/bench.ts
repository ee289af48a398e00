// `framepack bench --model DIR --io DIR`: times a model's networks on given inputs and prints one
// line of JSON, for putting this program beside another one on the same machine.

import { z } from "zod";
import { benchModel, type ModelTimes } from "../engine/bench/model.ts";
import { exitCodes, Failure } from "../engine/failure.ts";
import { openLibrary } from "../ffi/library.ts";
import { tensorMapper } from "../ffi/mapped-file.ts";
import type { FloatDtype } from "../ffi/types.ts";
import { choice, number, parseFlags, text } from "./flags.ts";

const spec = {
  model: text("DIR", "folder with transformer/ and vae/"),
  io: text("DIR", "folder with inputs.safetensors, and outputs_fp32.safetensors to compare with"),
  backend: choice(["cpu", "emulated", "cuda"], "what computes; cpu unless given"),
  threads: number("N", "threads of the cpu backend; 0 takes all cores", z.int().min(0).max(1024)),
  dtype: choice(["float32", "bfloat16", "float16"], "precision; float32 unless given"),
  rounds: number("N", "rounds that are timed after a first one; 5 unless given", z.int().min(1)),
  seconds: number("S", "no further round after this time; 20 unless given", z.number().positive()),
};

const dtypes: Readonly<Record<string, FloatDtype>> = {
  float32: "f32",
  bfloat16: "bf16",
  float16: "f16",
};

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("bench", spec, args);
  const { model, io, dtype = "float32", rounds = 5, seconds = 20 } = flags;
  if (model === undefined || io === undefined) {
    throw new Failure("usage.bench", "framepack bench needs --model DIR and --io DIR.", {
      hint: "framepack bench --help lists its flags.",
    });
  }
  const info = openLibrary({ backend: flags.backend ?? "cpu", threads: flags.threads ?? 0 });
  const load = {
    dtype: dtypes[dtype] ?? "f32",
    mapper: tensorMapper,
    upload: info.backend !== "cpu",
  };
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
