// Arithmetic of a run: tokens, floating point operations and bytes of each network at a given size.
// Formulas, not measurements; how long an operation takes is the business of rates.ts.

import type { TransformerConfig } from "../config/transformer.ts";
import type { VaeConfig } from "../config/vae.ts";
import { historyShape } from "../sections/order.ts";

export type LatentShape = Readonly<{ frames: number; height: number; width: number }>;

export type Tokens = Readonly<{
  noise: number;
  clean1x: number;
  clean2x: number;
  clean4x: number;
  image: number;
  text: number;
  total: number;
}>;

/** Rows of the transformer's sequence, part by part. */
export const countTokens = (
  latent: LatentShape,
  patch: number,
  outside: Readonly<{ image: number; text: number }>,
): Tokens => {
  const { near, middle, far } = historyShape;
  const plane = (size: number): number =>
    Math.ceil(latent.height / (patch * size)) * Math.ceil(latent.width / (patch * size));
  const whole = Math.floor(latent.height / patch) * Math.floor(latent.width / patch);
  const parts = {
    noise: latent.frames * whole,
    clean1x: (1 + near) * whole,
    clean2x: (middle / 2) * plane(2),
    clean4x: (far / 4) * plane(4),
    ...outside,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, n) => sum + n, 0) };
};

/** Floating point operations of one full pass (a multiply and an add are two). */
export const transformerFlops = (config: TransformerConfig, tokens: number): number => {
  const { dim, mlpDim } = config;
  const double = 2 * tokens * (4 * dim * dim + 2 * dim * mlpDim);
  const single = 2 * tokens * (4 * dim * dim + 2 * dim * mlpDim);
  const attention = 4 * tokens * tokens * dim;
  return config.doubleLayers * (double + attention) + config.singleLayers * (single + attention);
};

/** Bytes of activations that live at once in a step; `bytes` a value. */
export const transformerActivationBytes = (
  config: TransformerConfig,
  tokens: Tokens,
  bytes: number,
): number => {
  const { dim, mlpDim } = config;
  // The joined stream, its normalised copy, q, k, v and the attention's result; then the wide
  // hidden layer.
  const block = tokens.total * (6 * dim + mlpDim);
  // What skipping compares (two copies) and reuses (two more of the noise rows).
  const images = tokens.total - tokens.image - tokens.text;
  const skipping = 2 * images * dim + 2 * tokens.noise * dim;
  const rope = images * 2 * config.headDim * 4;
  return (block + skipping) * bytes + rope;
};

/**
 * Bytes that a job keeps of what depends on prompt and schedule only: modulation and refined text.
 */
export const preparedBytes = (
  config: TransformerConfig,
  run: Readonly<{ steps: number; text: number; image: number; bytes: number }>,
): number => {
  const vectors = 12 * config.doubleLayers + 3 * config.singleLayers + 2;
  return run.bytes * config.dim * (run.steps * (vectors + run.text) + run.image);
};

/**
 * Latents per tile in time, as the decoder cuts them: five every three, a single last one left out.
 */
export const decodeTiles = (latents: number): readonly number[] => {
  if (latents <= 4) return [latents];
  const tiles: number[] = [];
  for (let from = 0; from < latents; from += 3) {
    const length = Math.min(5, latents - from);
    if (from === 0 || length > 1) tiles.push(length);
  }
  return tiles;
};

/** Side of a spatial tile in latent pixels, and how far apart two of them start. */
export const tileSide = 32;
export const tileStride = 24;

/** Operations to decode one tile of n latents, h × w latent pixels each. */
export const decodeFlops = (vae: VaeConfig, n: number, h: number, w: number): number => {
  const widths = vae.blocks.toReversed();
  const top = widths[0] ?? 0;
  const conv = (from: number, to: number, voxels: number): number => 54 * from * to * voxels;
  let [frames, rows, columns] = [n, h, w];
  let voxels = frames * rows * columns;
  let flops = conv(vae.latentChannels, top, voxels) + 4 * conv(top, top, voxels);
  flops += 4 * voxels * voxels * top + 8 * voxels * top * top;
  let from = top;
  for (const [i, width] of widths.entries()) {
    flops += conv(from, width, voxels) + conv(width, width, voxels);
    flops += 2 * vae.layersPerBlock * conv(width, width, voxels);
    from = width;
    if (i === widths.length - 1) continue;
    if (i > 0) frames = 2 * frames - 1;
    [rows, columns] = [rows * 2, columns * 2];
    voxels = frames * rows * columns;
    flops += conv(width, width, voxels);
  }
  return flops + conv(from, vae.outChannels, voxels);
};

/** Bytes that live at once while one tile is decoded. */
export const decodeActivationBytes = (
  vae: VaeConfig,
  tile: Readonly<{ latents: number; height: number; width: number }>,
  bytes: number,
): number => {
  const [narrow = 0, wide = narrow] = vae.blocks;
  const frames = vae.temporal * (tile.latents - 1) + 1;
  const voxels = frames * tile.height * tile.width * vae.spatial * vae.spatial;
  // The last stage: its wide input, and the shortcut's and the first convolution's output.
  return voxels * (wide + 2 * narrow) * bytes;
};

/** Bytes that live at once while one picture is encoded. */
export const encodeActivationBytes = (
  vae: VaeConfig,
  picture: Readonly<{ height: number; width: number }>,
  bytes: number,
): number => 3 * picture.height * picture.width * (vae.blocks[0] ?? 0) * bytes;

/** Operations of a text or vision encoder over n tokens. */
export const encoderFlops = (
  encoder: Readonly<{ dim: number; mlpDim: number; layers: number }>,
  tokens: number,
): number => {
  const { dim, mlpDim, layers } = encoder;
  return layers * (2 * tokens * (4 * dim * dim + 3 * dim * mlpDim) + 4 * tokens * tokens * dim);
};

export const encoderActivationBytes = (
  encoder: Readonly<{ dim: number; mlpDim: number }>,
  tokens: number,
  bytes: number,
): number => tokens * (6 * encoder.dim + 2 * encoder.mlpDim) * bytes;
