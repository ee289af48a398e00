// The products' cases once more on the kernels that a Hopper GPU runs, in the emulator. Which kernels
// a backend takes is settled when it starts, so each group has a process of its own.

import { expect, test } from "bun:test";
import { runScript } from "./libraries.ts";

const env = { FRAMEPACK_EMULATE_ARCH: "sm_90a" };

test.each(["attention", "matmul"])(
  "emulated sm_90a: cases of %s",
  async (words) => {
    const { out, error } = await runScript("backend-run.ts", ["emulated", words], env);

    expect(error).toBe("");
    const { count, fault } = JSON.parse(out) as { count: number; fault: string | null };
    expect(fault).toBeNull();
    expect(count).toBeGreaterThan(20);
  },
  120_000,
);
