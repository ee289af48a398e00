// What the engine process and its clients say to each other: one JSON object a line over a Unix socket.
// Versioned and zod-checked on both sides. Only shapes live here; who sends them is service/ and client.ts.

import { z } from "zod";
import { jobEventSchema } from "./events.ts";
import { recipeSchema } from "./job.ts";
import { jobViewSchema } from "./job-view.ts";

export const protocolVersion = 1;

/** Longest line a client may send: a recipe with its two prompts fits many times over. */
export const commandBytesMax = 256 * 1024;

export const jobStates = [
  "queued",
  "running",
  "finished",
  "failed",
  "cancelled",
  /** Checkpointed, or cut off with its engine: can be resumed. */
  "interrupted",
] as const;
export type JobState = (typeof jobStates)[number];

export const jobSummarySchema = z.object({
  id: z.string(),
  state: z.enum(jobStates),
  recipe: recipeSchema,
  /** Place in the queue, 0 next; null when not queued. */
  place: z.int().nullable(),
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  view: jobViewSchema,
});
export type JobSummary = Readonly<z.infer<typeof jobSummarySchema>>;

const command = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.strictObject({
    v: z.literal(protocolVersion),
    /** Echoed in the reply. */
    id: z.int().min(0),
    type: z.literal(type),
    ...shape,
  });

const jobId = z.string().min(1).max(64);

export const commandSchema = z.discriminatedUnion("type", [
  command("hello", { client: z.string().max(64), version: z.string().max(64) }),
  command("submit", { recipe: recipeSchema, front: z.boolean() }),
  command("cancel", { job: jobId }),
  /** Puts a queued job before another one, or last. */
  command("reorder", { job: jobId, before: jobId.nullable() }),
  /** Runs a job again from its start, as a new job. */
  command("retry", { job: jobId }),
  /** Goes on with a checkpointed job where it stopped. */
  command("resume", { job: jobId }),
  /** Forgets an ended job; its video stays. */
  command("forget", { job: jobId }),
  command("list", { limit: z.int().min(1).max(1000) }),
  command("snapshot", { job: jobId }),
  /** Events of one job, or of all, from now on; a snapshot of what runs comes first. */
  command("subscribe", { job: jobId.nullable(), previews: z.boolean() }),
  command("unsubscribe", {}),
  /** Stops after the running block; running jobs are checkpointed. */
  command("shutdown", {}),
]);
export type Command = Readonly<z.infer<typeof commandSchema>>;
export type CommandType = Command["type"];
/** A command as a caller writes it: version and id are filled in by the client. */
export type CommandBody = Command extends infer C
  ? C extends Command
    ? Omit<C, "v" | "id">
    : never
  : never;

export const engineInfoSchema = z.object({
  version: z.string(),
  protocol: z.int(),
  pid: z.int(),
  startedAt: z.number(),
});
export type EngineInfo = Readonly<z.infer<typeof engineInfoSchema>>;

export const errorSchema = z.object({
  id: z.string(),
  code: z.int(),
  message: z.string(),
  hint: z.string().nullable(),
});

export const messageSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("reply"),
    /** null when the line could not be understood far enough to know. */
    id: z.int().nullable(),
    error: errorSchema.nullable(),
    engine: engineInfoSchema.optional(),
    job: jobSummarySchema.optional(),
    jobs: z.array(jobSummarySchema).optional(),
  }),
  z.object({ type: z.literal("event"), job: z.string(), event: jobEventSchema }),
  /** The whole state of one job: at subscription, when a job changes state, or after events were dropped. */
  z.object({ type: z.literal("job"), job: jobSummarySchema, dropped: z.boolean() }),
  z.object({ type: z.literal("forgotten"), job: z.string() }),
  z.object({ type: z.literal("bye"), reason: z.string() }),
]);
export type Message = Readonly<z.infer<typeof messageSchema>>;
