// A whole job, from the recipe to the finished video. It never throws: whatever happens is told by
// its last event (finished, failed or cancelled), and the result repeats what a caller needs of it.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { memory } from "../ffi/library.ts";
import type { Emit } from "./events.ts";
import { exitCodes, Failure, reportOf } from "./failure.ts";
import type { Recipe } from "./job.ts";
import type { Film, FrameSink } from "./media/sink.ts";
import type { VideoOptions } from "./media/video.ts";
import { loadCheckpoint, removeCheckpoint } from "./run/checkpoint.ts";
import { residentBytes } from "./run/machine.ts";
import { type Kept, makeVideo } from "./run/make-video.ts";
import { type Prepared, prepareJob } from "./run/prepare.ts";
import { Reporter } from "./run/reporter.ts";

export type RunContext = Readonly<{
  emit: Emit;
  /**
   * Stops the job between two blocks. With a Failure "checkpointed.…" as its reason the job can be
   * resumed; with any other the finished sections are kept as a whole file.
   */
  signal: AbortSignal;
  stateDir: string;
  /** Names the job's folder for checkpoints; one is made up if there is none. */
  job?: string;
  /** Go on after the last section that is in the job's checkpoint. */
  resume?: boolean;
  now?: () => number;
  /** Where frames go, if not into a video file. */
  makeSink?: (options: VideoOptions) => FrameSink;
}>;

export type JobResult = Readonly<{
  /** The program's exit code for it. */
  code: number;
  /** The finished video, or what was kept of it. */
  path: string | null;
}>;

export const runJob = async (recipe: Recipe, context: RunContext): Promise<JobResult> => {
  const { emit, stateDir, now = () => performance.now() } = context;
  const begunAt = now();
  const jobDir = join(stateDir, "jobs", context.job ?? newJobName());
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const reporter = new Reporter({ emit, signal, now, memory: memoryNow, rss: residentBytes });
  const kept: Kept = { sections: 0, film: null, publishing: Promise.resolve() };
  let prepared: Prepared | undefined;
  try {
    const resume = context.resume ?? false;
    prepared = await prepareJob(recipe, { ...context, jobDir, resume, reporter });
    await makeVideo({ prepared, reporter, stateDir, jobDir, now, stop, kept });
    reporter.phase("finish");
    const film = await prepared.sink.finish();
    removeCheckpoint(jobDir);
    await finished(film, { reporter, recipe, latencyMs: now() - begunAt });
    return { code: exitCodes.ok, path: film.path };
  } catch (error) {
    const cause = signal.aborted ? signal.reason : error;
    return await endEarly(cause, { context, jobDir, kept, sink: prepared?.sink });
  }
};

const newJobName = (): string => `${Date.now().toString(36)}-${randomBytes(3).toString("hex")}`;

const finished = async (
  film: Film,
  job: Readonly<{ reporter: Reporter; recipe: Recipe; latencyMs: number }>,
): Promise<void> => {
  const { reporter, recipe, latencyMs } = job;
  reporter.emit({ type: "fileWritten", kind: "video", ...film });
  if (recipe.frames !== null) {
    const { frames } = film;
    reporter.emit({ type: "fileWritten", kind: "frames", path: recipe.frames, bytes: 0, frames });
  }
  const sha256 = new Bun.CryptoHasher("sha256");
  for await (const part of Bun.file(film.path).stream()) sha256.update(part);
  reporter.memory(true);
  reporter.emit({
    type: "finished",
    path: film.path,
    frames: film.frames,
    seconds: film.frames / recipe.fps,
    latencyMs,
    devicePeak: memoryNow().peak,
    rssPeak: residentBytes().peak,
    sha256: sha256.digest("hex"),
  });
};

/** Before the library is open, nothing is held. */
const memoryNow = (): { live: number; peak: number; budget: number } => {
  try {
    return memory();
  } catch {
    // The library is not open yet: the job is at its very beginning, or could not even open it.
    return { live: 0, peak: 0, budget: 0 };
  }
};

type Ending = Readonly<{
  context: RunContext;
  jobDir: string;
  kept: Kept;
  sink: FrameSink | undefined;
}>;

const endEarly = async (error: unknown, ending: Ending): Promise<JobResult> => {
  const { emit, signal } = ending.context;
  const asked = signal.aborted && error === signal.reason;
  const failure = asked ? stopReason(error) : error;
  const report = reportOf(failure);
  const resumable = /^(checkpointed|output|fit|gpu)\./.test(report.id);
  const path = await keep(ending, resumable);
  if (asked) emit({ type: "cancelled", code: report.code, kept: path });
  else {
    const { id, code, message, hint = null } = report;
    emit({ type: "failed", id, code, message, hint, kept: path });
  }
  return { code: report.code, path };
};

const stopReason = (reason: unknown): Failure =>
  reason instanceof Failure
    ? reason
    : new Failure("interrupted.cancelled", "The job was cancelled.", { cause: reason });

/**
 * Leaves finished sections as a file that plays: as they are if the job may go on later, else as a
 * whole one.
 */
const keep = async (ending: Ending, resumable: boolean): Promise<string | null> => {
  const { sink, kept, jobDir } = ending;
  await kept.publishing;
  if (sink === undefined) {
    if (!hasCheckpoint(jobDir)) removeCheckpoint(jobDir);
    return null;
  }
  if (!resumable && kept.sections > 0) {
    try {
      const film = await sink.finish();
      removeCheckpoint(jobDir);
      return film.path;
    } catch {
      // The failure that ended the job is the one to tell; the film as last published is still
      // there.
    }
  }
  await sink.abandon();
  const going = resumable && (kept.film !== null || hasCheckpoint(jobDir));
  if (!going) removeCheckpoint(jobDir);
  return kept.film?.path ?? null;
};

const hasCheckpoint = (jobDir: string): boolean => {
  try {
    return loadCheckpoint(jobDir) !== undefined;
  } catch {
    // One that cannot be read is left for the user to see; resuming it says why.
    return true;
  }
};
