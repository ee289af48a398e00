// How long the rest takes, from what was measured in this run: computed and skipped steps apart,
// decodes by their size. Nothing is said before the first step is known. Pure: durations in,
// durations out.

export type PaceOptions = Readonly<{
  steps: number;
  sections: number;
  /** Steps may be skipped. */
  skips: boolean;
  /**
   * Operations of one computed step, and of decoding each section's clip: only their ratios count.
   */
  stepFlops: number;
  clipFlops: readonly number[];
  /** Operations a millisecond of decoding, when an earlier run measured them. */
  decodeRate: number | null;
  /** Share of computed steps, when an earlier run measured it. */
  computedShare: number | null;
}>;

/**
 * Share of computed steps assumed before anything is known: half, as skipping hardly ever exceeds.
 */
const shareAssumed = 0.5;
/** Steps of a section after which its own share of computed steps is believed. */
const stepsBelieved = 6;
/** Steps whose mean is taken: enough to be calm, few enough to follow a machine that slows down. */
const recent = 12;

export class Pace {
  private readonly options: PaceOptions;
  private readonly computedMs: number[] = [];
  private readonly skippedMs: number[] = [];
  private readonly decodes: { flops: number; ms: number }[] = [];
  private section = { computed: 0, done: 0 };
  private finished = { computed: 0, done: 0 };

  constructor(options: PaceOptions) {
    this.options = options;
  }

  stepDone(ms: number, skipped: boolean): void {
    (skipped ? this.skippedMs : this.computedMs).push(ms);
    this.section.done += 1;
    if (!skipped) this.section.computed += 1;
  }

  sectionDone(section: number, decodeMs: number): void {
    this.decodes.push({ flops: this.options.clipFlops[section] ?? 0, ms: decodeMs });
    this.finished.computed += this.section.computed;
    this.finished.done += this.section.done;
    this.section = { computed: 0, done: 0 };
  }

  /**
   * Milliseconds until this section's frames are there, and until all are; null before the first
   * step.
   */
  left(section: number): Readonly<{ section: number | null; job: number | null }> {
    const step = this.expectedStepMs();
    const decodeRate = this.decodeRate();
    if (step === null || decodeRate === null) return { section: null, job: null };
    const { steps, clipFlops } = this.options;
    const decode = (index: number): number => (clipFlops[index] ?? 0) / decodeRate;
    const here = (steps - this.section.done) * step + decode(section);
    let job = here;
    for (let s = section + 1; s < this.options.sections; s++) job += steps * step + decode(s);
    return { section: here, job };
  }

  /** What is worth remembering: operations a millisecond, and the share of computed steps. */
  measured(): Readonly<{ sample: number; decode: number; computed: number | null }> | null {
    const computed = meanOf(this.settled(this.computedMs));
    const decode = this.decodeRate();
    if (computed === null || decode === null || this.decodes.length === 0) return null;
    return {
      sample: this.options.stepFlops / Math.max(computed, 1e-3),
      decode,
      computed: this.options.skips ? this.share() : null,
    };
  }

  private expectedStepMs(): number | null {
    const computed = meanOf(this.settled(this.computedMs));
    if (computed === null) return null;
    // A skipped step costs next to nothing; until one was seen, that is what is expected.
    const skipped = meanOf(this.skippedMs.slice(-recent)) ?? 0;
    const share = this.share();
    return share * computed + (1 - share) * skipped;
  }

  private share(): number {
    if (!this.options.skips) return 1;
    if (this.finished.done > 0) return this.finished.computed / this.finished.done;
    if (this.section.done >= stepsBelieved) return this.section.computed / this.section.done;
    return this.options.computedShare ?? shareAssumed;
  }

  /** Operations a millisecond. Unmeasured decoding is taken to run as fast as sampling does. */
  private decodeRate(): number | null {
    const flops = this.decodes.reduce((sum, d) => sum + d.flops, 0);
    const ms = this.decodes.reduce((sum, d) => sum + d.ms, 0);
    if (flops > 0 && ms > 0) return flops / ms;
    if (this.options.decodeRate !== null) return this.options.decodeRate;
    const step = meanOf(this.settled(this.computedMs));
    return step === null ? null : this.options.stepFlops / Math.max(step, 1e-3);
  }

  /** The first step also warms things up; it counts only while it is alone. */
  private settled(list: readonly number[]): readonly number[] {
    return list.slice(Math.min(1, list.length - 1)).slice(-recent);
  }
}

const meanOf = (list: readonly number[]): number | null =>
  list.length === 0 ? null : list.reduce((sum, v) => sum + v, 0) / list.length;
