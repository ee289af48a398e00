// Editing a text with a cursor, by graphemes: an emoji is one step, never half of one. Pure; what key means what is the
// form's business, how it looks is the field's.

import type { Key } from "ink";
import { graphemes } from "../words.ts";

/** The cursor is a place between UTF-16 units, always at a grapheme's edge. */
export type Edit = Readonly<{ text: string; cursor: number }>;

export const editAt = (text: string, cursor = text.length): Edit => ({ text, cursor });

const edges = (text: string): number[] => [
  ...Array.from(graphemes.segment(text), (s) => s.index),
  text.length,
];

const before = (edit: Edit): number => edges(edit.text).findLast((edge) => edge < edit.cursor) ?? 0;
const after = (edit: Edit): number =>
  edges(edit.text).find((edge) => edge > edit.cursor) ?? edit.text.length;

/** Puts text in at the cursor. Control characters of a paste are dropped; line breaks stay where lines are allowed. */
export const insert = (edit: Edit, added: string, lines: boolean): Edit => {
  const clean = cleanInput(added, lines);
  return {
    text: edit.text.slice(0, edit.cursor) + clean + edit.text.slice(edit.cursor),
    cursor: edit.cursor + clean.length,
  };
};

/** What may go into a text from outside. */
export const cleanInput = (text: string, lines: boolean): string =>
  text
    .replace(/\r\n?/g, "\n")
    .replace(/\n/g, lines ? "\n" : " ")
    .replace(/\t/g, " ")
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "");

export const removeBefore = (edit: Edit): Edit => removeBetween(edit, before(edit), edit.cursor);
export const removeAfter = (edit: Edit): Edit => removeBetween(edit, edit.cursor, after(edit));
export const removeWord = (edit: Edit): Edit => removeBetween(edit, wordBefore(edit), edit.cursor);

const removeBetween = (edit: Edit, from: number, to: number): Edit => ({
  text: edit.text.slice(0, from) + edit.text.slice(to),
  cursor: from,
});

const wordBefore = ({ text, cursor }: Edit): number => {
  const found = /\S+\s*$/u.exec(text.slice(0, cursor));
  return found === null ? 0 : found.index;
};

const wordAfter = ({ text, cursor }: Edit): number => {
  const found = /^\s*\S+/u.exec(text.slice(cursor));
  return found === null ? text.length : cursor + found[0].length;
};

export const move = (
  edit: Edit,
  to: "left" | "right" | "wordLeft" | "wordRight" | "lineStart" | "lineEnd",
): Edit => {
  const { text, cursor } = edit;
  switch (to) {
    case "left":
      return { text, cursor: before(edit) };
    case "right":
      return { text, cursor: after(edit) };
    case "wordLeft":
      return { text, cursor: wordBefore(edit) };
    case "wordRight":
      return { text, cursor: wordAfter(edit) };
    case "lineStart":
      return { text, cursor: text.lastIndexOf("\n", cursor - 1) + 1 };
    case "lineEnd": {
      const end = text.indexOf("\n", cursor);
      return { text, cursor: end < 0 ? text.length : end };
    }
  }
};

/** The edit that a key makes, or null when the key is not for editing. */
export const editKey = (edit: Edit, input: string, key: Key, lines: boolean): Edit | null => {
  if (key.leftArrow) return move(edit, key.ctrl || key.meta ? "wordLeft" : "left");
  if (key.rightArrow) return move(edit, key.ctrl || key.meta ? "wordRight" : "right");
  if (key.home || (key.ctrl && input === "a")) return move(edit, "lineStart");
  if (key.end || (key.ctrl && input === "e" && !lines)) return move(edit, "lineEnd");
  if (key.ctrl && input === "w") return removeWord(edit);
  if (key.backspace) return key.meta ? removeWord(edit) : removeBefore(edit);
  if (key.delete || (key.ctrl && input === "d")) return removeAfter(edit);
  if (key.return) return lines && (key.meta || key.shift) ? insert(edit, "\n", true) : null;
  if (key.ctrl || key.meta || key.escape || key.tab || input === "") return null;
  return insert(edit, input, lines);
};

type Place = Readonly<{ index: number; row: number; column: number }>;

/** A text broken into rows of a width, with the place of every grapheme and of the end. */
const broken = (
  text: string,
  width: number,
): Readonly<{ rows: readonly string[]; places: readonly Place[] }> => {
  const rows: string[] = [""];
  const places: Place[] = [];
  let used = 0;
  const breakRow = (): void => {
    rows.push("");
    used = 0;
  };
  for (const { segment, index } of graphemes.segment(text)) {
    const cells = segment === "\n" ? 0 : Bun.stringWidth(segment);
    if (used + cells > width) breakRow();
    places.push({ index, row: rows.length - 1, column: used });
    if (segment === "\n") breakRow();
    else {
      rows[rows.length - 1] += segment;
      used += cells;
    }
  }
  if (used >= width) breakRow();
  places.push({ index: text.length, row: rows.length - 1, column: used });
  return { rows, places };
};

/** A text broken into rows of a width, and where the cursor falls in them. */
export const layOut = (
  edit: Edit,
  width: number,
): Readonly<{ rows: readonly string[]; row: number; column: number }> => {
  const { rows, places } = broken(edit.text, width);
  const at = places.findLast((place) => place.index <= edit.cursor);
  const { row, column } = at ?? { row: 0, column: 0 };
  // The row that a full last line begins is there only for the cursor.
  const spare = rows.at(-1) === "" && row < rows.length - 1 && !edit.text.endsWith("\n");
  return { rows: spare ? rows.slice(0, -1) : rows, row, column };
};

/** The cursor one row up or down as the text is broken at a width; null beyond the first and last row. */
export const moveRow = (edit: Edit, width: number, by: 1 | -1): Edit | null => {
  const { places } = broken(edit.text, width);
  const at = places.findLast((place) => place.index <= edit.cursor);
  if (at === undefined) return null;
  const row = at.row + by;
  const to = places.findLast((place) => place.row === row && place.column <= at.column);
  return to === undefined ? null : { ...edit, cursor: to.index };
};

/** A path as people drop or paste it: quotes, backslash escapes, file:// and ~ undone. */
export const cleanPath = (text: string, home: string): string => {
  let path = cleanInput(text, false).trim();
  const quoted = /^(['"])(.*)\1$/.exec(path);
  if (quoted !== null) path = quoted[2] ?? "";
  else if (!path.startsWith("file://")) path = path.replace(/\\(.)/g, "$1");
  if (path.startsWith("file://")) {
    try {
      path = decodeURIComponent(path.slice("file://".length));
    } catch {
      // A per cent sign that escapes nothing: then it is part of the name.
      path = path.slice("file://".length);
    }
  }
  if (path === "~") return home;
  return path.startsWith("~/") ? `${home}${path.slice(1)}` : path;
};

/** What completing a path adds: the names that begin like its last part, and their common beginning. */
export const completion = (
  path: string,
  names: readonly string[],
): Readonly<{ path: string; choices: readonly string[] }> => {
  const at = path.lastIndexOf("/") + 1;
  const stem = path.slice(at);
  const choices = names.filter(
    (name) => name.startsWith(stem) && (stem.startsWith(".") || !name.startsWith(".")),
  );
  const first = choices[0];
  if (first === undefined) return { path, choices };
  let common = first;
  for (const choice of choices) {
    while (!choice.startsWith(common)) common = common.slice(0, -1);
  }
  return { path: path.slice(0, at) + common, choices };
};
