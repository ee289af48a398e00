// Lends blocks that do not all fit on the device: some stay, the rest come through two slots, one in
// use while the next one is filled. What is used once comes and goes. Same interface, same numbers
// as the lender that holds everything.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { allocated, type BlockBytes } from "../weights/residency.ts";
import {
  type Lender,
  type LentWeights,
  Loan,
  ResidentLender,
  type ResidentOptions,
  type WeightGroup,
  type Weights,
} from "./lender.ts";

export interface StreamPlan {
  /** Groups that are lent in this order; after the last comes the first if `isCycle`. */
  readonly stream: readonly WeightGroup[];
  readonly isCycle: boolean;
  /** How many of the first of them stay on the device. */
  readonly resident: number;
  /** Other groups that stay: small ones that every step needs. */
  readonly kept: readonly WeightGroup[];
}

/**
 * How blocks come to the device. A backend that can copy beside computing brings a block while the
 * one before it computes; one that cannot copies when it is told to.
 */
export interface Carrier {
  /** What is carried from now on may overwrite what only earlier work reads. */
  mark(): void;
  /** Begins to bring a tensor of a mapped file; it may return before the bytes are there. */
  carry(target: Tensor, stored: Tensor): void;
  /** Work that is queued from now on finds everything there that was carried. */
  arrive(): void;
}

/** In the order of all other work. */
export const inOrder: Carrier = {
  mark: () => undefined,
  carry: ops.copy,
  arrive: () => undefined,
};

export interface StreamOptions extends ResidentOptions {
  readonly carrier?: Carrier;
}

export class StreamingLender implements Lender {
  readonly #source: Weights;
  readonly #options: StreamOptions;
  readonly #resident: ResidentLender;
  readonly #staying: ReadonlySet<string>;
  /** The groups that come through the slots, in the order of use. */
  readonly #streamed: readonly WeightGroup[];
  readonly #isCycle: boolean;
  readonly #slots: readonly StreamSlot[];
  readonly #carrier: Carrier;

