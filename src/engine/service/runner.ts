// The process that computes: takes one job at a time over IPC, runs it, sends its events back. It is a process of its own so
// that whatever kills it (the kernel's memory killer, a driver fault) leaves the engine, the queue and every view alive.

import type { JobEvent } from "../events.ts";
import { Failure, reportOf } from "../failure.ts";
import { stateDir } from "../paths.ts";
import { runJob } from "../run-job.ts";
import type { FromRunner, ToRunner } from "./runner-messages.ts";

const send = (message: FromRunner): void => {
  // The engine is gone: nobody is left to compute for.
  if (!process.connected) process.exit(0);
  process.send?.(message);
};

let running: { job: string; abort: AbortController } | null = null;

const run = async (message: Extract<ToRunner, { type: "run" }>): Promise<void> => {
  const { job, recipe, resume } = message;
  const abort = new AbortController();
  running = { job, abort };
  const emit = (event: JobEvent): void => send({ type: "event", job, event });
  try {
    await runJob(recipe, { emit, signal: abort.signal, stateDir: stateDir(), job, resume });
  } catch (error) {
    // runJob tells every ending by an event and throws nothing; what it throws all the same is a bug and must be seen.
    const { id, code, message: text, hint = null } = reportOf(error);
    emit({ type: "failed", id, code, message: text, hint, kept: null });
  }
  running = null;
  send({ type: "idle", job });
};

const reasons = {
  cancel: new Failure("interrupted.cancelled", "The job was cancelled."),
  checkpoint: new Failure("checkpointed.stopped", "The engine was asked to end.", {
    hint: "framepack resume goes on with the job.",
  }),
} as const;

process.on("message", (message: ToRunner) => {
  switch (message.type) {
    case "run":
      void run(message);
      return;
    case "stop":
      if (running?.job === message.job) running.abort.abort(reasons[message.how]);
      return;
    case "exit":
      process.exit(0);
  }
});
process.on("disconnect", () => process.exit(0));
// The terminal's Ctrl-C and a dropped link concern the clients, not the work.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
