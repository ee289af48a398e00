// What doctor looks at on a machine. Each check reads, never writes, and answers in one sentence.

import { existsSync, readFileSync, statfsSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import { dirname } from "node:path";
import { hubCache } from "./config/cache.ts";
import { knownModels } from "./config/known-models.ts";
import { resolveModel } from "./config/model-folder.ts";
import { reportOf } from "./failure.ts";
import { findFfmpeg } from "./media/ffmpeg.ts";
import { stateDir } from "./paths.ts";
import { printable } from "./printable.ts";
import { size } from "./words.ts";

export type Check = Readonly<{
  name: string;
  state: "ok" | "note" | "bad";
  text: string;
  /** What to do. */
  advice?: string;
  /** The exit code a run would end with because of this. */
  code: number;
}>;

export const ok = (name: string, text: string): Check => ({ name, state: "ok", text, code: 0 });
const note = (name: string, text: string, advice?: string): Check => ({
  name,
  state: "note",
  text,
  code: 0,
  ...(advice === undefined ? {} : { advice }),
});

/** A failure as the check that found it. */
const bad = (name: string, error: unknown): Check => {
  const { message, hint, code } = reportOf(error);
  return {
    name,
    state: "bad",
    text: message,
    code,
    ...(hint === undefined ? {} : { advice: hint }),
  };
};

const processor = async (): Promise<Check> => {
  const [first] = cpus();
  return ok("cpu", `${printable(first?.model.trim() ?? "unknown", 100)}, ${cpus().length} cores.`);
};

const memory = async (): Promise<Check> => {
  const limit = memoryLimit();
  const free = availableMemory();
  const all = Math.min(totalmem(), limit ?? Number.POSITIVE_INFINITY);
  const container = limit === null ? "" : `, limited to ${size(limit)} by the container`;
  const text = `${size(Math.min(free, all))} free of ${size(totalmem())}${container}.`;
  return all < 16e9
    ? note("memory", text, "The full-size model wants 16 GB; the demo is content with 1 GB.")
    : ok("memory", text);
};

/** What can be had without swapping; the kernel's own estimate where it gives one. */
const availableMemory = (): number => {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec(textOf("/proc/meminfo"));
  return found === null ? freemem() : Number(found[1]) * 1024;
};

/** The container's limit (cgroup 2, then 1), or null. */
export const memoryLimit = (read: (path: string) => string = textOf): number | null => {
  const text =
    read("/sys/fs/cgroup/memory.max") || read("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  const bytes = Number.parseInt(text, 10);
  // "max", or cgroup 1's way of saying so.
  return Number.isFinite(bytes) && bytes < 2 ** 60 ? bytes : null;
};

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not there: the caller takes that as "not known".
  }
};

const disk = async (): Promise<Check> => {
  const places = [
    ["here", process.cwd()],
    ["state", stateDir()],
    ["models", hubCache()],
  ] as const;
  const free = places.map(([what, path]) => [what, freeAt(path)] as const);
  const text = `${free.map(([what, bytes]) => `${what} ${size(bytes)}`).join(", ")} free.`;
  const least = Math.min(...free.map(([, bytes]) => bytes));
  return least < 1e9
    ? note("disk", text, "Free some space before a long video.")
    : ok("disk", text);
};

/** Free bytes where `path` is or would be made. */
const freeAt = (path: string): number => {
  let there = path;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
};

const library = async (): Promise<Check> => {
  try {
    const { openLibrary } = await import("../ffi/library.ts");
    const { cpu, threads } = openLibrary({ backend: "cpu" });
    return ok("library", `The kernels load: ${printable(cpu, 40)}, ${threads} threads.`);
  } catch (error) {
    return bad("library", error);
  }
};

const gpu = async (): Promise<Check> => {
  try {
    const { openLibrary } = await import("../ffi/library.ts");
    const { device, driver, arch, bytes } = openLibrary({ backend: "cuda" });
    const words = [device, size(bytes), arch, `driver ${driver}`].map((word) =>
      printable(word, 100),
    );
    return ok("gpu", `${words.join(", ")}.`);
  } catch (error) {
    const driver = driverVersion();
    if (driver !== null) return bad("gpu", error);
    return note("gpu", "No NVIDIA driver is loaded.", "The CPU computes; that is for the demo.");
  }
};

/** Of the loaded kernel module; null where there is none. */
const driverVersion = (): string | null =>
  /Kernel Module(?: for \S+)?\s+(\S+)/.exec(textOf("/proc/driver/nvidia/version"))?.[1] ?? null;

const encoder = async (): Promise<Check> => {
  try {
    const { path, version, source, passedOver } = await findFfmpeg();
    const others = passedOver.length === 0 ? "" : ` Passed over: ${passedOver.join("; ")}.`;
    return ok("ffmpeg", `${printable(version, 100)} from ${source}: ${printable(path)}.${others}`);
  } catch (error) {
    return bad("ffmpeg", error);
  }
};

const models = async (): Promise<Check> => {
  const there: string[] = [];
  const absent: string[] = [];
  for (const name of ["demo", ...knownModels.map((model) => model.name)]) {
    try {
      resolveModel(name);
      there.push(name);
    } catch (error) {
      if (reportOf(error).id !== "model.missing") return bad("models", error);
      absent.push(name);
    }
  }
  const text = `there: ${there.join(", ") || "none"}; absent: ${absent.join(", ") || "none"}.`;
  if (absent.length === 0) return ok("models", text);
  return note("models", text, `framepack models pull ${absent[0] ?? ""} fetches one.`);
};

export const checks: readonly (() => Promise<Check>)[] = [
  processor,
  memory,
  library,
  gpu,
  encoder,
  disk,
  models,
];
