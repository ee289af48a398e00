// The benchmark of kernels and networks: task after task within a budget of time, a row for each.
// What cannot run here says why in its row; nothing is left out in silence.

import { KernelError, type LibraryInfo, memory } from "../../ffi/library.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { reportOf } from "../failure.ts";
import { copyTasks } from "./copies.ts";
import { vaeTasks } from "./decode.ts";
import { elementTasks } from "./elements.ts";
import { limitRate, limitsOf, rateOf, totals } from "./limits.ts";
import { attentionTasks, type Bench, matmulTasks } from "./products.ts";
import { RandomTensors } from "./random.ts";
import type { Sizes } from "./sizes.ts";
import { stepTasks } from "./step.ts";
import { type Effort, measure, misfit, type PartName, type Task, type Timing } from "./task.ts";

type About = Readonly<{ part: PartName; name: string; dtype: Task["dtype"] }>;

export type Measured = About &
  Timing &
  Readonly<{
    type: "measured";
    /** One of the two: billions of operations, or of bytes, in a thousandth and a whole second. */
    tflops?: number;
    gbps?: number;
    /** The rate that the device is known to reach, and how much of it this is. */
    limit?: number;
    share?: number;
  }>;
export type Row =
  | Measured
  | (About & Readonly<{ type: "skipped"; why: string }>)
  | (About & Readonly<{ type: "failed"; why: string }>);

export interface SuiteOptions {
  readonly info: LibraryInfo;
  readonly sizes: Sizes;
  readonly dtype: FloatDtype;
  readonly parts: readonly PartName[];
  readonly seconds_max: number;
}

const runs_max = 7;
const ms_enough = 3000;

export async function* runSuite(options: SuiteOptions): AsyncGenerator<Row, void> {
  const { info, sizes, dtype, parts, seconds_max } = options;
  const until = performance.now() + seconds_max * 1000;
  using random = new RandomTensors(sizes.block);
  const bench: Bench = { sizes, dtype, vaeDtype: vaeDtypeOf(info, dtype), random };
  const pace = new Pace(info);
  for (const part of parts) {
    for (const task of tasksOf[part](bench)) {
      const effort = { runs_max, ms_enough, until };
      const row = await rowOf(task, { info, effort, pace, seconds_max });
      pace.note(task, row);
      yield row;
    }
  }
}

const tasksOf: Readonly<Record<PartName, (bench: Bench) => readonly Task[]>> = {
  attention: attentionTasks,
  matmul: matmulTasks,
  elementwise: elementTasks,
  step: stepTasks,
  vae: vaeTasks,
  copy: ({ sizes }) => copyTasks(sizes),
};

/** On a GPU a run decodes in f16 beside a bf16 transformer. */
const vaeDtypeOf = (info: LibraryInfo, dtype: FloatDtype): FloatDtype =>
  info.backend !== "cpu" && dtype === "bf16" ? "f16" : dtype;

type Context = Readonly<{ info: LibraryInfo; effort: Effort; pace: Pace; seconds_max: number }>;

const rowOf = async (task: Task, context: Context): Promise<Row> => {
  const { part, name, dtype } = task;
  const about = { part, name, dtype };
  const why = obstacle(task, context);
  if (why !== null) return { type: "skipped", ...about, why };
  try {
    using ready = await task.open();
    const timing = await measure(ready, context.effort);
    return { type: "measured", ...about, ...timing, ...rates(task, timing, context.info) };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const isFull = error.status === "out_of_memory" || error.status === "out_of_budget";
    return { type: isFull ? "skipped" : "failed", ...about, why: reportOf(error).message };
  }
};

const obstacle = (task: Task, { info, effort, pace, seconds_max }: Context): string | null => {
  const left = effort.until - performance.now();
  const budget = `the budget of ${seconds_max} s`;
  if (left <= 0) return `${budget} was spent before it`;
  // Once to warm up and once to measure.
  const need = 2 * pace.expected_ms(task);
  if (need > left) return `some ${(need / 1000).toPrecision(2)} s would not fit ${budget}`;
  return misfit(task.bytes, memory().budget || info.bytes);
};

const rates = (
  task: Task,
  { ms }: Timing,
  info: LibraryInfo,
): Pick<Measured, "tflops" | "gbps" | "limit" | "share"> => {
  const { unit, amount } = rateOf(task.work, ms);
  const limit = limitRate(task.work, limitsOf(info, task.dtype));
  return {
    [unit]: amount,
    ...(limit === undefined ? {} : { limit, share: amount / limit }),
  };
};

// ---- How long a task will take ---------------------------------------------------------------

/** Operations and bytes in a millisecond that are believed until something was measured: low. */
const guesses = {
  cuda: { flops: 2e10, bytes: 1e8 },
  cpu: { flops: 1e7, bytes: 1e6 },
  emulated: { flops: 1e4, bytes: 1e3 },
} as const;

class Pace {
  readonly #guess: Readonly<{ flops: number; bytes: number }>;
  readonly #seen = { flops: 0, flops_ms: 0, bytes: 0, bytes_ms: 0 };

  constructor(info: LibraryInfo) {
    this.#guess = guesses[info.backend];
  }

  note(task: Task, row: Row): void {
    if (row.type !== "measured") return;
    const { flops, bytes } = totals(task.work);
    const seen = this.#seen;
    if (flops > 0) {
      seen.flops += flops;
      seen.flops_ms += row.ms;
    } else {
      seen.bytes += bytes;
      seen.bytes_ms += row.ms;
    }
  }

  expected_ms(task: Task): number {
    const { flops, bytes } = totals(task.work);
    const { flops: f, flops_ms, bytes: b, bytes_ms } = this.#seen;
    const guess = this.#guess;
    return flops > 0
      ? flops / (flops_ms > 0 ? f / flops_ms : guess.flops)
      : bytes / (bytes_ms > 0 ? b / bytes_ms : guess.bytes);
  }
}
