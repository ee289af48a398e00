// Decodes a section's latents into one clip. Tiles that an earlier section decoded from the same
// latents are not decoded again: latents are known by their place in the video.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Breathe } from "../models/breathe.ts";
import type { TileMemo } from "../models/tile-memo.ts";
import type { Vae } from "../models/vae.ts";
import { framesOf } from "./order.ts";

export type DecodeClipOptions = Readonly<{
  spatialTiles?: boolean;
  breathe?: Breathe | undefined;
  memo?: TileMemo | undefined;
  /** Place of the first latent in the video, for the memo. */
  from?: number;
}>;

/** Pixels [4n − 3, H, W, 3] of latents [C, n, h, w], in the autoencoder's dtype. */
export const decodeClip = async (
  vae: Vae,
  latents: Tensor,
  options: DecodeClipOptions = {},
): Promise<Tensor> => {
  const { from = 0, memo, breathe, spatialTiles } = options;
  const [, n = 0, height = 0, width = 0] = latents.dims;
  const ratio = vae.config.spatial;
  const dims = [framesOf(n), height * ratio, width * ratio, vae.config.outChannels];
  const clip = Tensor.empty(dims, vae.dtype);
  try {
    const frameIds = Array.from({ length: n }, (_, i) => String(from + i));
    let at = 0;
    for await (const part of vae.decode(latents, { breathe, memo, frameIds, spatialTiles })) {
      using decoded = part;
      const end = at + (decoded.dims[0] ?? 0);
      using place = clip.slice(0, at, end);
      ops.copy(place, decoded);
      at = end;
    }
    if (at !== dims[0]) throw new RangeError(`${n} latents gave ${at} frames, not ${dims[0]}`);
    return clip;
  } catch (error) {
    clip[Symbol.dispose]();
    throw error;
  }
};
