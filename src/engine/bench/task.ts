// What a benchmark measures: one thing by name, what it costs by count, and how to run it. How often
// it runs and what comes of the times is the suite's business.

import { memory, sync } from "../../ffi/library.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { Bag } from "../models/ownership.ts";
import { size } from "../words.ts";

export const partNames = ["attention", "matmul", "elementwise", "step", "vae", "copy"] as const;
export type PartName = (typeof partNames)[number];

/** Floating point operations of products and of attention; bytes in memory and over the bus. */
export type Work = Readonly<Partial<Record<WorkKind, number>>>;
export type WorkKind = "matmul" | "attention" | "memory" | "link";

/** Something set up: `run` queues its work, which may still be under way when it returns. */
export interface Ready extends Disposable {
  run(): void | Promise<void>;
}

export interface Task {
  readonly part: PartName;
  readonly name: string;
  readonly dtype: FloatDtype | "u8";
  readonly work: Work;
  /** Bytes that lie in the device's memory at once while it runs. */
  readonly bytes: number;
  open(): Ready | Promise<Ready>;
}

/** A task on tensors that `make` puts into a bag; what `make` returns runs it. */
export const opTask = (about: Omit<Task, "open">, make: (bag: Bag) => () => void): Task => ({
  ...about,
  open: () => {
    const bag = new Bag();
    try {
      return { run: make(bag), [Symbol.dispose]: () => bag[Symbol.dispose]() };
    } catch (error) {
      bag[Symbol.dispose]();
      throw error;
    }
  },
});

export type Timing = Readonly<{ ms: number; ms_min: number; runs: number }>;

export type Effort = Readonly<{
  runs_max: number;
  /** A task that has run three times and this long ends. */
  ms_enough: number;
  /** No further run after this moment of `performance.now()`. */
  until: number;
}>;

/** Work shorter than this is repeated within one run: else the clock and the wait would count. */
const run_ms_min = 5;
const repeats_max = 1000;

/** Warms up once, then takes the median of runs, each waited for. */
export const measure = async (ready: Ready, effort: Effort): Promise<Timing> => {
  await timed(ready, 1);
  const start = performance.now();
  const first = await timed(ready, 1);
  const repeats = Math.min(repeats_max, Math.max(1, Math.ceil(run_ms_min / first)));
  const times = repeats === 1 ? [first] : [];
  while (times.length < effort.runs_max) {
    const now = performance.now();
    const isEnough = times.length >= 3 && now - start > effort.ms_enough;
    if (times.length > 0 && (isEnough || now > effort.until)) break;
    times.push(await timed(ready, repeats));
  }
  return { ms: median(times), ms_min: Math.min(...times), runs: times.length };
};

const timed = async (ready: Ready, repeats: number): Promise<number> => {
  const from = performance.now();
  for (let i = 0; i < repeats; i++) {
    const running = ready.run();
    if (running !== undefined) await running;
  }
  sync();
  return (performance.now() - from) / repeats;
};

export const median = (times: readonly number[]): number => {
  const sorted = times.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? 0) + (sorted[Math.floor(half)] ?? 0)) / 2;
};

/** Why a task of so many bytes cannot run within `limit` bytes; null when it can or none is known. */
export const misfit = (bytes: number, limit: number): string | null => {
  if (limit === 0) return null;
  const free = limit - memory().live;
  if (bytes <= free) return null;
  return `it needs ${size(bytes)} of memory and ${size(free)} are free`;
};