  constructor(source: Weights, options: StreamOptions, plan: StreamPlan) {
    this.#source = source;
    this.#options = { ...options, upload: true };
    this.#carrier = options.carrier ?? inOrder;
    this.#resident = new ResidentLender(source, this.#options);
    const staying = [...plan.stream.slice(0, plan.resident), ...plan.kept];
    this.#staying = new Set(staying.map(keyOf));
    this.#streamed = plan.stream.slice(plan.resident);
    this.#isCycle = plan.isCycle;
    const count = Math.min(2, this.#streamed.length);
    const layout = layoutOf(this.#streamed, options.dtype);
    this.#slots = Array.from({ length: count }, () => new StreamSlot(layout));
  }

  async lend(group: WeightGroup): Promise<LentWeights> {
    const key = keyOf(group);
    if (this.#staying.has(key)) return this.#resident.lend(group);
    const at = this.#streamed.findIndex((each) => keyOf(each) === key);
    return at < 0 ? this.#lendOnce(group) : this.#lendStreamed(group, at);
  }

  /** Gives the slots' memory back; the next loan takes it again. */
  rest(): void {
    for (const slot of this.#slots) slot.empty();
  }

  #lendStreamed(group: WeightGroup, at: number): LentWeights {
    const slot = this.#slots.find((each) => each.key === keyOf(group)) ?? this.#fill(group);
    slot.users += 1;
    this.#carrier.arrive();
    this.#carrier.mark();
    // The next block comes when this one's work is queued: beside it, not before it.
    return new StreamLoan(group.id, slot, () => this.#fetchAfter(at));
  }

  #fetchAfter(at: number): void {
    const after = this.#isCycle ? (at + 1) % this.#streamed.length : at + 1;
    const next = this.#streamed[after];
    if (next === undefined || this.#slots.some(({ key }) => key === keyOf(next))) return;
    this.#fill(next, this.#streamed[at]);
  }

  /** Into a slot that nobody uses; not over `latest`, whose work may still be running. */
  #fill(group: WeightGroup, latest?: WeightGroup): StreamSlot {
    const free = this.#slots.filter(({ users }) => users === 0);
    const slot = free.find(({ key }) => latest === undefined || key !== keyOf(latest)) ?? free[0];
    if (slot === undefined) throw new Error(`${group.id} was asked for while two blocks are lent`);
    slot.fill(group, this.#source, this.#carrier.carry);
    return slot;
  }

  /** For what is used once: on the device only while it is lent. */
  async #lendOnce(group: WeightGroup): Promise<LentWeights> {
    const lender = new ResidentLender(this.#source, this.#options);
    try {
      return new PassingLoan(await lender.lend(group), lender);
    } catch (error) {
      lender[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.rest();
    this.#resident[Symbol.dispose]();
  }
}

const keyOf = ({ prefix, id }: WeightGroup): string => prefix + id;

/** Elements of each dtype that the largest group needs. */
type Layout = Readonly<{ dtype: FloatDtype; elements: number }>;

/** Views of 256 bytes and more apart, as any device wants them. */
const align = 128;
const padded = (elements: number): number => Math.ceil(elements / align) * align;
const elementsOf = (dims: readonly number[]): number => dims.reduce((all, dim) => all * dim, 1);

const layoutOf = (groups: readonly WeightGroup[], dtype: FloatDtype): Layout => {
  const sizes = groups.map(({ shapes }) =>
    Object.values(shapes).reduce((sum, dims) => sum + padded(elementsOf(dims)), 0),
  );
  return { dtype, elements: Math.max(0, ...sizes) };
};

/** Room for one block, filled again and again. */
class StreamSlot {
  readonly #layout: Layout;
  #memory: Tensor | undefined;
  #tensors = new Map<string, Tensor>();
  /** Which group is in it. */
  key: string | undefined;
  users = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  fill(group: WeightGroup, source: Weights, carry: Carrier["carry"]): void {
    this.#forget();
    const { dtype, elements } = this.#layout;
    this.#memory ??= Tensor.empty([elements], dtype);
    let at = 0;
    for (const [name, dims] of Object.entries(group.shapes)) {
      using stored = source.get(group.prefix + name, dims);
      const target = this.#memory.view(at, dims, rowMajor(dims));
      this.#tensors.set(name, target);
      carry(target, stored);
      at += padded(elementsOf(dims));
    }
    this.key = keyOf(group);
  }

  get tensors(): ReadonlyMap<string, Tensor> {
    return this.#tensors;
  }

  empty(): void {
    this.#forget();
    this.#memory?.[Symbol.dispose]();
    this.#memory = undefined;
  }

  #forget(): void {
    for (const tensor of this.#tensors.values()) tensor[Symbol.dispose]();
    this.#tensors = new Map();
    this.key = undefined;
  }
}

const rowMajor = (dims: readonly number[]): readonly number[] =>
  dims.map((_, i) => elementsOf(dims.slice(i + 1)));

class StreamLoan extends Loan {
  readonly #slot: StreamSlot;
  readonly #returned: () => void;
  #isOpen = true;

  constructor(id: string, slot: StreamSlot, returned: () => void) {
    super(id, slot.tensors);
    this.#slot = slot;
    this.#returned = returned;
  }

  override [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#slot.users -= 1;
    if (this.#slot.users === 0) this.#returned();
  }
}

class PassingLoan implements LentWeights {
  readonly #loan: LentWeights;
  readonly #lender: Lender;

  constructor(loan: LentWeights, lender: Lender) {
    this.#loan = loan;
    this.#lender = lender;
  }

  get(name: string): Tensor {
    return this.#loan.get(name);
  }

  [Symbol.dispose](): void {
    this.#lender[Symbol.dispose]();
  }
}

/** What a group takes on the device, in a run's dtype: as residents, and in a slot. */
export const blockBytesOf = (group: WeightGroup, dtype: FloatDtype): BlockBytes => {
  const width = dtype === "f32" ? 4 : 2;
  const { elements } = layoutOf([group], dtype);
  const tensors = Object.values(group.shapes).map((dims) => allocated(elementsOf(dims) * width));
  return {
    bytes: tensors.reduce((sum, bytes) => sum + bytes, 0),
    slotBytes: allocated(elements * width),
  };
};
