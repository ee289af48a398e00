// The words of --preview and what they mean; shared by every verb that shows pictures.

import type { Method } from "./pictures/capabilities.ts";

export const previewWordList = [
  "auto",
  "kitty",
  "sixel",
  "iterm",
  "blocks",
  "ascii",
  "none",
] as const;
export type PreviewWord = (typeof previewWordList)[number];

const methods: Readonly<Record<Exclude<PreviewWord, "auto">, Method>> = {
  kitty: "kitty-cells",
  sixel: "sixel",
  iterm: "iterm2",
  blocks: "blocks-24bit",
  ascii: "ascii",
  none: "none",
};

/** The method a word asks for; null leaves it to the terminal's answers. */
export const previewWords = (word: PreviewWord): Method | null =>
  word === "auto" ? null : methods[word];
