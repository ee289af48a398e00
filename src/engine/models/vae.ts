// The video autoencoder: pixels to latents and back. Decoding gives frames tile by tile, so that
// memory does not grow with the length of a clip.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { VaeConfig } from "../config/vae.ts";
import { type Breathe, holdBreath, type Tap } from "./breathe.ts";
import { checkGroups, type Lender, type Weights } from "./lender.ts";
import { Bag, Slot } from "./ownership.ts";
import type { TileMemo } from "./tile-memo.ts";
import { type CoderContext, decodeTile, encodeTile, resnetCount } from "./vae-blocks.ts";
import {
  type CoderPlan,
  checkVaeConfig,
  coderGroup,
  decoderPlan,
  encoderPlan,
} from "./vae-shape.ts";
import {
  blendInto,
  decodeTimePlan,
  defaultTiling,
  encodeTimePlan,
  type Span,
  spacePlan,
  type Tiling,
  type TimePlan,
} from "./vae-tiling.ts";

export interface VaeOptions {
  readonly tiling?: Tiling | undefined;
  /** Cut large pictures into tiles in space too: less memory, slightly another result. */
  readonly spatialTiles?: boolean | undefined;
  readonly breathe?: Breathe | undefined;
  readonly tap?: Tap | undefined;
}

export interface DecodeOptions extends VaeOptions {
  /** Identity of each latent frame's content, for `memo`. Equal names promise equal bits. */
  readonly frameIds?: readonly string[] | undefined;
  readonly memo?: TileMemo | undefined;
}

/** The posterior's mean and clamped log-variance, f32 [C, T, h, w]. */
export interface Posterior extends Disposable {
  readonly mean: Tensor;
  readonly logvar: Tensor;
}

type RunTile = (tile: Tensor, span: Span) => Promise<Tensor>;

export class Vae {
  readonly config: VaeConfig;
  readonly dtype: FloatDtype;
  readonly #lender: Lender;
  readonly #encoder: CoderPlan;
  readonly #decoder: CoderPlan;

  /** The lender has to prepare convolutions with `packConv`. */
  constructor(config: VaeConfig, lender: Lender, dtype: FloatDtype) {
    checkVaeConfig(config);
    this.config = config;
    this.dtype = dtype;
    this.#lender = lender;
    this.#encoder = encoderPlan(config);
    this.#decoder = decoderPlan(config);
  }

  /** Fails on the first missing or misshapen tensor. */
  static check(config: VaeConfig, weights: Weights): void {
    const plans = [encoderPlan(config), decoderPlan(config)];
    checkGroups(
      weights,
      plans.map((plan) => coderGroup(plan, config.latentChannels)),
    );
  }

  /** Encodes pixels [F, H, W, 3] in −1..1, F = 4k+1. */
  async encode(pixels: Tensor, options: VaeOptions = {}): Promise<Posterior> {
    const { tiling = defaultTiling, spatialTiles = false } = options;
    const { latentChannels: channels, temporal: inTime, spatial: ratio } = this.config;
    const [frames = 0, rows = 0, columns = 0] = pixels.dims;
    const plan = encodeTimePlan(frames, inTime, tiling);
    const space = spatialTiles
      ? spacePlan(rows, columns, tiling, { into: 1, out: ratio })
      : undefined;
    using w = await this.#lender.lend(coderGroup(this.#encoder, channels));
    const cells = plan.tiles.length * cellsOf(space);
    const ctx = this.#context(w, this.#encoder, options, cells);
    using input = pixels.to(this.dtype);
    const one = (tile: Tensor): Promise<Tensor> => encodeTile(ctx, tile);
    const run: RunTile = (tile) => inSpace(tile, space, one, 1 / ratio);
    using moments = new Bag();
    for await (const part of inTimeTiles(input, plan, run)) moments.add(part);
    return new Moments(moments.all, channels);
  }

