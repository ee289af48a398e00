// How a forward reaches its weights: in groups, one a block, borrowed and given back.
// A resident lender holds everything; a streaming one may upload a group when it is lent and
// drop it when it is returned. Forwards know only this interface.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Dtype, FloatDtype } from "../../ffi/types.ts";

/** Where tensors come from: one open model folder. What it hands out belongs to the caller. */
export interface Weights {
  get(name: string, shape?: readonly number[]): Tensor;
  /** Fails, naming file and tensors, unless every tensor is there in its shape. */
  require(needs: Iterable<Readonly<{ name: string; dims: readonly number[] }>>): void;
}

export type Shapes = Readonly<Record<string, readonly number[]>>;

/** What one block needs and nothing more. Names in `shapes` follow `prefix` in the file. */
export interface WeightGroup {
  readonly id: string;
  readonly prefix: string;
  readonly shapes: Shapes;
  /** Names whose stored dtype is kept whatever the run's dtype is. */
  readonly asStored?: readonly string[];
}

/** A group on loan. Using it after disposal is a programmer's mistake. */
export interface LentWeights extends Disposable {
  /** `name` as in the group's `shapes`, without its prefix. */
  get(name: string): Tensor;
}

export interface Lender extends Disposable {
  lend(group: WeightGroup): Promise<LentWeights>;
}

export interface ResidentOptions {
  readonly dtype: FloatDtype;
  /** Copy every tensor to the device, for backends that cannot compute on the mapped file. */
  readonly upload: boolean;
  /** Other layouts than the stored one, by name: used for convolutions, packed once. */
  readonly prepare?: (name: string, stored: Tensor, dtype: FloatDtype) => Tensor | undefined;
}

/**
 * Lends from memory. Each tensor is looked up once; a half-precision run casts what is stored
 * otherwise, a float32 run computes on the stored values, whose widening is exact.
 */
export class ResidentLender implements Lender {
  readonly #source: Weights;
  readonly #options: ResidentOptions;
  readonly #groups = new Map<string, Loan>();
  readonly #owned: Tensor[] = [];

  constructor(source: Weights, options: ResidentOptions) {
    this.#source = source;
    this.#options = options;
  }

  lend(group: WeightGroup): Promise<LentWeights> {
    const key = group.prefix + group.id;
    const known = this.#groups.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const tensors = new Map<string, Tensor>();
    for (const [name, shape] of Object.entries(group.shapes)) {
      const stored = this.#source.get(group.prefix + name, shape);
      const keep = group.asStored?.includes(name) ?? false;
      tensors.set(name, this.#place(name, stored, keep));
    }
    const loan = new Loan(group.id, tensors);
    this.#groups.set(key, loan);
    return Promise.resolve(loan);
  }

  #place(name: string, stored: Tensor, keep: boolean): Tensor {
    const { dtype, upload, prepare } = this.#options;
    const wanted: Dtype = keep || dtype === "f32" ? stored.dtype : dtype;
    const isReady = wanted === stored.dtype && !upload;
    const placed = isReady ? stored : Tensor.empty(stored.dims, wanted);
    if (!isReady) {
      ops.copy(placed, stored);
      stored[Symbol.dispose]();
    }
    const prepared = keep ? undefined : prepare?.(name, placed, dtype);
    if (prepared === undefined) return this.#own(placed);
    placed[Symbol.dispose]();
    return this.#own(prepared);
  }

  #own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.#owned.length = 0;
    this.#groups.clear();
  }
}

export class Loan implements LentWeights {
  readonly #id: string;
  readonly #tensors: ReadonlyMap<string, Tensor>;

  constructor(id: string, tensors: ReadonlyMap<string, Tensor>) {
    this.#id = id;
    this.#tensors = tensors;
  }

  get(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`${this.#id} lends no ${name}`);
    return tensor;
  }

  [Symbol.dispose](): void {
    // Residents stay where they are.
  }
}

/** Checks every tensor of a network at once, so that a wrong folder fails before computing. */
export const checkGroups = (weights: Weights, groups: readonly WeightGroup[]): void =>
  weights.require(
    groups.flatMap(({ prefix, shapes }) =>
      Object.entries(shapes).map(([name, dims]) => ({ name: prefix + name, dims })),
    ),
  );

/** Shapes of a Linear with bias called `name`. */
export const linearShapes = (name: string, out: number, into: number): Shapes => ({
  [`${name}.weight`]: [out, into],
  [`${name}.bias`]: [out],
});

type LinearOptions = Omit<NonNullable<Parameters<typeof ops.matmul>[2]>, "bias">;

/** x·Wᵀ + b with the weights called `name`, and matmul's epilogue. */
export const linear = (
  w: LentWeights,
  name: string,
  x: Tensor,
  options: LinearOptions = {},
): Tensor => ops.matmul(x, w.get(`${name}.weight`), { ...options, bias: w.get(`${name}.bias`) });
