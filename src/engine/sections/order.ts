// How many sections a length takes, in which order they are made, and where each one sits in video
// time. Pure numbers: no tensor, no model.

import { roundHalfEven } from "../sampling/schedule.ts";

export type Order = "inverted" | "f1";

/** Frames per second that lengths are counted in, whatever rate the file is written with. */
export const framesPerSecond = 30;

/** Latents of history that a section sees: one, two and sixteen, ever further from it. */
export const historyShape = { near: 1, middle: 2, far: 16, total: 19 } as const;

export const sectionCount = (seconds: number, window: number): number =>
  Math.max(1, roundHalfEven((seconds * framesPerSecond) / (4 * window)));

/** Pixel frames that n latents decode to. */
export const framesOf = (latents: number): number => 4 * latents - 3;

/** Frames of the finished video, the same in both orders. */
export const frameCount = (sections: number, window: number): number => 4 * window * sections + 1;

/** Frames that two neighbouring sections share and that are blended. */
export const overlapOf = (window: number): number => 4 * window - 3;

/**
 * Skipped windows between the start picture and each section of the inverted order. A plain
 * countdown up to four sections; beyond that the distance is capped, as the published model
 * expects.
 */
export const paddings = (sections: number): readonly number[] =>
  sections <= 4
    ? Array.from({ length: sections }, (_, i) => sections - 1 - i)
    : [3, ...Array<number>(sections - 3).fill(2), 1, 0];

/** Temporal positions (for the rotary embedding) of everything a section sees. */
export type Positions = Readonly<{
  window: readonly number[];
  /** Start latent, then the nearest latent of history. */
  clean: readonly number[];
  clean2x: readonly number[];
  clean4x: readonly number[];
}>;

/** Positions of a section; `padding` counts for the inverted order only. */
export const positions = (order: Order, window: number, padding: number): Positions => {
  const { near, middle, far } = historyShape;
  if (order === "f1") {
    return {
      clean4x: run(1, far),
      clean2x: run(1 + far, middle),
      clean: [0, 1 + far + middle],
      window: run(1 + far + middle + near, window),
    };
  }
  const first = 1 + padding * window;
  const after = first + window;
  return {
    window: run(first, window),
    clean: [0, after],
    clean2x: run(after + near, middle),
    clean4x: run(after + near + middle, far),
  };
};

export type SectionSpan = Readonly<{
  index: number;
  last: boolean;
  padding: number;
  /**
   * Latents [from, to) of the finished video, counted with the start latent, that are made here.
   */
  latents: Readonly<{ from: number; to: number }>;
  /** Latents [from, to) that are decoded when the section is done, a neighbour's among them. */
  decoded: Readonly<{ from: number; to: number }>;
  /** Video frames [from, to) that are final once the section is done. */
  final: Readonly<{ from: number; to: number }>;
  /** Video frames [from, to) that the next section will still change; empty for the last one. */
  open: Readonly<{ from: number; to: number }>;
}>;

/** All sections in the order they are made. */
export const sectionSpans = (order: Order, sections: number, window: number): SectionSpan[] => {
  const overlap = overlapOf(window);
  const padding = order === "inverted" ? paddings(sections) : [];
  return Array.from({ length: sections }, (_, index) => {
    const last = index === sections - 1;
    const place = order === "f1" ? index : sections - 1 - index;
    const latents = { from: 1 + place * window, to: 1 + (place + 1) * window };
    const base = { index, last, padding: padding[index] ?? 0, latents };
    if (order === "f1") {
      const end = framesOf(latents.to);
      const open = last ? end : end - overlap;
      const begin = index === 0 ? 0 : framesOf(latents.from) - overlap;
      const decoded = { from: index === 0 ? 0 : latents.from - window, to: latents.to };
      return { ...base, decoded, final: { from: begin, to: open }, open: { from: open, to: end } };
    }
    // A clip begins with the last of its first latent's four frames; with the start latent, at
    // frame 0.
    const begin = last ? 0 : 4 * latents.from;
    const open = last ? 0 : begin + overlap;
    const end = index === 0 ? framesOf(latents.to) : 4 * latents.to + overlap;
    const decoded = {
      from: last ? 0 : latents.from,
      to: index === 0 ? latents.to : latents.to + window,
    };
    return { ...base, decoded, final: { from: open, to: end }, open: { from: begin, to: open } };
  });
};

const run = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);
