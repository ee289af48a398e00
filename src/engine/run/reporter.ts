// Turns what happens in a job into events, at a rate that a slow reader can bear. Also the place
// where a cancelled job notices: between two blocks of any network.

import type { Emit, JobEvent, PhaseName } from "../events.ts";
import { Failure } from "../failure.ts";
import type { Breathe } from "../models/breathe.ts";

export type MemoryNumbers = Readonly<{ live: number; peak: number; budget: number }>;

export type ReporterOptions = Readonly<{
  emit: Emit;
  signal: AbortSignal;
  now: () => number;
  memory: () => MemoryNumbers;
  rss: () => Readonly<{ now: number; peak: number }>;
}>;

const heartbeatEveryMs = 500;
const memoryEveryMs = 1000;
/** Timers, sockets and signals get a turn at least this often while a network computes. */
const yieldEveryMs = 20;

export class Reporter {
  private readonly options: ReporterOptions;
  private phaseName: PhaseName = "check";
  private heartbeatAt = Number.NEGATIVE_INFINITY;
  private memoryAt = Number.NEGATIVE_INFINITY;
  private yieldedAt: number;

  constructor(options: ReporterOptions) {
    this.options = options;
    this.yieldedAt = options.now();
  }

  emit(event: JobEvent): void {
    this.options.emit(event);
  }

  phase(name: PhaseName, section: number | null = null): void {
    throwIfStopped(this.options.signal);
    this.phaseName = name;
    this.emit({ type: "phase", name, section });
    this.memory();
  }

  warn(id: string, text: string): void {
    this.emit({ type: "warning", id, text });
  }

  /** Emits at most once a second, or at once when `always`. */
  memory(always = false): void {
    const now = this.options.now();
    if (!always && now - this.memoryAt < memoryEveryMs) return;
    this.memoryAt = now;
    const { live, peak, budget } = this.options.memory();
    const rss = this.options.rss();
    this.emit({
      type: "memory",
      deviceLive: live,
      devicePeak: peak,
      deviceBudget: budget,
      rss: rss.now,
      rssPeak: rss.peak,
    });
  }

  /** For every network of the job. */
  readonly breathe: Breathe = async ({ network, part: _part, done, total }) => {
    const { now, signal } = this.options;
    const at = now();
    if (at - this.heartbeatAt >= heartbeatEveryMs) {
      this.heartbeatAt = at;
      this.emit({ type: "heartbeat", phase: this.phaseName, network, block: done, blocks: total });
      this.memory();
    }
    if (at - this.yieldedAt >= yieldEveryMs) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.yieldedAt = now();
    }
    throwIfStopped(signal);
  };
}

/** Throws what the job was stopped with. */
export const throwIfStopped = (signal: AbortSignal): void => {
  if (!signal.aborted) return;
  if (signal.reason instanceof Failure) throw signal.reason;
  throw new Failure("interrupted.cancelled", "The job was cancelled.", { cause: signal.reason });
};
