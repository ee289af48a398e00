// The packed video transformer: model, job, section, step. What depends only on the prompt and the
// schedule is computed once a job, what depends on the history once a section; a step is the rest.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { TransformerConfig } from "../config/transformer.ts";
import { Failure } from "../failure.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import { checkGroups, type Lender, linear, type Weights } from "./lender.ts";
import { projectImage, timeText } from "./transformer-embeddings.ts";
import { refine } from "./transformer-refiner.ts";
import { type SectionInput, TransformerSection } from "./transformer-section.ts";
import {
  groupsOf,
  listGroups,
  refinerSizesOf,
  type TransformerGroups,
} from "./transformer-shape.ts";

export interface TransformerInput {
  /** Timesteps 1000·σ of the job, already rounded as the model is to see them. */
  readonly timesteps: readonly number[];
  /** 1000·scale, already rounded; needed where the model has guidance embeddings. */
  readonly guidance?: number | undefined;
  /** The prompt's rows without padding, [n, textDim]. */
  readonly text: Tensor;
  /** [pooledDim] */
  readonly pooled: Tensor;
  /** Vision tokens, [m, imageDim]; ignored by a model without image projection. */
  readonly image?: Tensor | undefined;
}

/** A loaded transformer. Holds no activations. */
export class Transformer {
  readonly config: TransformerConfig;
  readonly groups: TransformerGroups;
  readonly lender: Lender;
  readonly dtype: FloatDtype;

  constructor(config: TransformerConfig, lender: Lender, dtype: FloatDtype) {
    this.config = config;
    this.groups = groupsOf(config);
    this.lender = lender;
    this.dtype = dtype;
  }

  /** Fails on the first missing or misshapen tensor. */
  static check(config: TransformerConfig, weights: Weights): void {
    checkGroups(weights, listGroups(groupsOf(config)));
  }

  /** Computes what all steps of a job share. */
  async begin(
    input: TransformerInput,
    options: { breathe?: Breathe; tap?: Tap } = {},
  ): Promise<TransformerJob> {
    const job = new TransformerJob(this, input.timesteps);
    try {
      await job.prepare(input, options.breathe ?? holdBreath, options.tap);
    } catch (error) {
      job[Symbol.dispose]();
      throw error;
    }
    return job;
  }
}

interface DoubleMatrices {
  readonly image: Tensor;
  readonly text: Tensor;
}

/** The parts of a job that no step changes. Rows of every matrix are the job's timesteps. */
export class TransformerJob implements Disposable {
  readonly model: Transformer;
  readonly timesteps: readonly number[];
  /** [steps, 6D] twice a double block, [steps, 3D] a single one, [steps, 2D] the head. */
  readonly double: DoubleMatrices[] = [];
  readonly single: Tensor[] = [];
  readonly #heads: Tensor[] = [];
  readonly #text: Tensor[] = [];
  readonly #image: Tensor[] = [];

  constructor(model: Transformer, timesteps: readonly number[]) {
    this.model = model;
    this.timesteps = timesteps;
  }

  get head(): Tensor {
    return expect(this.#heads[0]);
  }

  /** Projected image tokens [m, D], if the model takes any. */
  get image(): Tensor | undefined {
    return this.#image[0];
  }

  /** Refined prompt of a step, [n, D]. */
  text(step: number): Tensor {
    return expect(this.#text[step]);
  }

  /** What one section's steps share: history tokens and rotary tables. */
  section(input: SectionInput): Promise<TransformerSection> {
    return TransformerSection.open(this, input);
  }

  async prepare(input: TransformerInput, breathe: Breathe, tap?: Tap): Promise<void> {
    const { lender, groups } = this.model;
    using c = await this.#condition(input, tap);
    const modulation = [...groups.doubleModulation, ...groups.singleModulation];
    for (const [i, group] of modulation.entries()) {
      using w = await lender.lend(group);
      const isDouble = i < groups.doubleModulation.length;
      if (isDouble) {
        const image = linear(w, "norm1.linear", c);
        this.double.push({ image, text: linear(w, "norm1_context.linear", c) });
      } else {
        this.single.push(linear(w, "norm.linear", c));
      }
      await breathe({
        network: "transformer",
        part: group.id,
        done: i + 1,
        total: modulation.length,
        state: c,
      });
    }
    using w = await lender.lend(groups.headModulation);
    this.#heads.push(linear(w, "linear", c));
  }

  /** Embeds prompt and image; returns silu(c) of every timestep, [steps, D]. */
  async #condition(input: TransformerInput, tap?: Tap): Promise<Tensor> {
    const { config, dtype, groups, lender } = this.model;
    const { timesteps } = input;
    const guidance = config.hasGuidance ? guidanceOf(input) : undefined;
    using w = await lender.lend(groups.conditioning);
    using text = input.text.to(dtype);
    using pooled = input.pooled.to(dtype);
    const refined = refine(w, "context_embedder.", refinerSizesOf(config), { timesteps, text });
    this.#text.push(...refined);
    for (const [step, rows] of refined.entries()) if (step === 0) tap?.("context_refined", rows);
    if (config.imageDim !== undefined && input.image !== undefined) {
      using image = input.image.to(dtype);
      const projected = projectImage(w, image);
      this.#image.push(projected);
      tap?.("image_projection", projected);
    }
    using c = timeText(w, "time_text_embed.", { timesteps, guidance, text: pooled });
    tap?.("temb", c);
    return ops.activation(c, "silu");
  }

  [Symbol.dispose](): void {
    const pairs = this.double.flatMap(({ image, text }) => [image, text]);
    for (const tensor of [
      ...pairs,
      ...this.single,
      ...this.#heads,
      ...this.#text,
      ...this.#image,
    ]) {
      tensor[Symbol.dispose]();
    }
    this.double.length = this.single.length = 0;
    this.#heads.length = this.#text.length = this.#image.length = 0;
  }
}

const guidanceOf = ({ guidance }: TransformerInput): number => {
  if (guidance !== undefined) return guidance;
  throw new Failure("input.guidance", "This transformer needs a guidance scale.");
};

const expect = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("the job has no such step");
  return value;
};
