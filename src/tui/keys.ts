// Every key of the interface once: what handles keys and what help shows are made from this table. What a key does is said
// where its screen handles the command.

import type { Key } from "ink";
import type { State } from "./state.ts";

/** Where a key counts. "plain": every screen where nothing takes text; "list": every screen that is a list. */
export type Scope =
  | "global"
  | "lost"
  | "form"
  | "choose"
  | "browse"
  | "plain"
  | "run"
  | "list"
  | "jobs"
  | "models"
  | "doctor"
  | "question"
  | "page";

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
  | "parent"
  | "take"
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
  | "again"
  | "reconnect"
  | "yes"
  | "no";

export type Binding = Readonly<{
  scope: Scope;
  command: Command;
  /** As help shows it. */
  shown: string;
  about: string;
  /** The footer's few words, and their rank there; null: only in help. */
  footer: readonly [rank: number, words: string] | null;
  matches: (input: string, key: Key) => boolean;
}>;

type Matches = Binding["matches"];

const letter =
  (...letters: readonly string[]): Matches =>
  (input, key) =>
    !key.ctrl && !key.meta && letters.includes(input);
const control =
  (name: string): Matches =>
  (input, key) =>
    key.ctrl && input === name;
const alt =
  (name: string): Matches =>
  (input, key) =>
    key.meta && !key.escape && input === name;
const special =
  (name: keyof Key): Matches =>
  (_input, key) =>
    key[name] === true;
const either =
  (...ways: readonly Matches[]): Matches =>
  (input, key) =>
    ways.some((way) => way(input, key));

const tab: Matches = (_input, key) => key.tab && !key.shift;
const shiftTab: Matches = (_input, key) => key.tab && key.shift;
const enter: Matches = (_input, key) => key.return && !key.meta && !key.shift;

const bind = (
  scope: Scope,
  command: Command,
  shown: string,
  about: string,
  footer: Binding["footer"],
  matches: Matches,
): Binding => ({ scope, command, shown, about, footer, matches });

