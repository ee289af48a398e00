// The native library: where it is, opening it once, its errors, and what concerns it as a whole.
// Every other file of this folder calls it through `fp`; nothing outside src/ffi knows bun:ffi.

import { dlopen } from "bun:ffi";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { abiVersion, symbols } from "./symbols.gen.ts";
import type { Backend } from "./types.ts";

const statuses = [
  "ok",
  "bad_handle",
  "bad_shape",
  "bad_dtype",
  "bad_argument",
  "out_of_budget",
  "out_of_memory",
  "unsupported",
  "io",
  "device",
  "cancelled",
  "not_initialised",
] as const;

export type Status = Exclude<(typeof statuses)[number], "ok"> | "unknown";

/** What the library refused or could not do. `detail` is one plain sentence with the numbers. */
export class KernelError extends Error {
  override readonly name = "KernelError";
  readonly op: string;
  readonly status: Status;
  readonly detail: string;

  constructor(op: string, status: Status, detail: string) {
    super(`${op}: ${status}: ${detail}`);
    this.op = op;
    this.status = status;
    this.detail = detail;
  }
}

type Symbols = ReturnType<typeof load>["symbols"];

const load = (path: string) => dlopen(path, symbols);

const unopened = (): never => {
  throw new KernelError("open", "not_initialised", "the library was not opened");
};

/** The exported functions. Using one before the library is opened is a KernelError. */
export let fp: Symbols = new Proxy({} as Symbols, { get: unopened });

let isLoaded = false;

export type LibraryOptions = Readonly<{
  backend?: Backend | undefined;
  /** 0: all cores. */
  threads?: number | undefined;
  device?: number | undefined;
  /** Bytes of device memory; 0: no limit. */
  budget?: number | undefined;
}>;

export type LibraryInfo = Readonly<{
  backend: Backend;
  /** The instruction set in use: v3, avx512, avx512bf16, neon; empty where there is none. */
  cpu: string;
  threads: number;
  device: string;
  driver: string;
  arch: string;
  /** All memory of the device. */
  bytes: number;
}>;

const backends: readonly Backend[] = ["cpu", "cuda", "emulated"];

/** Opens the library and starts a backend. Again with other options: only while no tensor lives. */
export const openLibrary = (options: LibraryOptions = {}): LibraryInfo => {
  const { backend = "cpu", threads = 0, device = 0, budget = 0 } = options;
  loadLibrary();
  const numbers = [count("threads", threads), count("device", device)] as const;
  check("init", fp.fp_init(backends.indexOf(backend), ...numbers, bytes("budget", budget)));
  return libraryInfo();
};

/** Loads the library without starting a backend: enough for `cancel` in another thread. */
export const loadLibrary = (path: string = libraryPath()): void => {
  if (isLoaded) return;
  if (!existsSync(path)) {
    throw new KernelError("open", "io", `there is no library at ${path}; build it with zig build`);
  }
  const opened = open(path);
  const version = opened.symbols.fp_abi_version();
  if (version !== abiVersion) {
    const text = `${path} has ABI version ${version} but this program needs ${abiVersion}`;
    throw new KernelError("open", "unsupported", `${text}; build it again`);
  }
  fp = opened.symbols;
  isLoaded = true;
};

const open = (path: string): ReturnType<typeof load> => {
  try {
    return load(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KernelError("open", "io", `the library at ${path} does not load: ${reason}`);
  }
};

/** FRAMEPACK_LIBRARY, or where `zig build -p build` puts it. */
export const libraryPath = (): string =>
  process.env.FRAMEPACK_LIBRARY || resolve(import.meta.dir, "../../build/lib/libframepack.so");

/** Frees every tensor and mapping and stops the backend. */
export const closeLibrary = (): void => check("shutdown", fp.fp_shutdown());

export const libraryInfo = (): LibraryInfo => {
  const length = fp.fp_info(text, text.byteLength);
  if (length === 0) return unopened();
  return JSON.parse(decode(length)) as LibraryInfo;
};

export type Memory = Readonly<{
  live: number;
  peak: number;
  budget: number;
  mapped: number;
  tensors: number;
  scratch: number;
}>;

const memoryOut = new BigUint64Array(6);

/** In bytes, but for `tensors`. `peak` is the most that was live at once since the last reset. */
export const memory = (): Memory => {
  check("memory", fp.fp_memory(memoryOut));
  const [live = 0, peak = 0, budget = 0, mapped = 0, tensors = 0, scratch = 0] = Array.from(
    memoryOut,
    Number,
  );
  return { live, peak, budget, mapped, tensors, scratch };
};

export const resetMemoryPeak = (): void => check("memory_reset_peak", fp.fp_memory_reset_peak());

export const setBudget = (budget: number): void =>
  check("set_budget", fp.fp_set_budget(bytes("budget", budget)));

export const setThreads = (threads: number): void =>
  check("set_threads", fp.fp_set_threads(count("threads", threads)));

/** Waits for all queued work and reports its errors. */
export const sync = (): void => check("sync", fp.fp_sync());

/** While on, running and new ops end with the status `cancelled`. */
export const cancel = (on: boolean): void => check("cancel", fp.fp_cancel(on ? 1 : 0));

// -------------------------------------------------------------------------------------------------

const text = new Uint8Array(2048);
const decoder = new TextDecoder();

// A cut in the middle of a character becomes a replacement mark; the library writes no control
// characters of its own, and what it quotes is made visible.
const decode = (length: number): string =>
  decoder.decode(text.subarray(0, Math.min(length, text.byteLength)));

/** Throws for every status but ok. */
export const check = (op: string, status: number): void => {
  if (status !== 0) throw kernelError(op, status);
};

export const kernelError = (op: string, status: number): KernelError => {
  const name = statuses[status];
  const detail = decode(fp.fp_error(text, text.byteLength)).replace(/\p{Cc}/gu, "\ufffd");
  // The library begins its text with the op, for those who read it alone.
  const prefix = `${op}: `;
  const own = detail.startsWith(prefix) ? detail.slice(prefix.length) : detail;
  return new KernelError(op, name === undefined || name === "ok" ? "unknown" : name, own);
};

/** A u32 argument: bun:ffi would wrap what does not fit. */
export const count = (name: string, value: number): number => {
  if (value >>> 0 === value) return value;
  throw new KernelError("argument", "bad_argument", `${name} is ${value}, want a whole number`);
};

const bytes = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new KernelError("argument", "bad_argument", `${name} is ${value}, want a number of bytes`);
};
