// How a film grows out of decoded clips. Two neighbouring clips show the same few frames; those are
// blended, and only they are kept as pixels between sections. Everything else becomes final 8-bit
// frames at once.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Order } from "./order.ts";

/** Frames in time order, RGB bytes. */
export type Frames = Readonly<{ rgb: Uint8Array; count: number }>;

/**
 * `joined` frames never change again; `open` ones lie at the growing end and are blended by the
 * next section.
 */
export type Growth = Readonly<{ joined: Frames; open: Frames }>;

export class GrowingFilm implements Disposable {
  private readonly order: Order;
  private readonly overlap: number;
  /** Pixels that the next clip will be blended with: [overlap, H, W, 3]. */
  private edge: Tensor | undefined;

  constructor(order: Order, overlap: number) {
    this.order = order;
    this.overlap = overlap;
  }

  /** Takes a decoded clip [T, H, W, 3] (borrowed) and says which frames it made. */
  grow(clip: Tensor, last: boolean): Growth {
    using _scratch = ops.scope();
    const n = this.overlap;
    const [length = 0] = clip.dims;
    if (length < n) throw new RangeError(`a clip of ${length} frames has no overlap of ${n}`);
    const whole = this.joinedWithEdge(clip);
    const cut = last ? 0 : n;
    const inverted = this.order === "inverted";
    const joined = inverted ? whole.slice(0, cut, length) : whole.slice(0, 0, length - cut);
    const open = inverted ? whole.slice(0, 0, cut) : whole.slice(0, length - cut, length);
    const growth = { joined: toFrames(joined), open: toFrames(open) };
    this.edge?.[Symbol.dispose]();
    this.edge = last ? undefined : open.contiguous().keep();
    return growth;
  }

  /** The pixels of the growing end, for a checkpoint. */
  state(): Readonly<{ dims: readonly number[]; data: Float32Array }> | null {
    return this.edge === undefined ? null : { dims: this.edge.dims, data: this.edge.f32() };
  }

  restore(edge: Tensor | undefined): void {
    this.edge?.[Symbol.dispose]();
    this.edge = edge;
  }

  [Symbol.dispose](): void {
    this.restore(undefined);
  }

  /** The clip with its old end cross-faded into what was there; as long as the clip. */
  private joinedWithEdge(clip: Tensor): Tensor {
    if (this.edge === undefined) return clip;
    return this.order === "inverted"
      ? softAppend(clip, this.edge, this.overlap)
      : softAppend(this.edge, clip, this.overlap);
  }
}

/**
 * Joins two clips in time order. The last frames of the first fade into the first frames of the
 * second.
 */
export const softAppend = (earlier: Tensor, later: Tensor, overlap: number): Tensor => {
  const [a = 0, ...frame] = earlier.dims;
  const [b = 0] = later.dims;
  const n = Math.max(0, overlap);
  if (a < n || b < n) throw new RangeError(`clips of ${a} and ${b} frames cannot share ${n}`);
  const out = Tensor.empty([a + b - n, ...frame], earlier.dtype);
  using _scratch = ops.scope();
  ops.copy(out.slice(0, 0, a - n), earlier.slice(0, 0, a - n));
  if (n > 0) {
    const weights = Float32Array.from({ length: n }, (_, k) => (n === 1 ? 0 : k / (n - 1)));
    const shared = out.slice(0, a - n, a);
    const w = Tensor.from(weights, [n]);
    ops.blend(earlier.slice(0, a - n, a), later.slice(0, 0, n), w, 0, { out: shared });
  }
  ops.copy(out.slice(0, a, a + b - n), later.slice(0, n, b));
  return out;
};

const toFrames = (pixels: Tensor): Frames => {
  const [count = 0] = pixels.dims;
  if (count === 0) return { rgb: new Uint8Array(0), count };
  return { rgb: ops.toU8(pixels).u8(), count };
};
