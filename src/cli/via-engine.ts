// Runs a job in the engine process and looks like running it here: the same events, the same stop signal. A lost terminal
// ends only the view; the job goes on.

import { version } from "../../package.json";
import { EngineClient } from "../engine/client.ts";
import type { Emit, JobEvent } from "../engine/events.ts";
import { Failure } from "../engine/failure.ts";
import type { Recipe } from "../engine/job.ts";
import { eventsOf } from "../engine/job-view.ts";
import type { JobSummary, Message } from "../engine/protocol.ts";
import { callerEnvironment } from "../engine/service/environment.ts";

export type EngineRun = Readonly<{
  emit: Emit;
  signal: AbortSignal;
  /** Told when the job waits behind others, and which job it is. */
  note: (text: string) => void;
}>;

/** Submits a recipe and follows it to its end. */
export const runThroughEngine = (recipe: Recipe, run: EngineRun): Promise<void> =>
  withFollower(run, { start: true, leaves: isViewOnly }, async (client) => {
    const { job } = await client.request({
      type: "submit",
      recipe,
      front: false,
      environment: callerEnvironment(process.env),
    });
    if (job === undefined) throw new Error("the engine took the job without naming it");
    if (job.place !== null && job.place > 0) {
      run.note(`Queued as job ${job.id}; ${job.place} before it.`);
    }
    return job;
  });

/** Follows a job that is there already, from where it stands to its end. Stopping only ends the view. */
export const followJob = (id: string, run: EngineRun): Promise<void> =>
  withFollower(run, { start: true, leaves: () => true }, async (client) => {
    const { job } = await client.request({ type: "snapshot", job: id });
    if (job === undefined) throw new Error("the engine answered without the job");
    for (const event of eventsOf(job.view)) run.emit(event);
    return job;
  });

/** Submits a recipe and returns at once. */
export const submitOnly = async (recipe: Recipe): Promise<JobSummary> => {
  using client = await EngineClient.connect({}, { start: true, version, name: "run" });
  const environment = callerEnvironment(process.env);
  const { job } = await client.request({ type: "submit", recipe, front: false, environment });
  if (job === undefined) throw new Error("the engine took the job without naming it");
  return job;
};

const ended = new Set(["finished", "failed", "cancelled", "interrupted"]);

const withFollower = async (
  run: EngineRun,
  options: Readonly<{ start: boolean; leaves: (reason: unknown) => boolean }>,
  begin: (client: EngineClient) => Promise<JobSummary>,
): Promise<void> => {
  const over = Promise.withResolvers<void>();
  let id: string | null = null;
  // Events may come before the reply that names the job: they wait until it is known whose they are.
  let early: Exclude<Message, { type: "reply" }>[] = [];
  const take = (message: Exclude<Message, { type: "reply" }>): void => {
    if (id === null) early.push(message);
    else if (message.type === "event" && message.job === id) run.emit(message.event as JobEvent);
    else if (message.type === "state" && message.job.id === id && ended.has(message.job.state)) {
      over.resolve();
    }
  };
  using client = await EngineClient.connect(
    {
      message: take,
      lost: (reason) => over.reject(lost(id, reason)),
    },
    { start: options.start, version, name: "run" },
  );
  await client.request({ type: "subscribe", job: null, previews: false });
  const job = await begin(client);
  id = job.id;
  const waiting = early;
  early = [];
  for (const message of waiting) take(message);
  if (ended.has(job.state)) over.resolve();
  const stop = (): void => {
    if (options.leaves(run.signal.reason)) over.resolve();
    else void client.request({ type: "cancel", job: job.id }).catch(over.reject);
  };
  if (run.signal.aborted) stop();
  run.signal.addEventListener("abort", stop);
  await over.promise;
};

/** The person or the reader of the output is gone; nobody said that the job should stop. */
const isViewOnly = (reason: unknown): boolean =>
  reason instanceof Failure &&
  (reason.id === "terminated.terminal-lost" || reason.id === "output.unread");

const lost = (id: string | null, reason: string | null): Failure =>
  new Failure(
    "checkpointed.engine-lost",
    `The engine ended${reason === null ? " without a word" : `: ${reason}`}.`,
    { hint: id === null ? "Run it again." : `framepack resume ${id} goes on with the job.` },
  );
