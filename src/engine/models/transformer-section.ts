// One section of a job: its history's tokens and rotary rows, and the steps that denoise it.
// Row order is fixed: [4x | 2x | 1x | noise] image rows, then [image tokens | prompt] text rows.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import { Failure } from "../failure.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import { ropeTable } from "./rope-table.ts";
import type { TeaCache, TeaCacheDecision } from "./teacache.ts";
import type { TransformerJob } from "./transformer.ts";
import {
  type DoubleModulation,
  doubleBlock,
  eps,
  type Modulation,
  outputHead,
  type Stream,
  singleBlock,
} from "./transformer-blocks.ts";
import { embedPatches } from "./transformer-embeddings.ts";

/** Clean frames and the positions they have in time. */
export interface CleanLatents {
  /** [C, t, h, w] f32 */
  readonly latents: Tensor;
  readonly indices: readonly number[];
}

export interface SectionInput {
  /** Frames, rows and columns of the noise latents. */
  readonly size: readonly [frames: number, rows: number, columns: number];
  /** Positions of the noise frames; 0, 1, 2, … if left out. */
  readonly indices?: readonly number[] | undefined;
  readonly clean1x?: CleanLatents | undefined;
  readonly clean2x?: CleanLatents | undefined;
  readonly clean4x?: CleanLatents | undefined;
}

export interface StepOptions {
  readonly breathe?: Breathe | undefined;
  readonly cache?: TeaCache | undefined;
  readonly onDecision?: ((decision: TeaCacheDecision) => void) | undefined;
  /** Sees every intermediate; the last block then computes all rows. */
  readonly tap?: Tap | undefined;
}

export class TransformerSection implements Disposable {
  readonly #job: TransformerJob;
  readonly #input: SectionInput;
  /** Tokens of 4x, 2x and 1x history, one after the other, [history rows, D]. */
  readonly #history: readonly Tensor[];
  readonly #rope: Tensor;
  readonly #noiseRows: number;

  private constructor(job: TransformerJob, input: SectionInput, history: readonly Tensor[]) {
    this.#job = job;
    this.#input = input;
    this.#history = history;
    this.#noiseRows = input.size[0] * this.#patchRows * this.#patchColumns;
    this.#rope = this.#ropeRows();
  }

  static async open(job: TransformerJob, input: SectionInput): Promise<TransformerSection> {
    const { config, dtype, groups, lender } = job.model;
    checkInput(input, config.hasCleanX);
    using w = await lender.lend(groups.patches);
    const parts = [
      ["clean_x_embedder.proj_4x", input.clean4x],
      ["clean_x_embedder.proj_2x", input.clean2x],
      ["clean_x_embedder.proj", input.clean1x],
    ] as const;
    const history = parts.flatMap(([name, clean]) =>
      clean === undefined ? [] : [embedPatches(w, name, clean.latents, dtype)],
    );
    return new TransformerSection(job, input, history);
  }

  get #patchRows(): number {
    return Math.floor(this.#input.size[1] / this.#job.model.config.patch);
  }

  get #patchColumns(): number {
    return Math.floor(this.#input.size[2] / this.#job.model.config.patch);
  }

