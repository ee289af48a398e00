// Whether the emulator and the cases would notice: faults planted in the kernels, one at a time, in a
// library built for this. Each must show, and in the way that its kind of fault shows.

import { beforeAll, expect, test } from "bun:test";
import { buildLibraries, buildTime_ms, mutantsPath, runScript } from "./libraries.ts";

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
  ["sm90_swizzle", "attention of 130 queries to 353", /nothing has written|race|number/],
  ["sm90_no_wait", "attention of 130 queries to 353", race],
  ["sm90_pending", "attention of 130 queries to 353", /race|while a product had them/],
  ["sm90_early_release", "attention of 130 queries to 353", race],
  ["sm90_no_fence", "attention of 130 queries to 353", /no wgmma_fence/],
  ["sm90_expect", "matmul deeper", /more bytes land/],
  ["sm90_matmul_no_wait", "matmul deeper", race],
  ["sm90_no_release", "matmul deeper", /deadlock/],
  ["sm90_no_proxy_fence", "attention over sequences of 130", /no proxy fence/],
];

beforeAll(buildLibraries, buildTime_ms);

test.each(mutants)(
  "a planted fault is noticed: %s",
  async (name, cases, shows) => {
    const arch = name.startsWith("sm90_") ? "sm_90a" : "";
    const env = {
      FRAMEPACK_LIBRARY: mutantsPath,
      FRAMEPACK_MUTANT: name,
      FRAMEPACK_EMULATE_ARCH: arch,
    };

    const { out, error } = await runScript("backend-run.ts", ["emulated", cases], env);

    expect(error).toBe("");
    const { count, fault } = JSON.parse(out) as { count: number; fault: string | null };
    expect(count).toBeGreaterThan(0);
    expect(fault ?? "").toMatch(shows);
  },
  60_000,
);
