// The libraries that only tests need, built on demand: one with faults planted in its kernels, and a
// libcuda that runs kernels by the emulator. Zig does nothing when they are up to date.

import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export const mutantsPath = join(root, "build/lib/libframepack_mutants.so");
export const driverPath = join(root, "build/lib/libcuda_emulated.so");

export type Ended = Readonly<{ code: number; out: string; error: string }>;

export const run = async (
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> => {
  const child = Bun.spawn([...command], {
    cwd: root,
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, error };
};

/** Runs a script of this folder in a process of its own. */
export const runScript = (
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ended> => run([process.execPath, join(import.meta.dir, name), ...args], env);

const zigPath = (): string => {
  const own = join(root, ".tools/zig-0.16.0/zig");
  return existsSync(own) ? own : (Bun.which("zig") ?? "zig");
};

export const buildLibraries = async (): Promise<void> => {
  const built = await run([zigPath(), "build", "test-libraries", "-p", "build"]);
  if (built.code !== 0) throw new Error(built.error);
};

export const buildTime_ms = 900_000;
