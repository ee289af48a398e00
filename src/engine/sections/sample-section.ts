// Samples one section with a transformer whose job-wide parts are ready: context tokens and rotary
// rows once, then the solver's steps, each with its own skip decision for either guidance branch.

import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { type Breathe, holdBreath } from "../models/breathe.ts";
import { TeaCache, type TeaCacheDecision } from "../models/teacache.ts";
import type { TransformerJob } from "../models/transformer.ts";
import type { SectionInput, TransformerSection } from "../models/transformer-section.ts";
import { guarded } from "../sampling/guard.ts";
import { type Branch, type ModelCall, type SamplerStep, sample } from "../sampling/sampler.ts";
import type { LatentSize } from "./history.ts";
import { type SectionTask, tensorOf } from "./make-sections.ts";

export type SectionSampler = Readonly<{
  positive: TransformerJob;
  /** Needed when cfg is not 1. */
  negative?: TransformerJob | undefined;
  sigmas: Float32Array;
  guidance: number;
  cfg: number;
  cfgRescale: number;
  rounding: FloatDtype;
  /** Reuse a step's residual while the input changes less than this; null computes every step. */
  teacacheThreshold: number | null;
  breathe?: Breathe | undefined;
  onDecision?: (decision: TeaCacheDecision, call: ModelCall) => void;
  onStep?: (step: SamplerStep) => Promise<void> | void;
}>;

export const sampleSection = async (
  sampler: SectionSampler,
  task: SectionTask,
  size: LatentSize,
): Promise<Tensor> => {
  using clean = tensorOf(task.context.clean, size);
  using clean2x = tensorOf(task.context.clean2x, size);
  using clean4x = tensorOf(task.context.clean4x, size);
  const input: SectionInput = {
    size: [task.noise.dims[1] ?? 0, size.height, size.width],
    indices: task.positions.window,
    clean1x: { latents: clean, indices: task.positions.clean },
    clean2x: { latents: clean2x, indices: task.positions.clean2x },
    clean4x: { latents: clean4x, indices: task.positions.clean4x },
  };
  using positive = await BranchRun.open(sampler.positive, input, sampler);
  using negative =
    sampler.negative === undefined
      ? undefined
      : await BranchRun.open(sampler.negative, input, sampler);
  const runOf = (branch: Branch): BranchRun => {
    const run = branch === "positive" ? positive : negative;
    if (run === undefined) throw new RangeError("guidance needs a negative prompt");
    return run;
  };
  return await sample(task.noise, {
    ...sampler,
    model: (x, call) => runOf(call.branch).step(x, call),
  });
};

/** One guidance branch of a section: skip decisions of the branches never mix. */
class BranchRun implements Disposable {
  private readonly section: TransformerSection;
  private readonly cache: TeaCache | undefined;
  private readonly sampler: SectionSampler;

  private constructor(section: TransformerSection, sampler: SectionSampler) {
    const { teacacheThreshold: threshold, sigmas } = sampler;
    this.section = section;
    this.sampler = sampler;
    this.cache =
      threshold === null ? undefined : new TeaCache({ steps: sigmas.length - 1, threshold });
  }

  static async open(
    job: TransformerJob,
    input: SectionInput,
    sampler: SectionSampler,
  ): Promise<BranchRun> {
    return new BranchRun(await job.section(input), sampler);
  }

  /** The velocity; where it is no sensible number, a second pass finds the block to blame. */
  step(x: Tensor, call: ModelCall): Promise<Tensor> {
    const { breathe = holdBreath, onDecision } = this.sampler;
    return guarded("transformer", breathe, (watching, again) =>
      this.section.step(x, call.step, {
        breathe: watching,
        cache: again ? undefined : this.cache,
        onDecision: (decision) => onDecision?.(decision, call),
      }),
    );
  }

  [Symbol.dispose](): void {
    this.cache?.[Symbol.dispose]();
    this.section[Symbol.dispose]();
  }
}