// Function keys arrive here as Alt keys: F1 is Alt-?, F2 to F6 are Alt-1 to Alt-5 (terminal-input.ts).
export const bindings: readonly Binding[] = [
  bind("lost", "reconnect", "Ctrl-G", "connect to the engine again", [0, "go on"], control("g")),

  bind("form", "start", "Ctrl-S", "start the job", [1, "start"], control("s")),
  bind("form", "nextField", "Tab ↓ Enter", "next field", [2, "next"], either(tab, enter)),
  bind("form", "previousField", "Shift-Tab ↑", "field before", null, shiftTab),
  bind("form", "browse", "Ctrl-F", "choose a picture from the disk", [3, "files"], control("f")),
  bind("form", "quickPrompt", "Ctrl-P", "a ready-made prompt", [4, "prompts"], control("p")),
  bind("form", "history", "Ctrl-R", "a prompt used before", [5, "used before"], control("r")),
  bind("form", "expert", "Ctrl-E", "more or fewer settings", [6, "settings"], control("e")),
  bind("form", "clear", "Ctrl-U", "empty the field", null, control("u")),

  bind("choose", "up", "↑", "row above", null, special("upArrow")),
  bind("choose", "down", "↓", "row below", null, special("downArrow")),
  bind(
    "choose",
    "first",
    "Home PgUp",
    "first row",
    null,
    either(special("home"), special("pageUp")),
  ),
  bind("choose", "last", "End PgDn", "last row", null, either(special("end"), special("pageDown"))),
  bind("choose", "take", "Enter", "take this one", [1, "take"], special("return")),
  bind("choose", "back", "Esc", "back to the form", [2, "back"], special("escape")),
  bind(
    "browse",
    "parent",
    "← Backspace",
    "the folder above",
    [3, "up"],
    either(special("leftArrow"), special("backspace"), special("delete")),
  ),

  bind("run", "detach", "d q", "leave; the job goes on", [1, "leave it running"], letter("d", "q")),
  bind("run", "cancel", "c", "cancel the job; what is finished stays", [2, "cancel"], letter("c")),
  bind("run", "loop", "l", "what moves: latents or the video so far", [3, "loop"], letter("l")),
  bind("run", "copyPath", "y", "copy the video's path", [5, "copy path"], letter("y")),
  bind("run", "recipe", "i", "the job's recipe", [6, "recipe"], letter("i")),
  bind("run", "resume", "g", "go on with a stopped job", [4, "go on"], letter("g")),

  bind("jobs", "open", "Enter", "watch the job", [1, "watch"], special("return")),
  bind("jobs", "cancel", "c", "cancel", [2, "cancel"], letter("c")),
  bind("jobs", "retry", "r", "run again from the start", [3, "again"], letter("r")),
  bind("jobs", "resume", "g", "go on where it stopped", [4, "go on"], letter("g")),
  bind("jobs", "moveUp", "K", "earlier in the queue", null, letter("K")),
  bind("jobs", "moveDown", "J", "later in the queue", null, letter("J")),
  bind("jobs", "copySettings", "e", "its settings for a new job", [5, "reuse"], letter("e")),
  bind("jobs", "copyPath", "y", "copy the video's path", [6, "copy path"], letter("y")),
  bind("jobs", "recipe", "i", "the job's recipe", null, letter("i")),
  bind("jobs", "forget", "x", "off the list; the video stays", null, letter("x")),

  bind("models", "pull", "p", "download what is missing", [1, "download"], letter("p")),
  bind("models", "verify", "v", "check every file", [2, "verify"], letter("v")),
  bind("models", "cancel", "c", "stop the download", [3, "stop"], letter("c")),
  bind("models", "again", "r", "look again", [4, "look again"], letter("r")),

  bind("doctor", "again", "r", "check again", [1, "check again"], letter("r")),

  bind("list", "up", "↑ k", "row above", null, either(special("upArrow"), letter("k"))),
  bind("list", "down", "↓ j", "row below", null, either(special("downArrow"), letter("j"))),
  bind("list", "first", "Home", "first row", null, special("home")),
  bind("list", "last", "End", "last row", null, special("end")),

  bind("question", "yes", "y", "yes", [1, "yes"], letter("y", "Y")),
  bind("question", "no", "n Esc", "no", [2, "no"], either(letter("n", "N"), special("escape"))),
  bind("page", "up", "↑ k", "line above", [2, "up"], either(special("upArrow"), letter("k"))),
  bind("page", "down", "↓ j", "line below", [3, "down"], either(special("downArrow"), letter("j"))),
  bind(
    "page",
    "back",
    "Esc q Enter",
    "back",
    [1, "back"],
    either(special("escape"), special("return"), letter("q", "?")),
  ),

  bind("plain", "help", "?", "this help", [8, "help"], letter("?")),
  bind("plain", "showCompose", "1", "write a new job", null, letter("1")),
  bind("plain", "showRun", "2", "watch the running job", null, letter("2")),
  bind("plain", "showJobs", "3", "queue and history", null, letter("3")),
  bind("plain", "showModels", "4", "models on this machine", null, letter("4")),
  bind("plain", "showDoctor", "5", "what this machine can do", null, letter("5")),
  bind("global", "help", "F1 Alt-?", "this help", [9, "help"], alt("?")),
  bind("global", "showCompose", "F2 Alt-1", "write a new job", null, alt("1")),
  bind("global", "showRun", "F3 Alt-2", "watch the running job", null, alt("2")),
  bind("global", "showJobs", "F4 Alt-3", "queue and history", null, alt("3")),
  bind("global", "showModels", "F5 Alt-4", "models on this machine", null, alt("4")),
  bind("global", "showDoctor", "F6 Alt-5", "what this machine can do", null, alt("5")),
  bind("global", "redraw", "Ctrl-L", "draw the screen again", null, control("l")),
  bind("global", "quit", "Ctrl-C", "leave; a running job goes on", [10, "leave"], control("c")),
];

/** Which scopes count now, the most particular first. */
export const scopesOf = (
  state: Readonly<{
    screen: State["screen"];
    dialog: State["dialog"];
    connection: Readonly<{ state: State["connection"]["state"] }>;
    compose: Readonly<{ over: Readonly<{ kind: string }> | null }>;
  }>,
): readonly Scope[] => {
  const always: Scope[] = state.connection.state === "lost" ? ["lost", "global"] : ["global"];
  const { dialog, screen } = state;
  if (dialog !== null) {
    const asks = dialog.kind === "cancelJob" || dialog.kind === "pullModel";
    return [asks ? "question" : "page", ...always];
  }
  switch (screen) {
    case "compose": {
      const { over } = state.compose;
      if (over === null) return ["form", ...always];
      return over.kind === "browse" ? ["browse", "choose", ...always] : ["choose", ...always];
    }
    case "run":
      return ["run", "plain", ...always];
    case "jobs":
    case "models":
    case "doctor":
      return [screen, "list", "plain", ...always];
  }
};

/** The command of a key, or null when the key is text or nothing. */
export const commandOf = (scopes: readonly Scope[], input: string, key: Key): Command | null => {
  for (const scope of scopes) {
    for (const binding of bindings) {
      if (binding.scope === scope && binding.matches(input, key)) return binding.command;
    }
  }
  return null;
};

/** The bindings that count now, one line a command, for help and footer: the nearest scope's first. */
export const bindingsOf = (scopes: readonly Scope[]): readonly Binding[] => {
  const seen = new Set<Command>();
  return scopes
    .flatMap((scope) => bindings.filter((binding) => binding.scope === scope))
    .filter(({ command }) => {
      if (seen.has(command)) return false;
      seen.add(command);
      return true;
    });
};
