// What `framepack test --gpu` runs: the tests in tests/gpu and, where it is installed, NVIDIA's
// sanitizer over every op case. Needs a driver and this Bun; no compiler, no linter.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../engine/failure.ts";
import { closeLibrary, KernelError, openLibrary } from "../ffi/library.ts";
import type { Counts } from "./test-counts.ts";

export type Checked = Readonly<{ counts: Counts; output: string; note?: string }>;
export type Execute = (
  program: string,
  args: readonly string[],
  options?: Readonly<{ env?: Readonly<Record<string, string>>; ms_max?: number }>,
) => Promise<Readonly<{ code: number; output: string }>>;

/** Fails where the tests themselves are missing: a bundle has them only when asked. */
export const requireGpuTests = (root: string): void => {
  if (existsSync(join(root, "tests/gpu")) && existsSync(join(root, "tests/golden"))) return;
  throw new Failure("usage.tests", "This copy of framepack comes without its tests.", {
    hint: "framepack bundle --with-tests makes one that has them.",
  });
};

/** Why nothing can run on a GPU here, or null. */
export const gpuObstacle = (): string | null => {
  try {
    openLibrary({ backend: "cuda" });
    closeLibrary();
    return null;
  } catch (error) {
    if (error instanceof KernelError) return error.detail;
    throw error;
  }
};

/** Words pick files in tests/gpu. */
export const gpuPaths = (words: readonly string[]): readonly string[] =>
  words.length === 0 ? ["tests/gpu/"] : words.map((word) => `tests/gpu/${word}`);

const tools = ["memcheck", "racecheck", "synccheck", "initcheck"] as const;
const error_code = 99;
/** A tool that takes longer is ended, which fails its check. */
const tool_ms_max = 900_000;

/** Every tool is one check. They watch the kernels of all op cases, whose answers nobody compares. */
export const sanitize = async (
  root: string,
  execute: Execute,
  sanitizer: string | null = Bun.which("compute-sanitizer"),
): Promise<Checked> => {
  if (sanitizer === null) {
    const note = "compute-sanitizer is not on PATH";
    return { counts: { passed: 0, failed: 0, skipped: tools.length }, output: "", note };
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  let output = "";
  for (const tool of tools) {
    const args = [
      ...[`--tool=${tool}`, `--error-exitcode=${error_code}`, "--target-processes=all"],
      ...[process.execPath, join(root, "tests/gpu/run-cases.ts")],
    ];
    const said = await execute(sanitizer, args, { ms_max: tool_ms_max });
    if (said.code === 0) counts.passed++;
    else {
      counts.failed++;
      output += `${tool} ended with ${said.code}:\n${said.output}\n`;
    }
  }
  return { counts, output };
};
