// The section loop: each section is sampled beside its history, decoded, and joined to the film.
// What samples, decodes and draws noise is given, so that a job and a reference case run the same
// loop.

import { Tensor } from "../../ffi/tensor.ts";
import { GrowingFilm, type Growth } from "./film.ts";
import { type Context, History, type LatentSize, type Latents } from "./history.ts";
import {
  type Order,
  overlapOf,
  type Positions,
  positions,
  type SectionSpan,
  sectionSpans,
} from "./order.ts";

export type SectionTask = Readonly<{
  span: SectionSpan;
  positions: Positions;
  context: Context;
  /** [C, window, h, w] float32. */
  noise: Tensor;
}>;

export type SectionWork = Readonly<{
  order: Order;
  window: number;
  sections: number;
  size: LatentSize;
  /** [C, 1, h, w]. */
  start: Float32Array;
  /** The section's noise; asked once a section, in order. */
  noise: (section: number) => Float32Array;
  /** The section's latents, [C, window, h, w] float32. */
  sample: (task: SectionTask) => Promise<Tensor>;
  /** Pixels [T, H, W, 3] of latents [C, n, h, w]. */
  decode: (latents: Tensor, span: SectionSpan) => Promise<Tensor>;
  /** Keep every latent; otherwise only those that later sections need. */
  keepAll?: boolean;
  resume?: SectionState;
}>;

/** Everything the loop needs to go on after a section. */
export type SectionState = Readonly<{
  /** Sections done. */
  done: number;
  history: Latents & Readonly<{ made: number }>;
  edge: Readonly<{ dims: readonly number[]; data: Float32Array }> | null;
}>;

export type MadeSection = Readonly<{
  span: SectionSpan;
  positions: Positions;
  /** [C, window, h, w], borrowed until the next section is asked for; so is the clip. */
  sampled: Tensor;
  clip: Tensor;
  growth: Growth;
  history: History;
  state: () => SectionState;
}>;

export async function* makeSections(work: SectionWork): AsyncGenerator<MadeSection, void, void> {
  const { order, window, sections, size, start, resume } = work;
  const keep = work.keepAll ? Number.POSITIVE_INFINITY : 2 * window + 1;
  const history = new History(order, size, start, keep);
  using film = new GrowingFilm(order, overlapOf(window));
  if (resume !== undefined) {
    history.restore(resume.history);
    film.restore(
      resume.edge === null ? undefined : Tensor.from(resume.edge.data, resume.edge.dims),
    );
  }
  for (const span of sectionSpans(order, sections, window).slice(resume?.done ?? 0)) {
    const places = positions(order, window, span.padding);
    using noise = tensorOf({ data: work.noise(span.index), frames: window }, size);
    const task = { span, positions: places, context: history.context(), noise };
    using sampled = await work.sample(task);
    history.add({ data: sampled.f32(), frames: window }, span.last);
    using latents = tensorOf(history.newest(span.decoded.to - span.decoded.from), size);
    using clip = await work.decode(latents, span);
    const growth = film.grow(clip, span.last);
    const state = (): SectionState => ({
      done: span.index + 1,
      history: history.held(),
      edge: film.state(),
    });
    yield { span, positions: places, sampled, clip, growth, history, state };
  }
}

/** Host latents as a device tensor [C, n, h, w]. */
export const tensorOf = ({ data, frames }: Latents, size: LatentSize): Tensor =>
  Tensor.from(data, [size.channels, frames, size.height, size.width]);
