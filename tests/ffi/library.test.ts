import { afterEach, describe, expect, test } from "bun:test";
import * as library from "../../src/ffi/library.ts";
import * as ops from "../../src/ffi/ops.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import { refusal, withLibrary } from "./open.ts";

withLibrary();
afterEach(() => {
  library.cancel(false);
  library.setBudget(0);
  library.setThreads(2);
});

describe("start", () => {
  test("the library tells what it runs on", () => {
    const info = library.libraryInfo();

    expect(info.backend).toBe("cpu");
    expect(["v3", "avx512", "avx512bf16", "neon"]).toContain(info.cpu);
    expect(info.threads).toBe(2);
    expect(info.bytes).toBeGreaterThan(2 ** 28);
  });

  test("it does not start anew while tensors live", () => {
    using x = Tensor.zeros([1], "f32");

    refusal("bad_argument", () => library.openLibrary({ threads: 1 }));

    expect(x.f32()[0]).toBe(0);
  });

  test("more threads than any machine has are refused, and the library starts again", () => {
    const error = refusal("bad_argument", () => library.openLibrary({ threads: 100_000 }));

    expect(error.detail).toContain("100000");
    expect(library.openLibrary({ threads: 2 }).threads).toBe(2);
  });

  test("a missing library names its path", () => {
    const script = `
      import { loadLibrary } from "./src/ffi/library.ts";
      try { loadLibrary("/nowhere/libframepack.so"); } catch (e) { console.log(e.status, e.detail); }
    `;
    const run = Bun.spawnSync([process.execPath, "-e", script], {
      cwd: `${import.meta.dir}/../..`,
    });

    expect(run.stdout.toString()).toStartWith("io there is no library at /nowhere/libframepack.so");
  });

  test("FRAMEPACK_CPU chooses the instruction set, and an unknown one is refused", () => {
    const start = (kind: string): string => {
      const script = `
        import { openLibrary } from "./src/ffi/library.ts";
        try { console.log(openLibrary({ threads: 1 }).cpu); } catch (e) { console.log(e.detail); }
      `;
      const run = Bun.spawnSync([process.execPath, "-e", script], {
        cwd: `${import.meta.dir}/../..`,
        env: { ...process.env, FRAMEPACK_CPU: kind },
      });
      return run.stdout.toString().trim();
    };

    expect(start("z80")).toContain("FRAMEPACK_CPU");
    if (process.arch === "x64") expect(start("v3")).toBe("v3");
  });
});

describe("memory", () => {
  test("the budget holds, and the refusal says how much was asked and used", () => {
    library.setBudget(1 << 20);
    using held = Tensor.empty([1 << 17], "f32");

    const error = refusal("out_of_budget", () => Tensor.empty([(1 << 17) + 1], "f32"));

    expect(held.count).toBe(1 << 17);
    expect(error.detail).toContain(String(1 << 20));
    expect(error.detail).toContain(String(1 << 19));
  });

  test("the peak is what was live at once", () => {
    library.resetMemoryPeak();
    const before = library.memory().live;
    for (let i = 0; i < 5; i++) Tensor.empty([1 << 16], "f32")[Symbol.dispose]();
    {
      using scratch = ops.scope();
      Tensor.empty([1 << 16], "f32");
      Tensor.empty([1 << 16], "f32");
    }

    expect(library.memory().peak - before).toBe(2 << 18);
    expect(library.memory().live).toBe(before);
  });

  test("a budget below what is in use is refused", () => {
    using held = Tensor.empty([1 << 16], "f32");

    refusal("out_of_budget", () => library.setBudget(1 << 10));

    expect(held.count).toBe(1 << 16);
  });

  test("impossible sizes are refused before memory is touched", () => {
    const before = library.memory().live;

    refusal("bad_shape", () => Tensor.empty([2 ** 31, 2 ** 31], "f32"));
    refusal("out_of_memory", () => Tensor.empty([2 ** 31, 2 ** 14], "f32"));

    expect(library.memory().live).toBe(before);
  });
});

describe("cancel", () => {
  test("ops end as cancelled until the flag is taken back", () => {
    using x = Tensor.zeros([4], "f32");

    library.cancel(true);
    refusal("cancelled", () => ops.activation(x, "silu"));
    library.cancel(false);

    using y = ops.activation(x, "silu");
    expect([...y.f32()]).toEqual([0, 0, 0, 0]);
  });

  test("another thread stops an op that runs", async () => {
    using scratch = ops.scope();
    const a = Tensor.zeros([2048, 2048], "f32");
    const url = new URL("./cancel-worker.ts", import.meta.url).href;
    const worker = new Worker(url);
    const ready = new Promise((done) => worker.addEventListener("message", done, { once: true }));
    await ready;
    worker.postMessage("go");

    // Far more work than fits into the time the worker needs; it ends by being cancelled.
    refusal("cancelled", () => {
      for (let i = 0; i < 100_000; i++) {
        using product = ops.matmul(a, a);
      }
    });

    worker.terminate();
  });
});

describe("threads", () => {
  test("results do not depend on the number of threads", () => {
    const data = Float32Array.from({ length: 301 * 67 }, (_, i) => Math.sin(i));
    const results = [1, 2, 3].map((threads) => {
      library.setThreads(threads);
      using scratch = ops.scope();
      const x = Tensor.from(data, [301, 67]);
      return Buffer.from(ops.matmul(x, x).f32().buffer).toString("base64");
    });

    expect(new Set(results).size).toBe(1);
  });

  test("a wrong number of threads is refused", () => {
    refusal("bad_argument", () => library.setThreads(100_000));
    refusal("bad_argument", () => library.setThreads(-1));
    refusal("bad_argument", () => library.setThreads(1.5));
  });
});
