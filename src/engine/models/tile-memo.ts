// Decoded tiles that a later decode may need again. A tile is known by the identity of the latent
// frames it was made of, which the caller vouches for; the pixels kept are those before blending.

import type { Tensor } from "../../ffi/tensor.ts";

export class TileMemo implements Disposable {
  readonly #bytesMax: number;
  readonly #tiles = new Map<string, Tensor>(); // least recently used first
  #bytes = 0;
  #hits = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Tiles served so far. */
  get hits(): number {
    return this.#hits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A copy of the tile, if it is still here. */
  find(key: string): Tensor | undefined {
    const tile = this.#tiles.get(key);
    if (tile === undefined) return undefined;
    this.#tiles.delete(key);
    this.#tiles.set(key, tile);
    this.#hits++;
    return copyOf(tile);
  }

  /** Keeps a copy; forgets the oldest tiles where there is no room. */
  remember(key: string, tile: Tensor): void {
    const bytes = bytesOf(tile);
    if (bytes > this.#bytesMax || this.#tiles.has(key)) return;
    for (const oldest of this.#tiles.keys()) {
      if (this.#bytes + bytes <= this.#bytesMax) break;
      this.#forget(oldest);
    }
    this.#tiles.set(key, copyOf(tile));
    this.#bytes += bytes;
  }

  #forget(key: string): void {
    const tile = this.#tiles.get(key);
    if (tile === undefined) return;
    this.#bytes -= bytesOf(tile);
    this.#tiles.delete(key);
    tile[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const key of [...this.#tiles.keys()]) this.#forget(key);
  }
}

const copyOf = (tile: Tensor): Tensor => tile.contiguous();

const bytesOf = (tile: Tensor): number => {
  const count = tile.dims.reduce((all, dim) => all * dim, 1);
  return count * (tile.dtype === "f32" ? 4 : 2);
};