  /**
   * Decodes scaled latents [C, T, h, w] (f32) and yields finished frames [f, 8h, 8w, 3] in order,
   * in the run's dtype, nominally −1..1. What is yielded belongs to the caller.
   */
  async *decode(latents: Tensor, options: DecodeOptions = {}): AsyncGenerator<Tensor, void> {
    const { tiling = defaultTiling, spatialTiles = false } = options;
    const { latentChannels: channels, temporal: inTime, spatial: ratio } = this.config;
    const [, frames = 0, rows = 0, columns = 0] = latents.dims;
    const plan = decodeTimePlan(frames, inTime, tiling);
    const space = spatialTiles
      ? spacePlan(rows, columns, tiling, { into: ratio, out: 1 })
      : undefined;
    using w = await this.#lender.lend(coderGroup(this.#decoder, channels));
    const cells = cellsOf(space);
    const ctx = this.#context(w, this.#decoder, options, plan.tiles.length * cells);
    const onHit = (): void => {
      ctx.meter.done += cells * resnetCount(this.#decoder);
    };
    using input = this.#unscaled(latents);
    const one = (tile: Tensor): Promise<Tensor> => decodeTile(ctx, tile);
    const run: RunTile = (tile, span) =>
      remembered({ ...options, onHit }, span, space !== undefined, () =>
        inSpace(tile, space, one, ratio),
      );
    yield* inTimeTiles(input, plan, run);
  }

  /** `cells`: tiles in time and space that will be run. */
  #context(
    w: CoderContext["w"],
    plan: CoderPlan,
    options: VaeOptions,
    cells: number,
  ): CoderContext {
    const { breathe = holdBreath, tap } = options;
    const meter = { done: 0, total: cells * resnetCount(plan) };
    return { w, plan, groups: this.config.groups, breathe, tap, meter };
  }

  /** Latents as the decoder takes them: divided by the scaling factor, [T, h, w, C], run dtype. */
  #unscaled(latents: Tensor): Tensor {
    using scratch = ops.scope();
    const [c = 0, t = 0, h = 0, w = 0] = latents.dims;
    const plain = ops.lincomb([[1 / this.config.scalingFactor, latents]]);
    const out = Tensor.empty([t, h, w, c], this.dtype);
    ops.copy(out, plain.permute([1, 2, 3, 0]));
    return out.keep();
  }
}

const cellsOf = (plan: ReturnType<typeof spacePlan>): number =>
  plan === undefined ? 1 : plan.rows.length * plan.columns.length;

/** Runs tiles one after the other and yields what is final of each. */
async function* inTimeTiles(
  input: Tensor,
  plan: TimePlan,
  run: RunTile,
): AsyncGenerator<Tensor, void> {
  using previous = new Bag();
  let given = 0;
  for (const [i, span] of plan.tiles.entries()) {
    using part = input.slice(0, span.from, span.to);
    using decoded = new Slot(await run(part, span));
    if (i > 0) decoded.put(decoded.value.slice(0, 1, decoded.value.dims[0] ?? 0));
    const tile = decoded.value;
    const before = previous.at(0);
    if (before !== undefined) blendInto(before, tile, 0, plan.blend);
    const length = tile.dims[0] ?? 0;
    const count = Math.min(plan.keep + (i === 0 ? 1 : 0), length, plan.total - given);
    const next = tile.slice(0, 0, length);
    previous.clear();
    previous.add(next);
    given += count;
    yield tile.slice(0, 0, count);
  }
}

/** One tile through the coder, cut in space if a plan says so; `ratio`: output over input size. */
const inSpace = async (
  input: Tensor,
  plan: ReturnType<typeof spacePlan>,
  run: (tile: Tensor) => Promise<Tensor>,
  ratio: number,
): Promise<Tensor> => {
  if (plan === undefined) return run(input);
  const [, height = 0, width = 0] = input.dims;
  const rows = Math.floor(height * ratio);
  const columns = Math.floor(width * ratio);
  using above = new Bag();
  using canvas = new Bag();
  for (const [r, rowSpan] of plan.rows.entries()) {
    using row = new Bag();
    for (const [c, span] of plan.columns.entries()) {
      using cut = cutOut(input, rowSpan, span);
      const tile = row.add(await run(cut));
      const [t = 0, h = 0, w = 0, channels = 0] = tile.dims;
      const up = above.at(c);
      if (up !== undefined) blendInto(up, tile, 1, plan.blendRows);
      const left = row.at(c - 1);
      if (left !== undefined) blendInto(left, tile, 2, plan.blendColumns);
      const picture =
        canvas.at(0) ?? canvas.add(Tensor.empty([t, rows, columns, channels], tile.dtype));
      const top = r * plan.keepRows;
      const start = c * plan.keepColumns;
      const high = Math.min(plan.keepRows, h, rows - top);
      const wide = Math.min(plan.keepColumns, w, columns - start);
      place(picture, tile, { top, start, high, wide });
    }
    above.takeFrom(row);
  }
  const picture = canvas.at(0);
  if (picture === undefined) throw new Error("a clip has at least one tile");
  return picture.reshape(picture.dims);
};