  /**
   * The velocity at latents [C, T, h, w] (f32) for the job's timestep number `step`; f32, cut to
   * whole patches.
   */
  async step(latents: Tensor, step: number, options: StepOptions = {}): Promise<Tensor> {
    const { config, groups, lender } = this.#job.model;
    const { cache, tap } = options;
    using stream = await this.#assemble(latents, step);
    const { z, imageRows } = stream;
    tapStreams(tap, ["packed_hidden_states", "context"], stream);
    tap?.("rope_freqs", stream.rope);

    using modulated = cache === undefined ? undefined : this.#modulated(stream, step);
    const decision = modulated && cache?.decide(modulated);
    if (decision !== undefined) options.onDecision?.(decision);
    const noise = stream.noise;
    if (cache !== undefined && decision?.compute === false) {
      using guessed = cache.apply(noise);
      ops.copy(noise, guessed);
    } else {
      using before = cache === undefined ? undefined : noise.contiguous();
      await this.#blocks(stream, step, options, modulated);
      if (before !== undefined) cache?.store(before, noise);
    }

    using w = await lender.lend(groups.head);
    using scratch = ops.scope();
    const head = this.#modulation(this.#job.head, step, 2);
    if (tap !== undefined) tap("norm_out", headNorm(z.rows(0, imageRows), head));
    const patches = outputHead(w, noise, head);
    const p = config.patch;
    const [frames] = this.#input.size;
    const dims = [config.outChannels, frames, this.#patchRows * p, this.#patchColumns * p];
    return ops.unpatchify(patches, dims, [p, p]).keep();
  }

  /** The joined residual stream before the first block. */
  async #assemble(latents: Tensor, step: number): Promise<JoinedStream> {
    const { groups, lender, dtype, config } = this.#job.model;
    const text = [this.#job.image, this.#job.text(step)].filter((part) => part !== undefined);
    const rows = (parts: readonly Tensor[]): number =>
      parts.reduce((sum, part) => sum + (part.dims[0] ?? 0), 0);
    const imageRows = rows(this.#history) + this.#noiseRows;
    using w = await lender.lend(groups.patches);
    const z = Tensor.empty([imageRows + rows(text), config.dim], dtype);
    const stream = new JoinedStream(z, imageRows, this.#noiseRows, this.#rope);
    using scratch = ops.scope();
    const p = config.patch;
    const whole = cropped(latents, this.#patchRows * p, this.#patchColumns * p);
    const noise = embedPatches(w, "x_embedder.proj", whole, dtype);
    let at = 0;
    for (const part of [...this.#history, noise, ...text]) {
      const end = at + (part.dims[0] ?? 0);
      ops.copy(z.rows(at, end), part);
      at = end;
    }
    return stream;
  }

  async #blocks(
    stream: JoinedStream,
    step: number,
    { breathe = holdBreath, tap }: StepOptions,
    modulated?: Tensor,
  ): Promise<void> {
    const { groups, lender, config } = this.#job.model;
    const total = groups.double.length + groups.single.length;
    const part = "its embeddings";
    await breathe({ network: "transformer", part, done: 0, total, state: stream.z });
    for (const [i, group] of [...groups.double, ...groups.single].entries()) {
      const single = i - groups.double.length;
      {
        using w = await lender.lend(group);
        using scratch = ops.scope();
        if (single < 0) {
          doubleBlock(w, config, stream, this.#double(i, step), i === 0 ? modulated : undefined);
        } else {
          const isLast = single === groups.single.length - 1;
          singleBlock(w, config, stream, this.#single(single, step), isLast && tap === undefined);
        }
      }
      const name = single < 0 ? `double.${i}` : `single.${single}`;
      tapStreams(tap, [`${name}.hidden_states`, `${name}.encoder_hidden_states`], stream);
      const state = stream.z;
      await breathe({ network: "transformer", part: group.id, done: i + 1, total, state });
    }
  }

  /** The first double block's modulated image input: what TeaCache compares. */
  #modulated({ z, imageRows }: JoinedStream, step: number): Tensor {
    using scratch = ops.scope();
    const [shift, scale] = this.#double(0, step).image;
    if (shift === undefined || scale === undefined) throw new Error("no first double block");
    return ops.adaln(z.rows(0, imageRows), shift, scale, { eps }).keep();
  }

  #double(i: number, step: number): DoubleModulation {
    const matrices = this.#job.double[i];
    if (matrices === undefined) throw new Error(`no double block ${i}`);
    return {
      image: this.#modulation(matrices.image, step, 6),
      text: this.#modulation(matrices.text, step, 6),
    };
  }

  #single(i: number, step: number): Modulation {
    const matrix = this.#job.single[i];
    if (matrix === undefined) throw new Error(`no single block ${i}`);
    return this.#modulation(matrix, step, 3);
  }

  /** Row `step` of a matrix [steps, parts·D] as `parts` vectors. */
  #modulation(matrix: Tensor, step: number, parts: number): Modulation {
    const { dim } = this.#job.model.config;
    const start = step * parts * dim;
    return Array.from({ length: parts }, (_, part) => matrix.view(start + part * dim, [dim], [1]));
  }

  #ropeRows(): Tensor {
    const { ropeAxes: axes, ropeTheta: theta, headDim } = this.#job.model.config;
    const { size, clean1x, clean2x, clean4x } = this.#input;
    const grid = { axes, theta, rows: this.#patchRows, columns: this.#patchColumns };
    const noise = this.#input.indices ?? Array.from({ length: size[0] }, (_, i) => i);
    const tables = [
      clean4x === undefined ? [] : ropeTable(grid, clean4x.indices, 4),
      clean2x === undefined ? [] : ropeTable(grid, clean2x.indices, 2),
      clean1x === undefined ? [] : ropeTable(grid, clean1x.indices, 1),
      ropeTable(grid, noise, 1),
    ];
    const all = new Float32Array(tables.reduce((sum, table) => sum + table.length, 0));
    let at = 0;
    for (const table of tables) {
      all.set(table, at);
      at += table.length;
    }
    const rows = all.length / (2 * headDim);
    const tokens = this.#history.reduce((sum, part) => sum + (part.dims[0] ?? 0), this.#noiseRows);
    if (rows !== tokens) throw inputFailure(`gives ${tokens} tokens but ${rows} positions`);
    return Tensor.from(all, [rows, 2 * headDim]);
  }

  [Symbol.dispose](): void {
    for (const part of this.#history) part[Symbol.dispose]();
    this.#rope[Symbol.dispose]();
  }
}

class JoinedStream implements Stream, Disposable {
  readonly z: Tensor;
  readonly imageRows: number;
  readonly noiseRows: number;
  readonly rope: Tensor;
  /** The noise rows, a view. */
  readonly noise: Tensor;

  constructor(z: Tensor, imageRows: number, noiseRows: number, rope: Tensor) {
    this.z = z;
    this.imageRows = imageRows;
    this.noiseRows = noiseRows;
    this.rope = rope;
    this.noise = z.rows(imageRows - noiseRows, imageRows);
  }

  [Symbol.dispose](): void {
    this.noise[Symbol.dispose]();
    this.z[Symbol.dispose]();
  }
}

/** Shows the image rows and the text rows under two names. */
const tapStreams = (
  tap: Tap | undefined,
  [image, text]: readonly [string, string],
  { z, imageRows }: Stream,
): void => {
  if (tap === undefined) return;
  using _scratch = ops.scope();
  tap(image, z.rows(0, imageRows));
  tap(text, z.rows(imageRows, z.dims[0] ?? 0));
};

const headNorm = (x: Tensor, [scale, shift]: Modulation): Tensor => {
  if (scale === undefined || shift === undefined)
    throw new Error("head modulation is scale, shift");
  return ops.adaln(x, shift, scale, { eps });
};

/** Latents without the last row or column that fills no whole patch. */
const cropped = (latents: Tensor, rows: number, columns: number): Tensor => {
  const [, , h = 0, w = 0] = latents.dims;
  if (h === rows && w === columns) return latents;
  return latents.slice(2, 0, rows).slice(3, 0, columns).contiguous();
};

const checkInput = (input: SectionInput, hasCleanEmbedder: boolean): void => {
  const [frames, rows, columns] = input.size;
  if (input.indices !== undefined && input.indices.length !== frames) {
    throw inputFailure(`has ${frames} frames but ${input.indices.length} positions`);
  }
  for (const clean of [input.clean1x, input.clean2x, input.clean4x]) {
    if (clean === undefined) continue;
    if (!hasCleanEmbedder) throw inputFailure("has clean latents, which this model cannot take");
    const [, t, h, w] = clean.latents.dims;
    if (t !== clean.indices.length || h !== rows || w !== columns) {
      throw inputFailure("has clean latents whose size or positions do not fit");
    }
  }
};

const inputFailure = (what: string): Failure =>
  new Failure("input.section", `The section ${what}.`);
