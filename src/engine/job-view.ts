// A job as somebody sees it who was not there from the start: one reducer over its events. The engine keeps one for every
// job and sends it as the snapshot; a client goes on from there with the same function. Pure, and bounded in size.

import { z } from "zod";
import { type JobEvent, jobEventSchema, phaseNames, planSchema } from "./events.ts";

const option = <T extends JobEvent["type"]>(type: T) => {
  const found = jobEventSchema.options.find((o) => o.shape.type.value === type);
  if (found === undefined) throw new Error(`no event ${type}`);
  return found as Extract<
    (typeof jobEventSchema.options)[number],
    { shape: { type: { value: T } } }
  >;
};

export const jobViewSchema = z.object({
  started: option("started").nullable(),
  plan: planSchema.nullable(),
  phase: z.object({ name: z.enum(phaseNames), section: z.int().nullable() }).nullable(),
  step: option("stepFinished").nullable(),
  heartbeat: option("heartbeat").nullable(),
  /** Steps that TeaCache skipped so far, in the whole job. */
  stepsSkipped: z.int(),
  preview: option("preview").nullable(),
  sections: z.array(option("sectionFinished")),
  files: z.array(option("fileWritten")),
  memory: option("memory").nullable(),
  warnings: z.array(option("warning")),
  finished: option("finished").nullable(),
  failed: option("failed").nullable(),
  cancelled: option("cancelled").nullable(),
});
export type JobView = Readonly<z.infer<typeof jobViewSchema>>;

export const emptyView: JobView = {
  started: null,
  plan: null,
  phase: null,
  step: null,
  heartbeat: null,
  stepsSkipped: 0,
  preview: null,
  sections: [],
  files: [],
  memory: null,
  warnings: [],
  finished: null,
  failed: null,
  cancelled: null,
};

/** At most this many warnings are kept; a job that says more says the same. */
const warningsMax = 50;

export const reduceView = (view: JobView, event: JobEvent): JobView => {
  switch (event.type) {
    case "started":
      return { ...view, started: event };
    case "planned":
      return { ...view, plan: event.plan };
    case "phase":
      return { ...view, phase: { name: event.name, section: event.section } };
    case "heartbeat":
      return { ...view, heartbeat: event };
    case "stepFinished":
      return { ...view, step: event, stepsSkipped: view.stepsSkipped + (event.skipped ? 1 : 0) };
    case "preview":
      return { ...view, preview: event };
    case "sectionFinished":
      // A resumed job makes the section anew that was cut off after its frames and before its checkpoint.
      return {
        ...view,
        sections: [...view.sections.filter((one) => one.section < event.section), event],
      };
    case "fileWritten": {
      const others = view.files.filter((f) => f.path !== event.path && f.kind !== "partial");
      return { ...view, files: [...others, event] };
    }
    case "memory":
      return { ...view, memory: event };
    case "warning":
      return view.warnings.length < warningsMax
        ? { ...view, warnings: [...view.warnings, event] }
        : view;
    case "finished":
      return { ...view, finished: event, preview: null };
    case "failed":
      return { ...view, failed: event };
    case "cancelled":
      return { ...view, cancelled: event };
    default:
      return unreachable(event);
  }
};

const unreachable = (event: never): never => {
  throw new Error(`unknown event ${JSON.stringify(event)}`);
};

/** The newest file somebody can play: the finished video, else the partial one. */
export const playableFile = (view: JobView): string | null =>
  view.finished?.path ??
  view.failed?.kept ??
  view.cancelled?.kept ??
  view.files.findLast((f) => f.kind === "video" || f.kind === "partial")?.path ??
  null;

/**
 * The view that a resumed job goes on with: what was finished before stays, unless it became a whole
 * video of its own, from which nothing can go on.
 */
export const resumedView = (view: JobView): JobView => {
  const kept = view.cancelled?.kept ?? view.failed?.kept ?? null;
  const isWhole = kept !== null && !view.files.some((file) => file.path === kept);
  return isWhole ? emptyView : { ...view, failed: null, cancelled: null, finished: null };
};

/** The events that make a view again, for who only knows events: `reduceView` over them gives the view back. */
export const eventsOf = (view: JobView): JobEvent[] => {
  const { started, plan, phase, step, heartbeat, preview, memory } = view;
  const ends = [view.finished, view.failed, view.cancelled];
  const all: (JobEvent | null)[] = [
    started,
    plan === null ? null : { type: "planned", plan },
    ...view.warnings,
    ...view.files,
    ...view.sections,
    phase === null ? null : { type: "phase", name: phase.name, section: phase.section },
    heartbeat,
    step,
    memory,
    preview,
    ...ends,
  ];
  return all.filter((event): event is JobEvent => event !== null);
};
