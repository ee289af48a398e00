// The image encoder's input: the picture squeezed to its square, in the range it expects.

import type { PreprocessorConfig } from "../config/encoders.ts";
import type { Picture } from "../picture.ts";
import { resize } from "../resize.ts";

/** The picture as the preprocessor scales it, ignoring its proportions; 8-bit. */
export const squeezed = (
  image: Picture,
  { height, width }: Pick<PreprocessorConfig, "height" | "width">,
): Picture => resize(image, { height, width }, "bicubic");

/** Planes [3, height, width] of an already squeezed picture: (value·rescale − mean) / std. */
export const normalised = (
  { rgb, height, width }: Picture,
  { rescale, mean, std }: Pick<PreprocessorConfig, "rescale" | "mean" | "std">,
): Float32Array => {
  const plane = height * width;
  const values = new Float32Array(3 * plane);
  for (const channel of [0, 1, 2] as const) {
    for (let i = 0; i < plane; i++) {
      const value = Math.fround((rgb[3 * i + channel] ?? 0) * rescale);
      values[channel * plane + i] = (value - mean[channel]) / std[channel];
    }
  }
  return values;
};
