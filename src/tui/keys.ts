// Every key of the interface once: what handles keys and what help shows are made from this table. What a key does is said
// where its screen handles the command.

import type { Key } from "ink";
import type { Dialog, Screen } from "./state.ts";

/** Where a key counts. "list": every screen that is a list. "form": fields that take text are left alone. */
export type Scope = "global" | "form" | "run" | "list" | "jobs" | "models" | "doctor" | "dialog";

export type Command =
  | "showCompose"
  | "showRun"
  | "showJobs"
  | "showModels"
  | "showDoctor"
  | "help"
  | "quit"
  | "redraw"
  | "back"
  | "up"
  | "down"
  | "first"
  | "last"
  | "open"
  | "nextField"
  | "previousField"
  | "start"
  | "browse"
  | "complete"
  | "quickPrompt"
  | "history"
  | "expert"
  | "clear"
  | "cancel"
  | "detach"
  | "loop"
  | "moveUp"
  | "moveDown"
  | "retry"
  | "resume"
  | "copySettings"
  | "copyPath"
  | "recipe"
  | "forget"
  | "pull"
  | "verify"
  | "remove"
  | "again"
  | "yes"
  | "no";

export type Binding = Readonly<{
  scope: Scope;
  command: Command;
  /** As help shows it. */
  shown: string;
  about: string;
  /** Shown in the footer, most wanted first; null only in help. */
  footer: number | null;
  matches: (input: string, key: Key) => boolean;
}>;

const letter =
  (...letters: readonly string[]) =>
  (input: string, key: Key): boolean =>
    !key.ctrl && !key.meta && letters.includes(input);
const control =
  (name: string) =>
  (input: string, key: Key): boolean =>
    key.ctrl && input === name;
const alt =
  (name: string) =>
  (input: string, key: Key): boolean =>
    key.meta && input === name;
const special =
  (name: keyof Key) =>
  (_input: string, key: Key): boolean =>
    key[name] === true;

const bind = (
  scope: Scope,
  command: Command,
  shown: string,
  about: string,
  footer: number | null,
  matches: Binding["matches"],
): Binding => ({ scope, command, shown, about, footer, matches });

