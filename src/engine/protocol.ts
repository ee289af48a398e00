// What the engine process and its clients say to each other: one JSON object a line over a Unix socket.
// Versioned and zod-checked on both sides. Only shapes live here; who sends them is service/ and client.ts.

import { z } from "zod";
import { jobEventSchema, picturesSchema, planSchema } from "./events.ts";
import { recipeSchema } from "./job.ts";
import { jobViewSchema } from "./job-view.ts";

/** Grows with every change of a shape that an older program would not understand. */
export const protocolVersion = 2;

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
/** A job without its view: what changes when it moves in the queue, starts or ends. */
export const jobStateSchema = jobSummarySchema.omit({ view: true });
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
  command("submit", {
    recipe: recipeSchema,
    front: z.boolean(),
    /** The submitter's variables that count for the job. */
    environment: z.record(z.string().max(200), z.string().max(32_768)),
  }),
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
  /** What a recipe would do, without doing it: plan, crop, tokens, and what speaks against it. */
  command("inspect", { recipe: recipeSchema }),
  command("doctor", {}),
  command("models", {}),
  /** Downloads a model's missing files; progress comes as `download` messages. */
  command("pull", { model: z.string().min(1).max(200) }),
  /** Checks every file of a model against its published hash; progress as for `pull`. */
  command("verifyModel", { model: z.string().min(1).max(200) }),
  command("cancelPull", { model: z.string().min(1).max(200) }),
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

const cutSchema = z.object({ used: z.int(), max: z.int(), cut: z.string() });

/** What stands between a recipe and its video, by the field that has to change. */
export const problemSchema = z.object({
  field: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
});

export const inspectionSchema = z.object({
  plan: planSchema.nullable(),
  problems: z.array(problemSchema),
  /** The picture as the bucket will crop it, small. */
  crop: picturesSchema.nullable(),
  /** Size of the picture in the file. */
  picture: z.object({ width: z.int(), height: z.int() }).nullable(),
  /** Tokens of the prompt in both encoders, and the text that does not fit. */
  tokens: z.object({ llama: cutSchema, clip: cutSchema }).nullable(),
});
export type Inspection = Readonly<z.infer<typeof inspectionSchema>>;

export const checkSchema = z.object({
  id: z.string(),
  label: z.string(),
  state: z.enum(["ok", "warn", "fail", "info"]),
  text: z.string(),
  /** What to do about it. */
  advice: z.string().nullable(),
});
export type Check = Readonly<z.infer<typeof checkSchema>>;

export const modelStatusSchema = z.object({
  name: z.string(),
  title: z.string(),
  state: z.enum(["complete", "partial", "absent"]),
  path: z.string().nullable(),
  bytesPresent: z.int(),
  bytesTotal: z.int(),
  licence: z.string(),
  missing: z.array(z.string()),
});
export type ModelStatus = Readonly<z.infer<typeof modelStatusSchema>>;

export const downloadSchema = z.object({
  model: z.string(),
  state: z.enum(["running", "verifying", "finished", "failed", "cancelled"]),
  file: z.string().nullable(),
  bytesDone: z.int(),
  bytesTotal: z.int(),
  bytesPerSecond: z.number(),
  leftMs: z.number().nullable(),
  message: z.string().nullable(),
});
export type Download = Readonly<z.infer<typeof downloadSchema>>;

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
    inspection: inspectionSchema.optional(),
    checks: z.array(checkSchema).optional(),
    models: z.array(modelStatusSchema).optional(),
  }),
  z.object({ type: z.literal("event"), job: z.string(), event: jobEventSchema }),
  /** A job moved: queued, started, ended. What it looks like is told by its events. */
  z.object({ type: z.literal("state"), job: jobStateSchema }),
  /** The whole of one job, where somebody cannot know it from events: after events were dropped. */
  z.object({ type: z.literal("job"), job: jobSummarySchema, dropped: z.boolean() }),
  z.object({ type: z.literal("download"), download: downloadSchema }),
  z.object({ type: z.literal("forgotten"), job: z.string() }),
  z.object({ type: z.literal("bye"), reason: z.string() }),
]);
export type Message = Readonly<z.infer<typeof messageSchema>>;
