// One denoise step of a transformer with random weights: the code and the shapes of a run, without
// its files. What a job and a section share is made beforehand and not timed.

import type { Tensor } from "../../ffi/tensor.ts";
import { ResidentLender } from "../models/lender.ts";
import { Bag } from "../models/ownership.ts";
import { Transformer, type TransformerInput, type TransformerJob } from "../models/transformer.ts";
import type { SectionInput, TransformerSection } from "../models/transformer-section.ts";
import { groupsOf, listGroups } from "../models/transformer-shape.ts";
import type { Bench } from "./products.ts";
import { bytesEach, product, RandomWeights } from "./random.ts";
import { frames, type Sizes } from "./sizes.ts";
import type { Ready, Task, Work } from "./task.ts";

export const stepTasks = (bench: Bench): readonly Task[] => {
  const { sizes, dtype } = bench;
  const { transformer, section } = sizes;
  const blocks = `${transformer.doubleLayers}+${transformer.singleLayers} blocks`;
  return [
    {
      part: "step",
      name: `${section.tokens} tokens, ${blocks} of ${transformer.dim}, random weights`,
      dtype,
      work: stepWork(sizes),
      bytes: weightBytes(sizes) * bytesEach(dtype) + activationBytes(sizes, bytesEach(dtype)),
      open: () => openStep(bench),
    },
  ];
};

/**
 * Every block on every row, which is what the reference computes; a run leaves out the last block's
 * rows that nothing reads.
 */
export const stepWork = ({ transformer, section }: Sizes): Work => {
  const { dim, mlpDim, doubleLayers, singleLayers } = transformer;
  const blocks = doubleLayers + singleLayers;
  const weights = 4 * dim ** 2 + 2 * dim * mlpDim; // of a block, modulation apart
  return {
    matmul: 2 * section.tokens * weights * blocks,
    attention: 4 * section.tokens ** 2 * dim * blocks,
  };
};

const weightBytes = ({ transformer }: Sizes): number =>
  listGroups(groupsOf(transformer))
    .flatMap(({ shapes }) => Object.values(shapes))
    .reduce((sum, shape) => sum + product(shape), 0);

/** The residual stream, a norm's output, and a single block's q, k, v and joined input. */
const activationBytes = ({ transformer: { dim, mlpDim }, section }: Sizes, each: number): number =>
  section.tokens * (2 * dim + 3 * dim + (dim + mlpDim)) * each;

/** A step that is ready to be run again and again; `velocity` is the last one's result. */
export class RandomStep implements Ready {
  readonly #held: readonly Disposable[];
  readonly #section: TransformerSection;
  readonly #latents: Tensor;

  constructor(section: TransformerSection, latents: Tensor, held: readonly Disposable[]) {
    this.#section = section;
    this.#latents = latents;
    this.#held = held;
  }

  /** The result belongs to the caller. */
  velocity(): Promise<Tensor> {
    return this.#section.step(this.#latents, 0);
  }

  async run(): Promise<void> {
    using _result = await this.velocity();
  }

  [Symbol.dispose](): void {
    for (const each of this.#held.toReversed()) each[Symbol.dispose]();
  }
}

export const openStep = async (bench: Bench): Promise<RandomStep> => {
  const { sizes, dtype, random } = bench;
  const bag = new Bag();
  const held: Disposable[] = [bag];
  try {
    const weights = new RandomWeights(random, dtype);
    const lender = new ResidentLender(weights, { dtype, upload: false });
    held.push(lender);
    const model = new Transformer(sizes.transformer, lender, dtype);
    const job: TransformerJob = await model.begin(inputOf(bench, bag));
    held.push(job);
    const input = sectionInput(bench, bag);
    const section = await job.section(input);
    held.push(section);
    const latents = bag.add(random.make(latentDims(sizes, frames.noise), "f32"));
    return new RandomStep(section, latents, held);
  } catch (error) {
    for (const each of held.toReversed()) each[Symbol.dispose]();
    throw error;
  }
};

const inputOf = ({ sizes, random }: Bench, bag: Bag): TransformerInput => {
  const { textDim, pooledDim, imageDim } = sizes.transformer;
  const { prompt, image } = sizes.section;
  return {
    timesteps: [500],
    guidance: 10_000,
    text: bag.add(random.make([prompt, textDim], "f32")),
    pooled: bag.add(random.make([pooledDim], "f32")),
    ...(imageDim === undefined ? {} : { image: bag.add(random.make([image, imageDim], "f32")) }),
  };
};

const latentDims = ({ transformer, section }: Sizes, count: number): readonly number[] => {
  const { inChannels, patch } = transformer;
  const [rows, columns] = section.grid;
  return [inChannels, count, rows * patch, columns * patch];
};

const sectionInput = ({ sizes, random }: Bench, bag: Bag): SectionInput => {
  const [, count = 0, rows = 0, columns = 0] = latentDims(sizes, frames.noise);
  const clean = (length: number, from: number) => ({
    latents: bag.add(random.make(latentDims(sizes, length), "f32")),
    indices: upwards(length, from),
  });
  const from2x = frames.clean4x;
  const from1x = from2x + frames.clean2x;
  return {
    size: [count, rows, columns],
    indices: upwards(count, from1x + frames.clean1x),
    clean4x: clean(frames.clean4x, 0),
    clean2x: clean(frames.clean2x, from2x),
    clean1x: clean(frames.clean1x, from1x),
  };
};

const upwards = (count: number, from: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => from + i);
