// What a job says while sections are made: steps with the time left, previews of the latents, and
// the section once its frames are there.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FramepackSettings } from "../config/framepack-json.ts";
import type { SamplerStep } from "../sampling/sampler.ts";
import type { MadeSection } from "../sections/make-sections.ts";
import { framesOf, type SectionSpan } from "../sections/order.ts";
import type { Pace } from "./pace.ts";
import type { Reporter } from "./reporter.ts";
import { pictures, thumbnails, thumbnailsPerSection } from "./thumbnails.ts";

export type ProgressOptions = Readonly<{
  reporter: Reporter;
  pace: Pace;
  sections: number;
  latentRgb: FramepackSettings["latentRgb"];
  now: () => number;
  /** Of an earlier run that this one goes on from. */
  framesDone: number;
  stepsSkipped: number;
}>;

export class Progress implements Disposable {
  private readonly options: ProgressOptions;
  private readonly factors: Tensor;
  private readonly bias: Tensor;
  private framesDone: number;
  private skippedBefore: number;
  private skippedHere = 0;
  private skippedNow = false;
  private sectionAt = 0;
  private stepAt = 0;

  constructor(options: ProgressOptions) {
    const { factors, bias } = options.latentRgb;
    this.options = options;
    this.factors = Tensor.from(Float32Array.from(factors.flat()), [factors.length, 3]);
    this.bias = Tensor.from(Float32Array.from(bias), [3]);
    this.framesDone = options.framesDone;
    this.skippedBefore = options.stepsSkipped;
  }

  /** Steps skipped in the whole job. */
  get stepsSkipped(): number {
    return this.skippedBefore + this.skippedHere;
  }

  sectionBegun(): void {
    this.skippedBefore += this.skippedHere;
    this.skippedHere = 0;
    this.sectionAt = this.options.now();
    this.stepAt = this.sectionAt;
  }

  /** Whether the step under way reuses the last residual. */
  decided(computes: boolean): void {
    this.skippedNow = !computes;
  }

  stepDone({ index, latents }: SectionSpan, { step, steps, denoised }: SamplerStep): void {
    const { pace, reporter, now } = this.options;
    const latencyMs = now() - this.stepAt;
    this.stepAt = now();
    const skipped = this.skippedNow;
    this.skippedNow = false;
    if (skipped) this.skippedHere += 1;
    pace.stepDone(latencyMs, skipped);
    const left = pace.left(index);
    reporter.emit({
      type: "stepFinished",
      ...{ section: index, step, steps, latencyMs, skipped },
      sectionLeftMs: left.section,
      jobLeftMs: left.job,
    });
    using rgb = ops.latentRgb(denoised, this.factors, this.bias);
    const [frames = 0, height = 0, width = 0] = rgb.dims;
    reporter.emit({
      type: "preview",
      ...{ section: index, step },
      pictures: pictures(rgb.u8(), { frames, height, width }),
      from: framesOf(latents.from),
      to: framesOf(latents.to),
    });
    reporter.memory();
  }

  decoded({ index }: SectionSpan, ms: number): void {
    this.options.pace.sectionDone(index, ms);
  }

  sectionDone({ span, growth, clip }: MadeSection): void {
    const { reporter, sections, now } = this.options;
    const [, height = 0, width = 0] = clip.dims;
    const { joined, open } = growth;
    const inOrder = span.open.from < span.final.from ? [open, joined] : [joined, open];
    this.framesDone += joined.count;
    reporter.emit({
      type: "sectionFinished",
      section: span.index,
      sections,
      framesDone: this.framesDone,
      from: span.final.from,
      to: span.final.to,
      latencyMs: now() - this.sectionAt,
      stepsSkipped: this.skippedHere,
      thumbnails: thumbnails(inOrder, { height, width }, thumbnailsPerSection(sections)),
    });
    reporter.memory(true);
  }

  [Symbol.dispose](): void {
    this.factors[Symbol.dispose]();
    this.bias[Symbol.dispose]();
  }
}
