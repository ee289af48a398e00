// What keys do on the compose screen: they move between fields, edit the one that has the keys, and open the lists over the
// form. Everything is read from the store when a key comes, never from a drawn frame: keys may arrive several at once.

import { readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Key } from "ink";
import type { Command } from "../keys.ts";
import type { Draft, Over, State } from "../state.ts";
import type { Tui } from "../store.ts";
import { cleanPath, completion, type Edit, editAt, editKey, insert, moveRow } from "./edit.ts";
import { type Field, fieldsShown, neighbour, presetNames } from "./fields.ts";
import { listFolder } from "./folder.ts";
import { quickPrompts } from "./quick-prompts.ts";
import { resolveDraft } from "./resolve.ts";
import { textWidthOf } from "./room.ts";

const pageRows = 10;

/** Carries out a command of the form or of a list over it. */
export const formCommand = (tui: Tui, command: Command): void => {
  const { store } = tui;
  const { draft, over } = store.state().compose;
  if (over !== null) {
    listCommand(tui, over, command);
    return;
  }
  switch (command) {
    case "nextField":
      goTo(tui, neighbour(draft.field, 1, draft.expert));
      return;
    case "previousField":
      goTo(tui, neighbour(draft.field, -1, draft.expert));
      return;
    case "browse": {
      browse(tui, folderOf(cleanPath(draft.image, homedir())));
      return;
    }
    case "quickPrompt":
    case "history": {
      const kind = command === "history" ? "history" : "quick";
      store.dispatch({ type: "over", over: { kind, at: 0 } });
      return;
    }
    case "expert": {
      const expert = !draft.expert;
      const stays = fieldsShown(expert).some((field) => field.id === draft.field);
      store.dispatch({ type: "draft", draft: { expert } });
      if (!stays) goTo(tui, "model");
      return;
    }
    case "clear":
      take(tui, editAt(""));
      return;
    default:
      return;
  }
};

/** A key that is no command: an edit of the field, a choice, or a way to the next field. */
export const formKey = (tui: Tui, input: string, key: Key): void => {
  const state = tui.store.state();
  const { draft, over } = state.compose;
  if (over !== null) return;
  const field = fieldsShown(draft.expert).find((one) => one.id === draft.field);
  if (field === undefined) return;
  const vertical = key.upArrow ? -1 : key.downArrow ? 1 : 0;
  if (vertical !== 0) {
    const edit = field.kind === "lines" ? editOf(draft) : null;
    const moved = edit === null ? null : moveRow(edit, textWidthOf(state.size), vertical);
    if (moved !== null) take(tui, moved);
    else goTo(tui, neighbour(draft.field, vertical, draft.expert));
    return;
  }
  if (field.kind === "choice") {
    const by = key.rightArrow || input === " " ? 1 : key.leftArrow ? -1 : 0;
    if (by !== 0) choose(tui, field, by);
    return;
  }
  const next = editKey(editOf(draft), input, key, field.kind === "lines");
  if (next !== null) take(tui, next);
};

export const formPaste = (tui: Tui, pasted: string): void => {
  const { draft, over } = tui.store.state().compose;
  const field = fieldsShown(draft.expert).find((one) => one.id === draft.field);
  if (over !== null || field === undefined || field.kind === "choice") return;
  take(tui, insert(editOf(draft), pasted, field.kind === "lines"));
};

/** Completes the path in the field; false when nothing can be added, or it is no path. */
export const completePath = (tui: Tui): boolean => {
  const { draft } = tui.store.state().compose;
  const field = fieldsShown(draft.expert).find((one) => one.id === draft.field);
  const text = textOf(draft, draft.field);
  if (field?.kind !== "path" || text === "") return false;
  const path = cleanPath(text, homedir());
  const folder = path.slice(0, path.lastIndexOf("/") + 1) || "./";
  const completed = completion(path, namesIn(folder)).path;
  if (completed === path) return false;
  take(tui, editAt(completed));
  return true;
};

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    );
  } catch {
    // No such folder, or not ours to read: nothing to complete; the field says what is wrong with the path.
    return [];
  }
};

/** The text of a field as typed. */
export const textOf = (draft: Draft, id: string): string => {
  if (id === "image") return draft.image;
  if (id === "prompt") return draft.prompt;
  if (id === "preset") return draft.preset ?? "";
  return draft.changes[id] ?? "";
};

