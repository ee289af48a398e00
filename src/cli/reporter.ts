// The three ways a running job is shown: NDJSON on stdout, a line an event on stderr, or the live
// block on a terminal. All get the same events; none decides anything about the job.

import type { JobEvent, Plan } from "../engine/events.ts";
import type { FailureReport } from "../engine/failure.ts";
import { emptyView, type JobView, reduceView } from "../engine/job-view.ts";
import { jsonLine, printable } from "../engine/printable.ts";
import { LiveBlock, type Terminal } from "./live-block.ts";
import { eventLine, progressBlock, stoppedLine } from "./progress.ts";

export type Outcome = Readonly<{
  code: number;
  /** The finished video. */
  path: string | null;
  /** What a stopped or failed job leaves. */
  kept: string | null;
  failure: FailureReport | null;
  plan: Plan | null;
  /** Only the view ended; the engine goes on with the job. */
  goesOn: boolean;
}>;

export interface Reporter extends Disposable {
  event(event: JobEvent): void;
  /** A line for people. */
  note(text: string): void;
  end(outcome: Outcome): void;
}

export type ReporterOptions = Readonly<{
  json: boolean;
  quiet: boolean;
  colour: boolean;
  out: Terminal;
  err: Terminal & Readonly<{ isTTY?: boolean }>;
}>;

export const reporterFor = (options: ReporterOptions): Reporter => {
  if (options.json) return new JsonReporter(options);
  if (options.quiet) return new LineReporter(options);
  return options.err.isTTY ? new LiveReporter(options) : new LineReporter(options);
};

/**
 * One JSON object a line; the last is the envelope. Latent previews are left out: they are for
 * screens.
 */
class JsonReporter implements Reporter {
  readonly #options: ReporterOptions;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  event(event: JobEvent): void {
    if (event.type === "preview") return;
    this.#line(event.type === "sectionFinished" ? { ...event, thumbnails: null } : event);
  }

  note(text: string): void {
    if (!this.#options.quiet) this.#options.err.write(`${printable(text)}\n`);
  }

  end({ code, path, kept, failure }: Outcome): void {
    this.#line({ type: "envelope", ok: code === 0, code, path, kept, error: failure });
    if (failure !== null && !this.#options.quiet) this.note(`framepack: ${failureText(failure)}`);
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }

  #line(data: object): void {
    this.#options.out.write(`${jsonLine(data)}\n`);
  }
}

/** For pipes, logs and --quiet: the path of the video is all that goes to stdout. */
class LineReporter implements Reporter {
  readonly #options: ReporterOptions;
  #view: JobView = emptyView;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  event(event: JobEvent): void {
    this.#view = reduceView(this.#view, event);
    const line = eventLine(event, this.#view);
    if (line !== undefined) this.note(line);
  }

  note(text: string): void {
    if (!this.#options.quiet) this.#options.err.write(`${text}\n`);
  }

  end(outcome: Outcome): void {
    endLines(outcome, this.#options);
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }
}

class LiveReporter implements Reporter {
  readonly #options: ReporterOptions;
  readonly #block: LiveBlock;
  #view: JobView = emptyView;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { colour } = options;
    this.#block = new LiveBlock(options.err, (columns) =>
      progressBlock(this.#view, { columns, colour }),
    );
  }

  event(event: JobEvent): void {
    this.#view = reduceView(this.#view, event);
    const line = staysOnScreen.has(event.type) ? eventLine(event, this.#view) : undefined;
    if (line === undefined) this.#block.refresh();
    else this.#block.say(line);
  }

  note(text: string): void {
    this.#block.say(text);
  }

  end(outcome: Outcome): void {
    this.#block[Symbol.dispose]();
    endLines(outcome, this.#options);
  }

  [Symbol.dispose](): void {
    this.#block[Symbol.dispose]();
  }
}

/** The rest is in the block. */
const staysOnScreen: ReadonlySet<JobEvent["type"]> = new Set([
  "started",
  "planned",
  "warning",
  "sectionFinished",
  "finished",
]);

const endLines = (outcome: Outcome, options: ReporterOptions): void => {
  const { code, path, kept, failure, goesOn } = outcome;
  if (path !== null) options.out.write(`${printable(path, 4096)}\n`);
  else if (goesOn) options.err.write("The job goes on; framepack attach shows it.\n");
  else if (code >= 128) options.err.write(`${stoppedLine(kept)}.\n`);
  else if (failure !== null) {
    const keeps = kept === null ? "" : ` ${printable(kept)} keeps the finished sections.`;
    options.err.write(`framepack: ${failureText(failure)}${keeps}\n`);
  }
};

const failureText = ({ message, hint }: FailureReport): string =>
  hint === undefined ? message : `${message} ${hint}`;