export const bindings: readonly Binding[] = [
  bind("global", "showCompose", "Alt-1", "write a new job", null, alt("1")),
  bind("global", "showRun", "Alt-2", "watch the running job", null, alt("2")),
  bind("global", "showJobs", "Alt-3", "queue and history", null, alt("3")),
  bind("global", "showModels", "Alt-4", "models on this machine", null, alt("4")),
  bind("global", "showDoctor", "Alt-5", "what this machine can do", null, alt("5")),
  bind("global", "redraw", "Ctrl-L", "draw the screen again", null, control("l")),
  bind("global", "quit", "Ctrl-C", "leave; a running job goes on", 9, control("c")),

  bind("form", "start", "Ctrl-S", "start the job", 1, control("s")),
  bind("form", "nextField", "Tab", "next field", 2, (_i, key) => key.tab && !key.shift),
  bind(
    "form",
    "previousField",
    "Shift-Tab",
    "field before",
    null,
    (_i, key) => key.tab && key.shift,
  ),
  bind("form", "browse", "Ctrl-F", "choose a picture from the disk", 3, control("f")),
  bind("form", "quickPrompt", "Ctrl-P", "a ready-made prompt", 4, control("p")),
  bind("form", "history", "Ctrl-R", "a prompt used before", 5, control("r")),
  bind("form", "expert", "Ctrl-E", "show or hide the expert settings", 6, control("e")),
  bind("form", "clear", "Ctrl-U", "empty the field", null, control("u")),
  bind(
    "form",
    "help",
    "F1",
    "this help",
    8,
    (input) => input === "\u001bOP" || input === "[11~" || input === "OP",
  ),

  bind("run", "cancel", "c", "cancel the job; what is finished stays", 2, letter("c")),
  bind("run", "detach", "d", "leave; the job goes on", 1, letter("d", "q")),
  bind("run", "loop", "l", "what moves: latents or the video so far", 3, letter("l")),
  bind("run", "copyPath", "y", "copy the video's path", 4, letter("y")),
  bind("run", "recipe", "i", "the job's recipe", 5, letter("i")),
  bind("run", "resume", "g", "go on with a stopped job", null, letter("g")),

  bind("list", "up", "↑ k", "row above", null, (i, key) => key.upArrow || letter("k")(i, key)),
  bind("list", "down", "↓ j", "row below", null, (i, key) => key.downArrow || letter("j")(i, key)),
  bind("list", "first", "Home", "first row", null, special("home")),
  bind("list", "last", "End", "last row", null, special("end")),
  bind("jobs", "open", "Enter", "watch the job", 1, special("return")),
  bind("jobs", "cancel", "c", "cancel", 2, letter("c")),
  bind("jobs", "retry", "r", "run again from the start", 3, letter("r")),
  bind("jobs", "resume", "g", "go on where it stopped", 4, letter("g")),
  bind("jobs", "moveUp", "K", "earlier in the queue", 5, letter("K")),
  bind("jobs", "moveDown", "J", "later in the queue", null, letter("J")),
  bind("jobs", "copySettings", "e", "take its settings to a new job", 6, letter("e")),
  bind("jobs", "copyPath", "y", "copy the video's path", 7, letter("y")),
  bind("jobs", "recipe", "i", "the job's recipe", null, letter("i")),
  bind("jobs", "forget", "x", "take it off the list; the video stays", null, letter("x")),

  bind("models", "pull", "p", "download what is missing", 1, letter("p")),
  bind("models", "verify", "v", "check every file", 2, letter("v")),
  bind("models", "cancel", "c", "stop the download", 3, letter("c")),
  bind("models", "again", "r", "look again", null, letter("r")),

  bind("doctor", "again", "r", "check again", 1, letter("r")),

  bind("run", "help", "?", "this help", 8, letter("?")),
  bind("list", "help", "?", "this help", 8, letter("?")),
  bind("dialog", "yes", "y", "yes", 1, letter("y", "Y")),
  bind("dialog", "no", "n Esc", "no", 2, (i, key) => letter("n", "N")(i, key) || key.escape),
  bind("dialog", "back", "Esc", "back", null, special("escape")),
];

/** Which scopes count on a screen, the most particular first. */
export const scopesOf = (screen: Screen, dialog: Dialog | null): readonly Scope[] => {
  if (dialog !== null) return ["dialog"];
  switch (screen) {
    case "compose":
      return ["form", "global"];
    case "run":
      return ["run", "global"];
    case "jobs":
    case "models":
    case "doctor":
      return [screen, "list", "global"];
  }
};

/** The command of a key on a screen, or null when the key is text or nothing. */
export const commandOf = (scopes: readonly Scope[], input: string, key: Key): Command | null => {
  for (const scope of scopes) {
    for (const binding of bindings) {
      if (binding.scope === scope && binding.matches(input, key)) return binding.command;
    }
  }
  // Away from the form nothing takes text: plain digits change the screen too.
  if (!scopes.includes("form") && !scopes.includes("dialog") && !key.ctrl && !key.meta) {
    return digits[input] ?? null;
  }
  return null;
};

const digits: Readonly<Record<string, Command>> = {
  "1": "showCompose",
  "2": "showRun",
  "3": "showJobs",
  "4": "showModels",
  "5": "showDoctor",
};

/** The bindings of a screen for help and footer, without those that a nearer scope hides. */
export const bindingsOf = (scopes: readonly Scope[]): readonly Binding[] => {
  const shown = new Set<string>();
  return scopes
    .flatMap((scope) => bindings.filter((binding) => binding.scope === scope))
    .filter((binding) => {
      if (shown.has(binding.shown)) return false;
      shown.add(binding.shown);
      return true;
    });
};
