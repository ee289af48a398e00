// How the compose screen divides its width; keys need it too, to go up and down in a broken text.

import type { State } from "../state.ts";

export const labelWidth = 11;

/** Columns of the form; the crop and the plan at its left have the rest. */
export const formWidthOf = ({ columns }: State["size"]): number => {
  const width = columns - 2;
  if (width >= 150) return 80;
  return width >= 90 ? Math.floor(width * 0.58) : Math.min(width - 26, 56);
};

/** Columns that a field's text has. */
export const textWidthOf = (size: State["size"]): number =>
  Math.max(8, formWidthOf(size) - labelWidth - 1);
