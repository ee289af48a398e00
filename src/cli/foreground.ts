// One job that somebody watches, from a recipe to an exit code: events go to a reporter, signals
// stop it, and whatever happens ends in one outcome. It is computed in the engine, or here when
// asked.

import { accessSync, constants, mkdirSync } from "node:fs";
import type { Emit, JobEvent } from "../engine/events.ts";
import { exitCodes, Failure, type FailureReport, reportOf } from "../engine/failure.ts";
import type { Recipe } from "../engine/job.ts";
import { emptyView, type JobView, playableFile, reduceView } from "../engine/job-view.ts";
import { stateDir } from "../engine/paths.ts";
import { quoted } from "../engine/printable.ts";
import { type Outcome, type Reporter, reporterFor } from "./reporter.ts";
import { stopCode, stopOnSignals } from "./stop-signals.ts";

export type WorkContext = Readonly<{
  emit: Emit;
  signal: AbortSignal;
  stateDir: string;
  note: (text: string) => void;
}>;
/** What is watched: it ends when the job has, having told so by an event. */
export type Work = (context: WorkContext) => Promise<unknown>;
export type RunJob = (recipe: Recipe, context: WorkContext) => Promise<unknown>;

export type ForegroundOptions = Readonly<{
  json: boolean;
  quiet: boolean;
  /** Compute in this process, not in the engine. */
  here: boolean;
}>;

/** Runs the job and shows it; the outcome's code is the program's. */
export const runInForeground = (
  recipe: () => Promise<Recipe>,
  options: ForegroundOptions,
  runJob: RunJob = options.here ? inProcess : inEngine,
): Promise<Outcome> =>
  watch(options, (context) => runAsked(recipe, context, runJob), {
    interrupted: "Stopping after this block; Ctrl-C again ends at once.",
  });

/** What is wrong with the wish itself is told first, then what is wrong with the machine. */
const runAsked = async (
  recipe: () => Promise<Recipe>,
  context: WorkContext,
  runJob: RunJob,
): Promise<unknown> => {
  const asked = await recipe();
  requireStateDir(context.stateDir);
  return runJob(asked, context);
};

/** Follows a job that the engine has already. Leaving leaves it running. */
export const followInForeground = (
  job: string,
  options: Omit<ForegroundOptions, "here">,
): Promise<Outcome> =>
  watch(options, async (context) => (await import("./via-engine.ts")).followJob(job, context), {
    interrupted: `Leaving; job ${job} goes on.`,
  });

const watch = async (
  options: Omit<ForegroundOptions, "here">,
  work: Work,
  words: Readonly<{ interrupted: string }>,
): Promise<Outcome> => {
  const { stdout: out, stderr: err } = process;
  const colour = Boolean(err.isTTY) && !process.env.NO_COLOR;
  using reporter = reporterFor({ ...options, colour, out, err });
  const stop = new AbortController();
  using _signals = stopOnSignals(stop, (signal) => {
    if (signal !== "SIGINT") return;
    reporter.note(words.interrupted);
  });
  using _pipe = stopWhenUnread(stop);
  const outcome = await runToOutcome(reporter, stop.signal, work);
  reporter.end(outcome);
  return outcome;
};

// Loaded here and not above: `run --help` and a mistyped flag need neither library nor engine.

const inProcess: RunJob = async (recipe, context) =>
  (await import("../engine/run-job.ts")).runJob(recipe, context);

const inEngine: RunJob = async (recipe, context) =>
  (await import("./via-engine.ts")).runThroughEngine(recipe, context);

export const runToOutcome = async (
  reporter: Reporter,
  signal: AbortSignal,
  work: Work,
): Promise<Outcome> => {
  let view: JobView = emptyView;
  const emit = (event: JobEvent): void => {
    view = reduceView(view, event);
    reporter.event(event);
  };
  try {
    const note = (text: string): void => reporter.note(text);
    await work({ emit, signal, stateDir: stateDir(), note });
  } catch (error) {
    if (signal.aborted) return stopped(view, signal);
    const failure = reportOf(error);
    return failed(view, failure);
  }
  if (view.finished !== null) {
    const { path } = view.finished;
    return { code: exitCodes.ok, path, kept: null, failure: null, plan: view.plan, goesOn: false };
  }
  if (view.cancelled !== null) return stopped(view, signal);
  if (signal.aborted) return left(view, signal);
  if (view.failed !== null) {
    const { id, code, message, hint } = view.failed;
    const failure = { id, code, message, ...(hint === null ? {} : { hint }) };
    return failed(view, failure);
  }
  throw new Error("the job ended without saying how");
};

/** Jobs, checkpoints and the engine's queue live there; without it nothing can be run. */
const requireStateDir = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const text = `The folder for jobs, ${quoted(folder, 300)}, cannot be written.`;
    const hint = "Set XDG_STATE_HOME to a folder that you may write.";
    throw new Failure("output.state", text, { hint, cause: error });
  }
};

const stopped = (view: JobView, signal: AbortSignal): Outcome => {
  const kept = playableFile(view);
  const failure =
    signal.reason instanceof Failure
      ? reportOf(signal.reason)
      : view.cancelled?.code === exitCodes.checkpointed
        ? reportOf(checkpointed)
        : null;
  const code = failure?.code ?? stopCode(signal);
  return { code, path: null, kept, failure, plan: view.plan, goesOn: false };
};

/** The engine stopped the job, not we. */
const checkpointed = new Failure(
  "checkpointed.stopped",
  "The engine was asked to end; the job can go on later.",
  { hint: "framepack resume goes on with it." },
);

/**
 * Only the view ended, with its terminal or the reader of its output: the engine goes on with the
 * job.
 */
const left = (view: JobView, signal: AbortSignal): Outcome => {
  const outcome = stopped(view, signal);
  return { ...outcome, goesOn: true };
};

const failed = (view: JobView, failure: FailureReport): Outcome => ({
  code: failure.code,
  path: null,
  kept: playableFile(view),
  failure,
  plan: view.plan,
  goesOn: false,
});

/**
 * Nobody reads our output any more (`run --json | head -1`): the job stops as at Ctrl-C, its
 * sections kept.
 */
const stopWhenUnread = (stop: AbortController): Disposable => {
  const others = process.stdout.listeners("error");
  const closed = (): void =>
    stop.abort(new Failure("output.unread", "The reader of the output went away."));
  process.stdout.removeAllListeners("error");
  process.stdout.on("error", closed);
  return {
    [Symbol.dispose]: () => {
      process.stdout.removeListener("error", closed);
      for (const other of others) process.stdout.on("error", other as (error: Error) => void);
    },
  };
};
