// Reading a TOML file that holds settings: a preset, the user's config.toml, a project's
// framepack.toml. Every problem is told, with the key it is about; nothing unknown is passed over.

import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { didYouMean } from "./nearest.ts";
import { printable, quoted } from "./printable.ts";
import type { Problem } from "./problem.ts";
import { checkValue, type Settings, settingNamed, settings } from "./setting-keys.ts";

/** No sensible file comes near. */
const fileBytesMax = 256 * 1024;

export type SettingsFile = Readonly<{
  settings: Settings;
  /** Text of the keys that are no settings but allowed in this kind of file. */
  words: Readonly<Record<string, string>>;
  problems: readonly Problem[];
}>;

/** `words` are the keys with plain text that this kind of file may have besides settings. */
export const readSettingsFile = (path: string, words: readonly string[]): SettingsFile => {
  const text = readText(path);
  if (typeof text !== "string") return { settings: {}, words: {}, problems: [text] };
  return parseSettings(text, dirname(path), words);
};

export const parseSettings = (
  text: string,
  folder: string,
  words: readonly string[],
): SettingsFile => {
  let table: object;
  try {
    table = Bun.TOML.parse(text);
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error), 300);
    return { settings: {}, words: {}, problems: [{ path: "", message: `is no TOML: ${why}` }] };
  }
  const found: Record<string, unknown> = {};
  const spoken: Record<string, string> = {};
  const problems: Problem[] = [];
  for (const [name, raw] of Object.entries(table)) {
    const path = printable(name, 60);
    const one = settingNamed(name);
    if (words.includes(name)) {
      if (typeof raw === "string") spoken[name] = raw;
      else problems.push({ path, message: "must be text in quotes" });
    } else if (one === undefined) {
      problems.push({ path, message: `is no setting.${guess(name, words)}` });
    } else {
      const checked = checkValue(one, raw, folder);
      if ("problem" in checked) problems.push({ path, message: checked.problem });
      else found[one.key] = checked.value;
    }
  }
  return { settings: found as Settings, words: spoken, problems };
};

const guess = (name: string, words: readonly string[]): string =>
  didYouMean(name, [...settings.map((one) => one.name), ...words]);

const readText = (path: string): string | Problem => {
  try {
    const info = statSync(path);
    if (!info.isFile()) return { path: "", message: "is not a file" };
    if (info.size > fileBytesMax)
      return { path: "", message: "is too long for a file of settings" };
    const text = readFileSync(path, "utf8");
    if (text.includes("\0")) return { path: "", message: "is no text" };
    return text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { path: "", message: code === "ENOENT" ? "does not exist" : `cannot be read (${code})` };
  }
};

/** All problems of a file as one sentence's end: `seconds must be …; step is no setting.` */
export const fileProblems = (path: string, problems: readonly Problem[]): string => {
  const shown = problems.slice(0, 20).map((one) => `${one.path} ${one.message}`.trim());
  const more = problems.length > 20 ? [`and ${problems.length - 20} more`] : [];
  return `${quoted(path, 300)}: ${[...shown, ...more].join("; ").replace(/[.?]$/, "")}.`;
};