const cutOut = (input: Tensor, rows: Span, columns: Span): Tensor => {
  using scratch = ops.scope();
  const cut = input.slice(1, rows.from, rows.to).slice(2, columns.from, columns.to);
  return cut.contiguous().keep();
};

const place = (
  picture: Tensor,
  tile: Tensor,
  { top, start, high, wide }: Readonly<Record<"top" | "start" | "high" | "wide", number>>,
): void => {
  using scratch = ops.scope();
  const target = picture.slice(1, top, top + high).slice(2, start, start + wide);
  ops.copy(target, tile.slice(1, 0, high).slice(2, 0, wide));
};

/** The tile from the memo, or made and remembered. */
const remembered = async (
  { memo, frameIds, onHit }: DecodeOptions & { readonly onHit: () => void },
  { from, to }: Span,
  isCut: boolean,
  make: () => Promise<Tensor>,
): Promise<Tensor> => {
  if (memo === undefined || frameIds === undefined) return make();
  const key = `${isCut ? "cut" : "whole"} ${frameIds.slice(from, to).join(" ")}`;
  const known = memo.find(key);
  if (known !== undefined) {
    onHit();
    return known;
  }
  const tile = await make();
  memo.remember(key, tile);
  return tile;
};

/** Parts [f, H, W, C] as one clip. */
export const joinFrames = (parts: readonly Tensor[]): Tensor => {
  using scratch = ops.scope();
  const [first] = parts;
  if (first === undefined) throw new Error("a clip has at least one part");
  const frames = parts.reduce((sum, part) => sum + (part.dims[0] ?? 0), 0);
  const clip = Tensor.empty([frames, ...first.dims.slice(1)], first.dtype);
  let at = 0;
  for (const part of parts) {
    const end = at + (part.dims[0] ?? 0);
    ops.copy(clip.slice(0, at, end), part);
    at = end;
  }
  return clip.keep();
};

const logvar_min = -30;
const logvar_max = 20;

class Moments implements Posterior {
  readonly mean: Tensor;
  readonly logvar: Tensor;

  /** From parts [t, h, w, 2C] in time order. */
  constructor(parts: readonly Tensor[], channels: number) {
    using scratch = ops.scope();
    const [, h = 0, w = 0] = parts[0]?.dims ?? [];
    const frames = parts.reduce((sum, part) => sum + (part.dims[0] ?? 0), 0);
    const all = Tensor.empty([2 * channels, frames, h, w], "f32");
    let at = 0;
    for (const part of parts) {
      const end = at + (part.dims[0] ?? 0);
      ops.copy(all.slice(1, at, end), part.permute([3, 0, 1, 2]));
      at = end;
    }
    const clamped = all
      .slice(0, channels, 2 * channels)
      .f32()
      .map((value) => Math.min(Math.max(value, logvar_min), logvar_max));
    this.mean = all.slice(0, 0, channels).contiguous().keep();
    this.logvar = Tensor.from(clamped, [channels, frames, h, w]).keep();
  }

  [Symbol.dispose](): void {
    this.mean[Symbol.dispose]();
    this.logvar[Symbol.dispose]();
  }
}

/**
 * Scaled latents of a posterior, f32 values in its order: its mean, or with noise a sample.
 */
export const posteriorLatents = (
  { mean, logvar }: Posterior,
  scale: number,
  noise?: Float32Array,
): Float32Array => {
  const { fround } = Math;
  const centre = mean.f32();
  if (noise === undefined) return centre.map((value) => value * scale);
  const spread = logvar.f32();
  return centre.map((value, i) => {
    const deviation = fround(Math.exp(0.5 * (spread[i] ?? 0)));
    return fround(value + fround(deviation * (noise[i] ?? 0))) * scale;
  });
};
