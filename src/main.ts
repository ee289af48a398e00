// The command line: finds the verb, loads only that, turns what it throws into a sentence and an
// exit code. No verb lives here. stdout is data, stderr is for people.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { version } from "../package.json";
import { HelpAsked } from "./cli/help.ts";
import { usage, verbs } from "./cli/usage.ts";
import { exitCodes, Failure, type FailureReport, reportOf } from "./engine/failure.ts";
import { didYouMean } from "./engine/nearest.ts";
import { jsonLine, quoted } from "./engine/printable.ts";

type Verb = Readonly<{ run: (args: readonly string[]) => Promise<number> }>;

const main = async (args: readonly string[]): Promise<number> => {
  const [first, ...others] = args;
  if (first === undefined) return onTerminal() ? startScreen([]) : printUsage(exitCodes.usage);
  if (first === "--help" || first === "-h" || first === "help") return printUsage(exitCodes.ok);
  if (first === "--version" || first === "-V") {
    console.log(`framepack ${version}`);
    return exitCodes.ok;
  }
  if (first.startsWith("-")) return startScreen(args);
  if (!Object.hasOwn(verbs, first)) {
    const guess = didYouMean(first, Object.keys(verbs), "framepack ");
    throw new Failure("usage.unknown-verb", `There is no verb ${quoted(first, 40)}.${guess}`, {
      hint: "framepack --help lists the verbs.",
    });
  }
  return (await loadVerb(first)).run(others);
};

const onTerminal = (): boolean => Boolean(process.stdin.isTTY && process.stdout.isTTY);

const loadVerb = async (verb: string): Promise<Verb> => {
  const file = fileURLToPath(new URL(`./cli/${verb}.ts`, import.meta.url));
  if (!existsSync(file)) {
    throw new Failure("usage.verb-absent", `This build comes without the verb ${verb}.`);
  }
  return (await import(file)) as Verb;
};

const startScreen = async (args: readonly string[]): Promise<number> => {
  if (args.length > 0 && !onTerminal()) {
    throw new Failure(
      "usage.verb-missing",
      `${quoted(args[0] ?? "", 40)} needs a verb before it.`,
      {
        hint: "framepack --help lists the verbs.",
      },
    );
  }
  return (await loadVerb("tui")).run(args);
};

const printUsage = (code: number): number => {
  (code === exitCodes.ok ? process.stdout : process.stderr).write(`${usage()}\n`);
  return code;
};

/** Whether the caller asked for JSON, read before any verb has parsed its flags. */
const wantsJson = (args: readonly string[]): boolean => {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).includes("--json");
};

/** Their `--json` ends with an envelope, also where it never came to a job. */
const jobVerbs: ReadonlySet<string> = new Set(["demo", "run", "attach", "resume"]);

const envelopeOf = (error: FailureReport): object => ({
  type: "envelope",
  ok: false,
  code: error.code,
  path: null,
  kept: null,
  error,
});

const fail = (error: unknown, args: readonly string[]): number => {
  if (error instanceof HelpAsked) {
    console.log(error.message);
    return exitCodes.ok;
  }
  const report = reportOf(error);
  if (wantsJson(args)) {
    console.log(jsonLine({ type: "failed", ...report }));
    if (jobVerbs.has(args[0] ?? "")) console.log(jsonLine(envelopeOf(report)));
  }
  const hint = report.hint === undefined ? "" : ` ${report.hint}`;
  // Not console.error: on a terminal that would add colours of its own.
  const name = report.message.startsWith("framepack ") ? "" : "framepack: ";
  process.stderr.write(`${name}${report.message}${hint}\n`);
  if (process.env.FRAMEPACK_DEBUG) console.error(error);
  return report.code;
};

// A reader that closes early (`framepack models list | head -1`) is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.output);
});

const args = process.argv.slice(2);
const code = await main(args).catch((error: unknown) => fail(error, args));
// What was written must leave before the process does; open handles must not keep it.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(code);
