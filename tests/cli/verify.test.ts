// The verb as a process: what it prints and how it leaves.

import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { goldenFolder } from "../support/golden.ts";
import { ScratchFolder } from "../support/scratch-folder.ts";

setDefaultTimeout(60_000); // a busy machine takes its time

const main = new URL("../../src/main.ts", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const verify = (...args: readonly string[]): Ended => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, "verify", ...args]);
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

test("each tensor is printed with its error beside its limit", () => {
  const { code, out } = verify(`${goldenFolder}token-refiner`, "--dtype", "f32", "--threads", "1");

  expect(code).toBe(0);
  expect(out).toMatch(/^ok {3}f32 {2}token-refiner: refined \* {2}rel_l2 \d\.\de-\d+ ≤ 4\.1e-5$/m);
});

test("--json prints one object a tensor", () => {
  const { out } = verify(`${goldenFolder}rope`, "--json");

  const lines = out.trim().split("\n");
  const [first] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.length).toBe(10);
  expect(first).toMatchObject({ type: "compared", case: "rope", metric: "max_abs", pass: true });
});

test("a miss is shown and leaves with 1", () => {
  using folder = new ScratchFolder();
  cpSync(`${goldenFolder}token-refiner`, folder.path, { recursive: true });
  const path = join(folder.path, "case.json");
  const raw = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...raw, tolerance: { fp32_rel_l2: 1e-12 } }));

  const { code, out, err } = verify(folder.path);

  expect(code).toBe(1);
  expect(out).toContain("MISS f32  token-refiner: refined");
  expect(err).toContain("of 5 tensors within their limits");
});

test("a folder that is no case leaves with 5 before anything runs", () => {
  using folder = new ScratchFolder();

  const { code, out, err } = verify(`${goldenFolder}rope`, folder.path);

  expect(code).toBe(5);
  expect(out).toBe("");
  expect(err).toContain("is no reference case");
});

test("a case of an unknown kind leaves with 5 and names the known ones", () => {
  using folder = new ScratchFolder();
  writeFileSync(join(folder.path, "case.json"), JSON.stringify({ case: "x", kind: "weather" }));

  const { code, err } = verify(folder.path);

  expect(code).toBe(5);
  expect(err).toContain("transformer forward");
});

test("a case without a limit for the dtype says so", () => {
  const { code, err } = verify(`${goldenFolder}rope`, "--dtype", "f16");

  expect(code).toBe(0);
  expect(err).toContain('"rope" has no limits for f16');
});
