// framepack test: everything that is checked before a change lands, in one summary. Each tool's own
// count is taken from its report; a tool that dies without one counts as one failure.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes } from "../engine/failure.ts";
import { choice, parseFlags, toggle } from "./flags.ts";
import { type Counts, countsOfJunit, countsOfZig, oneCheck, sumOf } from "./test-counts.ts";

const checkNames = ["types", "lint", "format", "kernels", "tests"] as const;
type CheckName = (typeof checkNames)[number];

const testFlags = {
  only: choice(checkNames, "run one check only"),
  gpu: toggle("run the tests that need a GPU; without one they fail"),
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
  const results: Counts[] = [];
  for (const name of chosen(flags.only, rest)) {
    const from = performance.now();
    const { counts, output } = await checks[name](rest, flags.gpu ?? false);
    results.push(counts);
    if (counts.failed > 0) console.error(output.replaceAll(/^\(pass\).*\n/gm, "").trimEnd());
    const seconds = (performance.now() - from) / 1000;
    console.log(json ? jsonLine(name, counts, seconds) : textLine(name, counts, seconds));
  }
  const sum = sumOf(results);
  if (json) console.log(JSON.stringify({ type: "tested", ...sum }));
  else console.log(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed === 0 && sum.passed > 0 ? exitCodes.ok : exitCodes.unknown;
};

/** With words to filter by, the checks that know no filter are left out. */
const chosen = (only: CheckName | undefined, rest: readonly string[]): readonly CheckName[] => {
  if (only !== undefined) return [only];
  return rest.length > 0 ? ["kernels", "tests"] : checkNames;
};

const textLine = (name: string, { passed, failed, skipped }: Counts, seconds: number): string => {
  const word = failed > 0 ? "FAIL" : "ok";
  const left = skipped > 0 ? `, ${skipped} skipped` : "";
  const counts = `${passed} passed, ${failed} failed${left}`;
  return `${word.padEnd(5)}${name.padEnd(8)} ${counts} (${seconds.toFixed(1)} s)`;
};

const jsonLine = (name: string, counts: Counts, seconds: number): string =>
  JSON.stringify({ type: "checked", check: name, ...counts, seconds });

// ---- The checks ------------------------------------------------------------------------------

type Checked = Readonly<{ counts: Counts; output: string }>;
type Check = (filters: readonly string[], gpu: boolean) => Promise<Checked>;

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

const tests: Check = async (filters, gpu) => {
  const folder = mkdtempSync(join(tmpdir(), "framepack-report-"));
  try {
    const report = join(folder, "report.xml");
    const reporting = ["--reporter=junit", `--reporter-outfile=${report}`, "--timeout=120000"];
    const { code, output } = await execute(
      process.execPath,
      ["test", ...reporting, ...filters],
      gpu ? { FRAMEPACK_TEST_GPU: "1" } : {},
    );
    const xml = existsSync(report) ? readFileSync(report, "utf8") : "";
    return { counts: countsOfJunit(xml, code, filters.length > 0), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const checks: Readonly<Record<CheckName, Check>> = { types, lint, format, kernels, tests };

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

const execute = async (
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Readonly<{ code: number; output: string }>> => {
  const path = program.includes("/") ? program : Bun.which(program);
  if (path === null) return { code: 127, output: `${program} is not there.` };
  const child = Bun.spawn([path, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, output: `${out}${err}` };
};
