// Whether the emulator and the cases would notice: faults planted in the kernels, one at a time, in a
// library built for this. Each must show, and in the way that its kind of fault shows.

import { beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const library = join(root, "build/lib/libframepack_mutants.so");

type Mutant = readonly [name: string, cases: string, shows: RegExp];

const wrong = /number \d+|rms error/;
const race = /race|in flight/;

const mutants: readonly Mutant[] = [
  ["none", "matmul [129, 61]", /^$/],
  ["matmul_no_wait", "matmul [128, 128]", /in flight/],
  ["matmul_no_barrier", "matmul [128, 128]", race],
  ["matmul_k_tail", "matmul [129, 61]", /outside every tensor|number|rms/],
  ["tile_swizzle", "matmul [128, 128]", wrong],
  ["attention_no_wait", "attention of 129", /in flight/],
  ["attention_no_barrier", "attention of 129", race],
  ["attention_no_warp_barrier", "attention of 129", race],
  ["attention_mask", "causal attention", wrong],
  ["attention_rescale", "attention of 129", wrong],
  ["conv_frame", "conv3d up in time", wrong],
  ["conv_divergent", "conv3d with norm", /divergent|deadlock/],
  ["copy_no_barrier", "copy of [70", /race|nothing has written/],
  ["sum_no_barrier", "norms of [5, 1024]", race],
  ["norm_count", "norms of [5, 1024]", wrong],
  ["rope_index", "rope of heads of 64", wrong],
  ["patch_edge", "patches 4x8x8", /outside every tensor|number/],
];

const run = async (command: readonly string[], env: Readonly<Record<string, string>> = {}) => {
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

const zigPath = (): string => {
  const own = join(root, ".tools/zig-0.16.0/zig");
  return existsSync(own) ? own : (Bun.which("zig") ?? "zig");
};

beforeAll(async () => {
  const built = await run([zigPath(), "build", "mutants", "-p", "build"]);
  if (built.code !== 0) throw new Error(built.error);
}, 900_000);

test.each(mutants)(
  "a planted fault is noticed: %s",
  async (name, cases, shows) => {
    const script = join(import.meta.dir, "mutant-run.ts");
    const env = { FRAMEPACK_LIBRARY: library, FRAMEPACK_MUTANT: name };

    const { out, error } = await run([process.execPath, script, cases], env);

    expect(error).toBe("");
    const { count, fault } = JSON.parse(out) as { count: number; fault: string | null };
    expect(count).toBeGreaterThan(0);
    expect(fault ?? "").toMatch(shows);
  },
  60_000,
);
