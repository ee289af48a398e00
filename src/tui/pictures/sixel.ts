// Sixel pictures. Colours are chosen by sharp without dithering (smaller and nearer to the source than the encoder's own
// quantiser); the sixel package only writes the bytes. Used where the terminal says in DA1 that it draws sixel.

import { FINALIZER, introducer, sixelEncode } from "sixel";
import { type Colours, quantise } from "./palette.ts";
import { type Picture, scale } from "./picture.ts";

/** Height of one sixel band; a picture's height is a multiple of it. */
const band = 6;

/** Pixels that a sixel picture of columns × rows cells has: whole bands, nothing below its last row. */
export const sixelSize = (
  columns: number,
  rows: number,
  cell: Readonly<{ width: number; height: number }>,
): Readonly<{ width: number; height: number }> => ({
  width: Math.max(1, columns * cell.width),
  height: Math.max(band, Math.floor((rows * cell.height) / band) * band),
});

/** A picture of columns × rows cells as one DCS sequence. Sixel has no scaling: pixels are made for the cell size. */
export const sixelPicture = async (
  picture: Picture,
  columns: number,
  rows: number,
  cell: Readonly<{ width: number; height: number }>,
  colours: Colours,
): Promise<string> => {
  const { width, height } = sixelSize(columns, rows, cell);
  const { palette, rgba } = await quantise(scale(picture, width, height), colours);
  const mutable = palette.map(([r, g, b]): [number, number, number] => [r, g, b]);
  return introducer(1) + sixelEncode(rgba, width, height, mutable) + FINALIZER;
};
