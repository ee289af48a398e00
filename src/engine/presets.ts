// Presets: named sets of settings in TOML files, those that come with the program and the user's
// own. A user's preset takes the place of a built-in one of the same name.

import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure } from "./failure.ts";
import { isFolder } from "./is-folder.ts";
import { didYouMean } from "./nearest.ts";
import { configDir } from "./paths.ts";
import { quoted } from "./printable.ts";
import type { Problem } from "./problem.ts";
import type { Settings } from "./setting-keys.ts";
import { fileProblems, readSettingsFile } from "./settings-file.ts";

export type Preset = Readonly<{
  name: string;
  path: string;
  origin: "built-in" | "user";
  /** One sentence for lists. */
  description: string;
  /** What kind of picture it is meant for; empty when any will do. */
  picture: string;
  settings: Settings;
  problems: readonly Problem[];
}>;

/** Keys of a preset besides settings. */
const presetWords = ["description", "picture"];
const nameShape = /^[a-z0-9][a-z0-9._-]{0,63}$/;

export const builtInPresets = fileURLToPath(new URL("../../presets", import.meta.url));
export const userPresets = (): string => join(configDir(), "presets");

export type PresetFolders = Readonly<{ builtIn: string; user: string }>;
const folders = (): PresetFolders => ({ builtIn: builtInPresets, user: userPresets() });

/** All presets by name, whether they validate or not. */
export const listPresets = ({ builtIn, user }: PresetFolders = folders()): readonly Preset[] => {
  const found = new Map<string, Preset>();
  for (const name of namesIn(builtIn)) found.set(name, read(builtIn, name, "built-in"));
  for (const name of namesIn(user)) found.set(name, read(user, name, "user"));
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
};

/** A preset that can be used, or a Failure that tells every problem of it. */
export const loadPreset = (name: string, places: PresetFolders = folders()): Preset => {
  const preset = findPreset(name, places);
  if (preset.problems.length > 0) {
    throw new Failure(
      "usage.preset-invalid",
      `The preset ${fileProblems(preset.path, preset.problems)}`,
      { hint: "Correct it; framepack presets validate checks it again." },
    );
  }
  return preset;
};

/** A preset by name as it is, problems included. */
export const findPreset = (name: string, { builtIn, user }: PresetFolders = folders()): Preset => {
  if (nameShape.test(name)) {
    if (existsSync(join(user, `${name}.toml`))) return read(user, name, "user");
    if (existsSync(join(builtIn, `${name}.toml`))) return read(builtIn, name, "built-in");
  }
  const names = [...namesIn(builtIn), ...namesIn(user)];
  throw new Failure(
    "usage.unknown-preset",
    `There is no preset ${quoted(name, 60)}.${didYouMean(name, names)}`,
    { hint: "framepack presets list shows them." },
  );
};

/** A preset from a file anywhere, as `presets validate FILE` reads it. */
export const presetFromFile = (path: string): Preset => {
  const name = basename(path, ".toml");
  const { settings, words, problems } = readSettingsFile(path, presetWords);
  const unnamed = nameShape.test(name)
    ? []
    : [{ path: "", message: "must be named in small letters, digits, dots and dashes" }];
  const undescribed =
    problems.length === 0 && !words.description
      ? [{ path: "description", message: "must say in a sentence what the preset is for" }]
      : [];
  return {
    name,
    path,
    origin: "user",
    description: words.description ?? "",
    picture: words.picture ?? "",
    settings,
    problems: [...unnamed, ...undescribed, ...problems],
  };
};

const read = (folder: string, name: string, origin: Preset["origin"]): Preset => ({
  ...presetFromFile(join(folder, `${name}.toml`)),
  origin,
});

const namesIn = (folder: string): readonly string[] => {
  if (!isFolder(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".toml"))
    .map((file) => basename(file, ".toml"))
    .sort();
};
