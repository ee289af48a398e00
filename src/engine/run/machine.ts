// The machine a job computes on: which backend, on how many threads, within how much memory.

import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { KernelError, type LibraryInfo, openLibrary, resetMemoryPeak } from "../../ffi/library.ts";
import type { Backend, FloatDtype } from "../../ffi/types.ts";
import { Failure } from "../failure.ts";
import type { Recipe } from "../job.ts";

export type Machine = Readonly<{
  info: LibraryInfo;
  isCpu: boolean;
  /** Memory that activations (and on a device, weights) have to fit into. */
  deviceBytes: number;
  dtypes: Readonly<{ transformer: FloatDtype; encoders: FloatDtype; vae: FloatDtype }>;
}>;

type Wanted = Pick<Recipe, "backend" | "threads" | "device" | "vramBytes" | "ramBytes" | "dtype">;

/**
 * Starts the backend that the recipe asks for; with "auto" the GPU where there is one that works.
 */
export const openMachine = (recipe: Wanted): Machine => {
  const info = start(recipe);
  resetMemoryPeak();
  const isCpu = info.backend !== "cuda";
  const limit = isCpu ? recipe.ramBytes : recipe.vramBytes;
  const deviceBytes = limit ?? (isCpu ? ramLimit() : info.bytes);
  return { info, isCpu, deviceBytes, dtypes: dtypesOf(recipe.dtype, isCpu) };
};

/** The same machine for a model whose autoencoder needs another half precision than float16. */
export const machineFor = (machine: Machine, vaeHalf: "f16" | "bf16"): Machine => {
  const { dtypes } = machine;
  return { ...machine, dtypes: { ...dtypes, vae: dtypes.vae === "f16" ? vaeHalf : dtypes.vae } };
};

/**
 * The encoders and the autoencoder run in float16 on a device, as published. On the CPU they run in
 * float32, which is as fast there and nearer to the exact result; they are a small part of the
 * work.
 */
const dtypesOf = (dtype: Recipe["dtype"], isCpu: boolean): Machine["dtypes"] => {
  const others = dtype === "f32" || isCpu ? "f32" : "f16";
  return { transformer: dtype, encoders: others, vae: others };
};

const start = (recipe: Wanted): LibraryInfo => {
  if (recipe.backend !== "auto") return startBackend(recipe, recipe.backend);
  try {
    return startBackend(recipe, "cuda");
  } catch (error) {
    // No driver, no GPU, or a library built without CUDA: the CPU does the same work.
    if (!(error instanceof Failure)) throw error;
    return startBackend(recipe, "cpu");
  }
};

const startBackend = (recipe: Wanted, backend: Backend): LibraryInfo => {
  const { threads, device } = recipe;
  const budget = (backend === "cuda" ? recipe.vramBytes : recipe.ramBytes) ?? 0;
  try {
    return openLibrary({ backend, threads, device, budget });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (backend !== "cuda") throw error;
    throw new Failure("gpu.unavailable", `The GPU cannot be used: ${error.detail}.`, {
      hint: "framepack doctor says more; --backend cpu computes without it.",
      cause: error,
    });
  }
};

/**
 * Bytes this process may use: the control group's limit where there is one, else all of the
 * machine's.
 */
export const ramLimit = (): number => {
  try {
    const text = readFileSync("/sys/fs/cgroup/memory.max", "utf8").trim();
    const limit = Number(text);
    return Number.isFinite(limit) ? Math.min(limit, totalmem()) : totalmem();
  } catch {
    // No control group of version 2.
    return totalmem();
  }
};

/** Resident bytes of this process, and the most there were. */
export const residentBytes = (): Readonly<{ now: number; peak: number }> => {
  const now = process.memoryUsage.rss();
  return { now, peak: Math.max(now, process.resourceUsage().maxRSS * 1024) };
};
