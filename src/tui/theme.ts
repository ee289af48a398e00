// Colours and marks by meaning. Ink's named colours follow the user's own palette, light or dark; NO_COLOR takes them away.

import type { TextProps } from "ink";

export type Tone = "plain" | "dim" | "strong" | "accent" | "good" | "bad" | "warn";

const coloured: Readonly<Record<Tone, TextProps>> = {
  plain: {},
  dim: { dimColor: true },
  strong: { bold: true },
  accent: { color: "cyan" },
  good: { color: "green" },
  bad: { color: "red" },
  warn: { color: "yellow" },
};

const colourless: Readonly<Record<Tone, TextProps>> = {
  plain: {},
  dim: { dimColor: true },
  strong: { bold: true },
  accent: { bold: true },
  good: {},
  bad: { bold: true },
  warn: { bold: true },
};

const noColor = (process.env.NO_COLOR ?? "") !== "";

/** Props of Ink's Text for a tone. */
export const tone = (name: Tone): TextProps => (noColor ? colourless : coloured)[name];
