// What the engine and the process that computes say to each other over Bun's IPC. Both ends are this program, so the
// messages are trusted plain data; events are the same as everywhere.

import type { JobEvent } from "../events.ts";
import type { Recipe } from "../job.ts";

export type ToRunner = Readonly<
  | { type: "run"; job: string; recipe: Recipe; resume: boolean }
  /** cancel: stop and keep what is playable. checkpoint: stop so that the job can go on later. */
  | { type: "stop"; job: string; how: "cancel" | "checkpoint" }
  | { type: "exit" }
>;

export type FromRunner = Readonly<
  | { type: "event"; job: string; event: JobEvent }
  /** The job is over; its last event said how. */
  | { type: "idle"; job: string }
>;
