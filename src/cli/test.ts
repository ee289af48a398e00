// framepack test: everything that is checked before a change lands, in one summary. Each tool's own
// count is taken from its report; a tool that dies without one counts as one failure.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes, Failure } from "../engine/failure.ts";
import { printable } from "../engine/printable.ts";
import { choice, parseFlags, toggle } from "./flags.ts";
import { type Counts, countsOfJunit, countsOfZig, oneCheck, sumOf } from "./test-counts.ts";
import {
  type Checked,
  type Execute,
  gpuObstacle,
  gpuPaths,
  requireGpuTests,
  sanitize,
} from "./test-gpu.ts";

const checkNames = ["types", "lint", "format", "kernels", "gpu-code", "tests"] as const;
type CheckName = (typeof checkNames)[number];

const testFlags = {
  only: choice(checkNames, "run one check only"),
  gpu: toggle("run the tests on a GPU instead: they need a driver and nothing else"),
  json: toggle("one line of JSON a check and one for the sum"),
};

const root = fileURLToPath(new URL("../..", import.meta.url));
const zig_version = "0.16.0";

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("test", testFlags, args, {
    usage: "[FILTER…]",
    rest_max: 100,
  });
  const json = flags.json ?? false;
  if (flags.gpu && flags.only !== undefined) {
    throw new Failure("usage.test", "framepack test: --gpu and --only exclude each other.");
  }
  if (flags.gpu) return testOnGpu(rest, json);
  const results: Counts[] = [];
  for (const name of chosen(flags.only, rest)) {
    results.push(await runCheck(name, () => checks[name](rest), json));
  }
  return conclude(sumOf(results), json);
};

/** The tests on a GPU: op cases, reference cases, repeatability; and the sanitizer. */
const testOnGpu = async (words: readonly string[], json: boolean): Promise<number> => {
  requireGpuTests(root);
  const obstacle = gpuObstacle();
  if (obstacle !== null) {
    const skipped = { passed: 0, failed: 0, skipped: 1 };
    await runCheck("gpu", async () => ({ counts: skipped, output: "", note: obstacle }), json);
    conclude(skipped, json);
    return exitCodes.gpu;
  }
  const results = [
    await runCheck("gpu", () => bunTests(gpuPaths(words), { FRAMEPACK_TEST_GPU: "1" }), json),
  ];
  if (words.length === 0) {
    results.push(await runCheck("sanitize", () => sanitize(root, execute), json));
  }
  return conclude(sumOf(results), json);
};

const runCheck = async (
  name: string,
  check: () => Promise<Checked>,
  json: boolean,
): Promise<Counts> => {
  const from = performance.now();
  const checked = await check();
  const { counts, output } = checked;
  if (counts.failed > 0) console.error(output.replaceAll(/^\(pass\).*\n/gm, "").trimEnd());
  const seconds = (performance.now() - from) / 1000;
  console.log(json ? jsonLine(name, checked, seconds) : textLine(name, checked, seconds));
  return counts;
};