const withText = (draft: Draft, id: string, text: string): Partial<Draft> => {
  if (id === "image") return { image: text };
  if (id === "prompt") return { prompt: text };
  if (id === "preset") return { preset: text === "" || text === "none" ? null : text };
  const { [id]: _old, ...others } = draft.changes;
  return { changes: text === "" ? others : { ...others, [id]: text } };
};

const editOf = (draft: Draft): Edit => {
  const text = textOf(draft, draft.field);
  return editAt(text, Math.min(draft.cursor, text.length));
};

const goTo = ({ store }: Tui, field: string): void => {
  const cursor = textOf(store.state().compose.draft, field).length;
  store.dispatch({ type: "draft", draft: { field, cursor } });
};

const take = ({ store }: Tui, edit: Edit): void => {
  const { draft } = store.state().compose;
  const changed = edit.text !== textOf(draft, draft.field);
  const text = changed ? withText(draft, draft.field, edit.text) : {};
  store.dispatch({ type: "draft", draft: { ...text, cursor: edit.cursor } });
};

const choose = (tui: Tui, field: Field, by: 1 | -1): void => {
  const { draft, presets } = tui.store.state().compose;
  const choices = field.id === "preset" ? presetNames(presets) : field.choices;
  const at = choices.indexOf(shownChoice(draft, field.id));
  const next = choices.at((at + by) % choices.length);
  if (next !== undefined) take(tui, editAt(next));
};

const shownChoice = (draft: Draft, id: string): string => {
  const typed = textOf(draft, id);
  if (typed !== "" || id === "preset") return typed === "" ? "none" : typed;
  const value = resolveDraft(draft, homedir(), process.cwd()).values?.[id as never] as unknown;
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
};

// ---- Lists over the form -----------------------------------------------------------------------

/** The folder that a typed path is about. */
const folderOf = (path: string): string => {
  if (path === "") return process.cwd();
  const whole = resolve(path);
  return statSync(whole, { throwIfNoEntry: false })?.isDirectory() ? whole : dirname(whole);
};

const browse = ({ store }: Tui, folder: string): void =>
  store.dispatch({ type: "over", over: { kind: "browse", folder, ...listFolder(folder), at: 0 } });

/** The rows of a list that holds texts. */
export const rowsOver = (
  compose: State["compose"],
  kind: "quick" | "history",
): readonly string[] => (kind === "quick" ? quickPrompts : compose.history);

const listCommand = (tui: Tui, over: Over, command: Command): void => {
  const { store } = tui;
  const { compose } = store.state();
  const count = over.kind === "browse" ? over.entries.length : rowsOver(compose, over.kind).length;
  const select = (row: number): void => {
    const at = Math.max(0, Math.min(count - 1, row));
    store.dispatch({ type: "over", over: { ...over, at } });
  };
  switch (command) {
    case "up":
      select(over.at - 1);
      return;
    case "down":
      select(over.at + 1);
      return;
    case "first":
      select(over.at - pageRows);
      return;
    case "last":
      select(over.at + pageRows);
      return;
    case "back":
      store.dispatch({ type: "over", over: null });
      return;
    case "parent":
      if (over.kind === "browse") browse(tui, dirname(over.folder));
      return;
    case "take":
      if (over.kind === "browse") takeEntry(tui, over);
      else takeRow(tui, rowsOver(compose, over.kind)[over.at]);
      return;
    default:
      return;
  }
};

const takeEntry = (tui: Tui, over: Extract<Over, { kind: "browse" }>): void => {
  const entry = over.entries[over.at];
  if (entry === undefined) return;
  if (entry.isFolder) {
    browse(tui, entry.name === ".." ? dirname(over.folder) : join(over.folder, entry.name));
    return;
  }
  const image = join(over.folder, entry.name);
  tui.store.dispatch({ type: "over", over: null });
  tui.store.dispatch({ type: "draft", draft: { image, field: "image", cursor: image.length } });
};

const takeRow = ({ store }: Tui, prompt: string | undefined): void => {
  store.dispatch({ type: "over", over: null });
  if (prompt === undefined) return;
  store.dispatch({ type: "draft", draft: { prompt, field: "prompt", cursor: prompt.length } });
};
