// Holders for tensors that live across awaits, where a scope may not be open.

import type { Tensor } from "../../ffi/tensor.ts";

/** One tensor that is replaced as a computation goes on; frees what it held. */
export class Slot implements Disposable {
  #tensor: Tensor;

  constructor(tensor: Tensor) {
    this.#tensor = tensor;
  }

  get value(): Tensor {
    return this.#tensor;
  }

  put(next: Tensor): void {
    if (next === this.#tensor) return;
    this.#tensor[Symbol.dispose]();
    this.#tensor = next;
  }

  [Symbol.dispose](): void {
    this.#tensor[Symbol.dispose]();
  }
}

/** Tensors that are freed together. */
export class Bag implements Disposable {
  readonly #tensors: Tensor[] = [];

  add(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }

  get all(): readonly Tensor[] {
    return this.#tensors;
  }

  at(index: number): Tensor | undefined {
    return this.#tensors[index];
  }

  clear(): void {
    for (const tensor of this.#tensors) tensor[Symbol.dispose]();
    this.#tensors.length = 0;
  }

  /** Frees what is here and takes over what the other one holds. */
  takeFrom(other: Bag): void {
    this.clear();
    this.#tensors.push(...other.#tensors);
    other.#tensors.length = 0;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