/** The last line, and the exit code. */
const conclude = (sum: Counts, json: boolean): number => {
  if (json) console.log(JSON.stringify({ type: "tested", ...sum }));
  else console.log(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed === 0 && sum.passed > 0 ? exitCodes.ok : exitCodes.unknown;
};

/** With words to filter by, the checks that know no filter are left out. */
const chosen = (only: CheckName | undefined, rest: readonly string[]): readonly CheckName[] => {
  if (only !== undefined) return [only];
  return rest.length > 0 ? ["kernels", "tests"] : checkNames;
};

const textLine = (name: string, { counts, note }: Checked, seconds: number): string => {
  const { passed, failed, skipped } = counts;
  const word = failed > 0 ? "FAIL" : passed > 0 || skipped === 0 ? "ok" : "skip";
  const left = skipped > 0 ? `, ${skipped} skipped` : "";
  const why = note === undefined ? "" : `: ${printable(note, 300)}`;
  const sums = `${passed} passed, ${failed} failed${left}`;
  return `${word.padEnd(5)}${name.padEnd(8)} ${sums} (${seconds.toFixed(1)} s)${why}`;
};

const jsonLine = (name: string, { counts, note }: Checked, seconds: number): string =>
  JSON.stringify({ type: "checked", check: name, ...counts, seconds, ...(note && { note }) });

// ---- The checks ------------------------------------------------------------------------------

type Check = (filters: readonly string[]) => Promise<Checked>;

const types: Check = () => single([script("typescript/bin/tsc"), ["--noEmit"]]);

const lint: Check = () =>
  single([
    script("@biomejs/biome/bin/biome"),
    ["check", "--error-on-warnings", "--colors=off", "."],
  ]);

const format: Check = () => single([zigPath(), ["fmt", "--check", "build.zig", "kernels"]]);

/** The build takes one filter, so every word is a run of its own. */
const kernels: Check = async (filters) => {
  const runs: Checked[] = [];
  for (const word of filters.length > 0 ? filters : [undefined]) {
    const filter = word === undefined ? [] : [`-Dfilter=${word}`];
    const arguments_ = ["build", "test", "--summary", "all", "--color", "off", ...filter];
    const { code, output } = await execute(zigPath(), arguments_);
    runs.push({ counts: countsOfZig(output, code, word !== undefined), output });
  }
  return {
    counts: sumOf(runs.map(({ counts }) => counts)),
    output: runs.map(({ output }) => output).join(""),
  };
};

/** The kernels for every architecture; what the assembler says of them is held against limits by tests/kernels. */
const gpuCode: Check = async () => {
  if (Bun.which("nvcc") === null && !existsSync("/usr/local/cuda/bin/nvcc")) {
    const skipped = { passed: 0, failed: 0, skipped: 1 };
    return { counts: skipped, output: "", note: "There is no nvcc on this machine." };
  }
  return single([zigPath(), ["build", "-p", "build", "-Dgpu-code=true", "--color", "off"]]);
};

const tests: Check = (filters) => bunTests(filters, {});

const bunTests = async (
  filters: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Checked> => {
  const folder = mkdtempSync(join(tmpdir(), "framepack-report-"));
  try {
    const report = join(folder, "report.xml");
    const reporting = ["--reporter=junit", `--reporter-outfile=${report}`, "--timeout=120000"];
    const { code, output } = await execute(process.execPath, ["test", ...reporting, ...filters], {
      // The launcher starts production; tests want what bun test would set itself.
      env: { NODE_ENV: "test", ...env },
    });
    const xml = existsSync(report) ? readFileSync(report, "utf8") : "";
    return { counts: countsOfJunit(xml, code, filters.length > 0), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const checks: Readonly<Record<CheckName, Check>> = {
  types,
  lint,
  format,
  kernels,
  "gpu-code": gpuCode,
  tests,
};

/** A check that only passes or fails. */
const single = async ([program, args]: readonly [string | readonly string[], string[]]) => {
  const [first = "", ...others] = typeof program === "string" ? [program] : program;
  const { code, output } = await execute(first, [...others, ...args]);
  return { counts: oneCheck(code === 0), output };
};

/** A tool from the packages, run by this Bun: nothing else may be on the machine. */
const script = (path: string): readonly string[] => [
  process.execPath,
  join(root, "node_modules", path),
];

const zigPath = (): string => {
  const own = join(root, ".tools", `zig-${zig_version}`, "zig");
  return existsSync(own) ? own : "zig";
};

const execute: Execute = async (program, args, { env = {}, ms_max } = {}) => {
  const path = program.includes("/") ? program : Bun.which(program);
  if (path === null) return { code: 127, output: `${program} is not there.` };
  const child = Bun.spawn([path, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...(ms_max === undefined ? {} : { timeout: ms_max }),
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, output: `${out}${err}` };
};
