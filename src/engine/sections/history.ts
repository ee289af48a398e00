// The latents made so far, as far as later sections need them, and what each section sees of them.
// Latents are kept frame by frame on the host; older ones are dropped, so memory does not grow.

import { historyShape, type Order } from "./order.ts";

/** Channel-major latents of n frames: [C, n, h, w], float32. */
export type Latents = Readonly<{ data: Float32Array; frames: number }>;

export type LatentSize = Readonly<{ channels: number; height: number; width: number }>;

/** Clean latents for a section: start and nearest, the next two, the next sixteen. */
export type Context = Readonly<{ clean: Latents; clean2x: Latents; clean4x: Latents }>;

export class History {
  readonly order: Order;
  readonly size: LatentSize;
  readonly start: Float32Array;
  private readonly keep: number;
  /**
   * In time order. In the inverted order the first is the earliest made, in f1 the last the newest.
   */
  private frames: Float32Array[];
  private made: number;

  /**
   * `keep`: latents that must stay; at least the context's, and two windows and one for decoding.
   */
  constructor(
    order: Order,
    size: LatentSize,
    start: Float32Array,
    keep: number = Number.POSITIVE_INFINITY,
  ) {
    const frame = size.channels * size.height * size.width;
    if (start.length !== frame) throw new RangeError("the start latent has the wrong size");
    this.order = order;
    this.size = size;
    this.start = start;
    this.keep = Math.max(keep, historyShape.total);
    const nothing = new Float32Array(frame);
    this.frames = Array<Float32Array>(historyShape.total).fill(nothing);
    this.made = 0;
    if (order === "f1") this.add(join([start], size), true);
  }

  /** Latents made, the start latent included once it is part of the video. */
  get total(): number {
    return this.made;
  }

  /** What the next section sees. Latents that do not exist yet are zeros, and are seen as such. */
  context(): Context {
    const { near, middle, far, total } = historyShape;
    const { frames, size } = this;
    if (this.order === "inverted") {
      const ahead = frames.slice(0, total);
      return {
        clean: join([this.start, ...ahead.slice(0, near)], size),
        clean2x: join(ahead.slice(near, near + middle), size),
        clean4x: join(ahead.slice(near + middle), size),
      };
    }
    const behind = frames.slice(-total);
    return {
      clean: join([this.start, ...behind.slice(-near)], size),
      clean2x: join(behind.slice(far, far + middle), size),
      clean4x: join(behind.slice(0, far), size),
    };
  }

  /**
   * Adds a section's latents; the inverted order's last section brings the start latent with it.
   */
  add(latents: Latents, last: boolean): void {
    const made = split(latents, this.size);
    if (this.order === "inverted") {
      if (last) made.unshift(this.start);
      this.frames = [...made, ...this.frames].slice(0, this.keep);
    } else {
      this.frames = [...this.frames, ...made].slice(-this.keep);
    }
    this.made += made.length;
  }

  /** The newest n latents in time order, as they go to the decoder. */
  newest(n: number): Latents {
    const part = this.order === "inverted" ? this.frames.slice(0, n) : this.frames.slice(-n);
    if (part.length !== n)
      throw new RangeError(`the history holds ${part.length} latents, not ${n}`);
    return join(part, this.size);
  }

  /** Everything held, zeros included: what a checkpoint stores. */
  held(): Latents & Readonly<{ made: number }> {
    return { ...join(this.frames, this.size), made: this.made };
  }

  /** Takes back what `held` gave. */
  restore(held: Latents & Readonly<{ made: number }>): void {
    this.frames = split(held, this.size);
    this.made = held.made;
  }
}

/** Frames, each [C, h, w], to one [C, n, h, w]. */
const join = (frames: readonly Float32Array[], size: LatentSize): Latents => {
  const plane = size.height * size.width;
  const n = frames.length;
  const data = new Float32Array(size.channels * n * plane);
  for (const [t, frame] of frames.entries()) {
    for (let c = 0; c < size.channels; c++) {
      data.set(frame.subarray(c * plane, (c + 1) * plane), (c * n + t) * plane);
    }
  }
  return { data, frames: n };
};

const split = ({ data, frames }: Latents, size: LatentSize): Float32Array[] => {
  const plane = size.height * size.width;
  if (data.length !== frames * size.channels * plane) {
    throw new RangeError(`${data.length} values are not ${frames} latents`);
  }
  return Array.from({ length: frames }, (_, t) => {
    const frame = new Float32Array(size.channels * plane);
    for (let c = 0; c < size.channels; c++) {
      const at = (c * frames + t) * plane;
      frame.set(data.subarray(at, at + plane), c * plane);
    }
    return frame;
  });
};
