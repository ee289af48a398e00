// What is said while a job runs: one line an event for logs and pipes, and the block of lines that
// a terminal shows in place. Pure: events and a view in, text out. Who writes it is live-block.ts.

import type { JobEvent, PhaseName, Plan } from "../engine/events.ts";
import type { JobView } from "../engine/job-view.ts";
import { printable } from "../engine/printable.ts";
import { count, length, size, span } from "../engine/words.ts";

/** One event as a line, or nothing for events that only a live view needs. */
export const eventLine = (event: JobEvent, view: JobView): string | undefined => {
  switch (event.type) {
    case "started":
      return `framepack ${event.version} on ${printable(event.device, 200)} (${event.backend})`;
    case "planned":
      return planLines(event.plan).join(" ");
    case "phase":
      return event.section === null ? `${phaseWords[event.name]} …` : undefined;
    case "warning":
      return `Note: ${printable(event.text)}`;
    case "stepFinished": {
      const left = event.jobLeftMs === null ? "" : `, ${span(event.jobLeftMs)} left`;
      const skipped = event.skipped ? " (skipped)" : "";
      return (
        `Section ${event.section + 1} of ${view.plan?.sections ?? "?"}, ` +
        `step ${event.step + 1} of ${event.steps}: ${span(event.latencyMs)}${skipped}${left}`
      );
    }
    case "sectionFinished": {
      const frames = `${event.framesDone} of ${view.plan?.frames ?? "?"} frames final`;
      const number = `${event.section + 1} of ${event.sections}`;
      return `Section ${number} finished in ${span(event.latencyMs)}; ${frames}`;
    }
    case "fileWritten":
      return event.kind === "partial"
        ? `${printable(event.path)} plays now: ${count(event.frames, "frame")}, ${size(event.bytes)}`
        : undefined;
    case "finished":
      return (
        `Finished in ${span(event.latencyMs)}: ${printable(event.path)}, ` +
        `${count(event.frames, "frame")} = ${length(event.seconds)}${promise(event.devicePeak, view)}`
      );
    // Told at the very end, with everything else that the outcome needs.
    case "cancelled":
    case "failed":
    case "heartbeat":
    case "preview":
    case "memory":
      return undefined;
    default:
      return unreachable(event);
  }
};

/** What tensors took at most beside what the plan said. */
const promise = (peak: number, { plan }: JobView): string => {
  if (peak === 0) return "";
  const planned = plan === null ? "" : ` of ${size(plan.deviceBytesPeak)} planned`;
  return `; ${size(peak)}${planned} for tensors`;
};

export const stoppedLine = (kept: string | null): string =>
  kept === null
    ? "Stopped before the first section was finished; nothing is kept"
    : `Stopped; ${printable(kept)} keeps the finished sections`;

/** What a run will make, said before it starts. */
export const planLines = (plan: Plan): readonly string[] => {
  const made = `${count(plan.sections, "section")}, ${plan.frames} frames = ${length(plan.seconds)}`;
  const { width, height } = plan.bucket;
  const time = plan.ms === null ? "" : `, about ${span(plan.ms)}`;
  const order =
    plan.order === "inverted" && plan.sections > 1
      ? ["The end is made first: until the last section the file shows the end of the video."]
      : [];
  return [`${made} at ${width}×${height}, ${plan.steps} steps a section${time}.`, ...order];
};

const phaseWords: Readonly<Record<PhaseName, string>> = {
  check: "Checking",
  load: "Loading the model",
  text: "Reading the prompt",
  vision: "Looking at the picture",
  encode: "Encoding the picture",
  prepare: "Preparing",
  sample: "Sampling",
  decode: "Decoding",
  write: "Writing",
  finish: "Finishing",
};

export type BlockOptions = Readonly<{
  columns: number;
  colour: boolean;
}>;

/** The block: where the job is, a bar over the whole job, time left, what can be played by now. */
export const progressBlock = (
  view: JobView,
  { columns, colour }: BlockOptions,
): readonly string[] => {
  const width = Math.max(20, columns - 1);
  const { plan, phase, step } = view;
  const doing = phase === null ? "Starting" : phaseWords[phase.name];
  if (plan === null || phase === null || phase.section === null) {
    return [fit(`${doing} …${heartbeatWords(view)}`, width)];
  }
  const here = step !== null && step.section === phase.section ? step : null;
  const steps = here === null ? "" : ` · step ${here.step + 1} of ${here.steps}`;
  const rate = step === null ? "" : ` · ${span(averageStep(view))}/step`;
  const skipped = view.stepsSkipped > 0 ? ` · ${view.stepsSkipped} skipped` : "";
  const where = `Section ${phase.section + 1} of ${plan.sections}`;
  const now = phase.name === "sample" ? steps : ` · ${doing.toLowerCase()}${heartbeatWords(view)}`;
  return [
    fit(`${where}${now}${rate}${skipped}`, width),
    bar(doneShare(view, plan), Math.min(width, 60), colour),
    fit(leftWords(view), width),
    fit(framesWords(view, plan), width),
  ];
};

/** The share of all steps that are behind; decoding counts as the section's last part. */
const doneShare = (view: JobView, plan: Plan): number => {
  const perSection = plan.steps + 1;
  const finished = view.sections.length;
  const { step, phase } = view;
  const inSection = step !== null && step.section === phase?.section ? step.step + 1 : 0;
  const running = finished > (phase?.section ?? 0) ? 0 : inSection;
  return Math.min(1, (finished * perSection + running) / (plan.sections * perSection));
};

const averageStep = (view: JobView): number => view.step?.latencyMs ?? 0;

const leftWords = (view: JobView): string => {
  const { step } = view;
  if (step === null || step.jobLeftMs === null) return "Time left: known after the first steps";
  const section = step.sectionLeftMs === null ? "" : `section ${span(step.sectionLeftMs)}, `;
  return `Time left: ${section}video ${span(step.jobLeftMs)}`;
};

const framesWords = (view: JobView, plan: Plan): string => {
  const done = view.sections.at(-1)?.framesDone ?? 0;
  const partial = view.files.findLast((file) => file.kind === "partial");
  const final = `${done} of ${plan.frames} frames final`;
  if (partial === undefined) return final;
  const part = plan.order === "inverted" ? "the last" : "the first";
  const shows = `${part} ${length(partial.frames / plan.fps)}`;
  return `${final} · ${printable(partial.path)} shows ${shows}`;
};

const heartbeatWords = (view: JobView): string => {
  const beat = view.heartbeat;
  if (beat === null || beat.phase !== view.phase?.name || beat.blocks <= 1) return "";
  return ` ${printable(beat.network, 40)} ${beat.block + 1} of ${beat.blocks}`;
};

const bar = (share: number, width: number, colour: boolean): string => {
  const percent = `${Math.floor(share * 100)} %`.padStart(6);
  const cells = Math.max(1, width - percent.length);
  const full = Math.floor(share * cells);
  const filled = "█".repeat(full);
  const empty = "░".repeat(cells - full);
  return colour
    ? `\x1b[36m${filled}\x1b[90m${empty}\x1b[39m${percent}`
    : `${filled}${empty}${percent}`;
};

/** Cut to a width in cells; wide characters count two. */
export const fit = (line: string, width: number): string => {
  if (Bun.stringWidth(line) <= width) return line;
  let kept = "";
  let used = 1; // For the mark of the cut.
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    used += Bun.stringWidth(segment);
    if (used > width) break;
    kept += segment;
  }
  return `${kept}…`;
};

const unreachable = (event: never): never => {
  throw new Error(`unknown event ${JSON.stringify(event)}`);
};
