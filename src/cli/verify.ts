// `framepack verify CASE…`: runs reference cases through the code that `run` uses and prints each
// tensor's error beside its limit. Leaves with 1 on any miss.

import { z } from "zod";
import { exitCodes, Failure } from "../engine/failure.ts";
import type { LoadOptions } from "../engine/models/load.ts";
import { jsonLine, quoted } from "../engine/printable.ts";
import type { Check } from "../engine/verify/measure.ts";
import { allDtypes } from "../engine/verify/runner.ts";
import { openCase, type Verdict, verifyCase } from "../engine/verify/verify.ts";
import { openLibrary } from "../ffi/library.ts";
import { tensorMapper } from "../ffi/mapped-file.ts";
import type { FloatDtype } from "../ffi/types.ts";
import { choice, number, parseFlags, toggle } from "./flags.ts";
import { say } from "./say.ts";

const spec = {
  backend: choice(["cpu", "emulated", "cuda"], "what computes; cpu unless given"),
  dtype: choice(
    ["f32", "bf16", "f16", "all"],
    "precision of activations; all that a case has limits for",
  ),
  threads: number("N", "threads of the cpu backend; 0 takes all cores", z.int().min(0).max(256)),
  json: toggle("one line of JSON a tensor"),
  quiet: toggle("print misses and the sum only"),
};

const cases_max = 10_000;

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("verify", spec, args, { usage: "CASE…", rest_max: cases_max });
  if (rest.length === 0) {
    throw new Failure("usage.case-missing", "framepack verify needs at least one folder.", {
      hint: "Give folders that hold case.json, or `demo` for the embedded model.",
    });
  }
  const cases = rest.map(openCase); // a word that is no case fails before anything runs
  const info = openLibrary({ backend: flags.backend ?? "cpu", threads: flags.threads ?? 0 });
  const wanted = flags.dtype ?? "all";
  const dtypes: readonly FloatDtype[] = wanted === "all" ? allDtypes : [wanted];
  const load = (dtype: FloatDtype): LoadOptions => ({
    dtype,
    mapper: tensorMapper,
    upload: info.backend !== "cpu",
  });
  const sum = { checks: 0, misses: 0 };
  for (const of of cases) {
    const verdict = await verifyCase(of, dtypes, load);
    report(verdict, flags);
    sum.checks += verdict.checks.length;
    sum.misses += verdict.checks.filter((check) => !check.pass).length;
    noteUnseen(of.name, verdict);
    noteSkipped(of.name, verdict, wanted === "all" || flags.quiet === true);
  }
  const where = `${info.backend}, ${info.threads} thread${info.threads === 1 ? "" : "s"}`;
  const count = `${sum.checks - sum.misses} of ${sum.checks} tensors within their limits`;
  process.stderr.write(
    `${cases.length} case${cases.length === 1 ? "" : "s"} on ${where}: ${count}.\n`,
  );
  return sum.misses === 0 ? exitCodes.ok : exitCodes.unknown;
};

const report = (
  { checks }: Verdict,
  { json, quiet }: Readonly<{ json?: boolean | undefined; quiet?: boolean | undefined }>,
): void => {
  for (const check of checks) {
    if (json) console.log(jsonLine({ type: "compared", ...check, error: finite(check.error) }));
    else if (!quiet || !check.pass) console.log(lineOf(check));
  }
};

const lineOf = (check: Check): string => {
  const where = `${check.case}${check.variant === "main" ? "" : ` ${check.variant}`}`;
  const sign = check.pass ? "≤" : ">";
  const error = `${check.metric} ${short(check.error)} ${sign} ${short(check.limit)}`;
  const mark = check.pass ? "ok  " : "MISS";
  const tensor = check.final ? `${check.tensor} *` : check.tensor;
  return `${mark} ${check.dtype.padEnd(4)} ${where}: ${tensor}  ${error}`;
};

const noteUnseen = (name: string, { unseen }: Verdict): void => {
  if (unseen.length === 0) return;
  const some = unseen.slice(0, 5).map((tensor) => quoted(tensor, 80));
  const more = unseen.length > some.length ? " and others" : "";
  say(`${quoted(name, 100)} has outputs that were not compared: ${some.join(", ")}${more}.`);
};

const noteSkipped = (name: string, { checks, skipped }: Verdict, isQuiet: boolean): void => {
  if (skipped.length === 0 || (isQuiet && checks.length > 0)) return;
  process.stderr.write(
    `${quoted(name, 100)} has no limits for ${skipped.join(", ")}: nothing compared.\n`,
  );
};

const short = (value: number): string => (value === 0 ? "0" : value.toExponential(1));

/** JSON has no infinity: a comparison that could not be made has no error. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
