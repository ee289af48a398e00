// How clips are cut into tiles in time and in space, and how neighbours are blended. Cutting in
// time is part of the model's output; cutting in space is a way to need less memory.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";

/** Sizes in pixels and pixel frames; a tile in time also takes one frame more, which is dropped. */
export interface Tiling {
  readonly frames: number;
  readonly frameStride: number;
  readonly rows: number;
  readonly rowStride: number;
  readonly columns: number;
  readonly columnStride: number;
}

export const defaultTiling: Tiling = {
  frames: 16,
  frameStride: 12,
  rows: 256,
  rowStride: 192,
  columns: 256,
  columnStride: 192,
};

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A plan in time: input tiles, and what is kept of each output once it is blended. */
export interface TimePlan {
  readonly tiles: readonly Span[];
  /** Output frames blended with the tile before. */
  readonly blend: number;
  /** Output frames a tile gives; the first tile gives one more. */
  readonly keep: number;
  readonly total: number;
}

const tilesOf = (length: number, size: number, stride: number): readonly Span[] => {
  if (length <= size) return [{ from: 0, to: length }];
  const tiles: Span[] = [];
  for (let from = 0; from < length; from += stride) {
    const to = Math.min(length, from + size + 1);
    if (from === 0 || to - from > 1) tiles.push({ from, to }); // one frame alone adds nothing
  }
  return tiles;
};

/** Latent frames → pixel frames. */
export const decodeTimePlan = (latents: number, ratio: number, tiling: Tiling): TimePlan => ({
  tiles: tilesOf(latents, over(tiling.frames, ratio), over(tiling.frameStride, ratio)),
  blend: tiling.frames - tiling.frameStride,
  keep: latents > over(tiling.frames, ratio) ? tiling.frameStride : (latents - 1) * ratio,
  total: (latents - 1) * ratio + 1,
});

/** Pixel frames → latent frames. */
export const encodeTimePlan = (frames: number, ratio: number, tiling: Tiling): TimePlan => ({
  tiles: tilesOf(frames, tiling.frames, tiling.frameStride),
  blend: over(tiling.frames - tiling.frameStride, ratio),
  keep: frames > tiling.frames ? over(tiling.frameStride, ratio) : over(frames - 1, ratio),
  total: over(frames - 1, ratio) + 1,
});

/** A grid in space, in input units, with output sizes to blend and keep. */
export interface SpacePlan {
  readonly rows: readonly Span[];
  readonly columns: readonly Span[];
  readonly blendRows: number;
  readonly blendColumns: number;
  readonly keepRows: number;
  readonly keepColumns: number;
}

/** Undefined where one tile does. `into` and `out` turn pixels into units of input and output. */
export const spacePlan = (
  rows: number,
  columns: number,
  tiling: Tiling,
  units: Readonly<{ into: number; out: number }>,
): SpacePlan | undefined => {
  const { into, out } = units;
  const height = over(tiling.rows, into);
  const width = over(tiling.columns, into);
  if (rows <= height && columns <= width) return undefined;
  return {
    rows: grid(rows, height, over(tiling.rowStride, into)),
    columns: grid(columns, width, over(tiling.columnStride, into)),
    blendRows: over(tiling.rows, out) - over(tiling.rowStride, out),
    blendColumns: over(tiling.columns, out) - over(tiling.columnStride, out),
    keepRows: over(tiling.rowStride, out),
    keepColumns: over(tiling.columnStride, out),
  };
};

const grid = (length: number, size: number, stride: number): readonly Span[] => {
  const spans: Span[] = [];
  for (let from = 0; from < length; from += stride) {
    spans.push({ from, to: Math.min(length, from + size) });
  }
  return spans;
};

/**
 * Blends the end of `before` into the start of `tile` along `axis`, in place:
 * tile[k] ← before[len − b + k]·(1 − k/b) + tile[k]·(k/b), with b the most that both have.
 */
export const blendInto = (before: Tensor, tile: Tensor, axis: number, extent: number): void => {
  using scratch = ops.scope();
  const from = before.dims[axis] ?? 0;
  const b = Math.min(extent, from, tile.dims[axis] ?? 0);
  if (b <= 0) return;
  const ramp = Tensor.from(
    Float32Array.from({ length: b }, (_, k) => k / b),
    [b],
  );
  const head = tile.slice(axis, 0, b);
  ops.blend(before.slice(axis, from - b, from), head, ramp, axis, { out: head });
};

const over = (size: number, ratio: number): number => Math.floor(size / ratio);
