// framepack presets: list, show, validate. What a preset is: engine/presets.ts.

import { existsSync } from "node:fs";
import { Failure } from "../engine/failure.ts";
import { didYouMean } from "../engine/nearest.ts";
import { findPreset, listPresets, type Preset, presetFromFile } from "../engine/presets.ts";
import { jsonLine, printable, quoted } from "../engine/printable.ts";
import { problemText } from "../engine/problem.ts";
import { settings } from "../engine/setting-keys.ts";
import { parseFlags, toggle } from "./flags.ts";

const flags = { json: toggle("one JSON object on stdout") };
const actions = ["list", "show", "validate"];

export const run = async (args: readonly string[]): Promise<number> => {
  const options = { usage: "[list|show NAME|validate [NAME|FILE…]]", rest_max: 100 };
  const { flags: given, rest } = parseFlags("presets", flags, args, options);
  const [action = "list", ...names] = rest;
  const json = given.json === true;
  switch (action) {
    case "list":
      return list(json);
    case "show":
      return show(names[0], json);
    case "validate":
      return validate(names, json);
    default:
      throw new Failure(
        "usage.unknown-action",
        `framepack presets cannot ${quoted(action, 40)}.${didYouMean(action, actions)}`,
        { hint: "It can list, show and validate." },
      );
  }
};

const list = (json: boolean): number => {
  const presets = listPresets();
  if (json) {
    console.log(jsonLine(presets.map(dataOf)));
    return 0;
  }
  const width = Math.max(...presets.map(({ name }) => printable(name).length));
  for (const { name, description, origin, problems } of presets) {
    const mine = origin === "user" ? " (yours)" : "";
    const broken = problems.length > 0 ? " (does not validate)" : "";
    console.log(`${printable(name).padEnd(width)}  ${printable(description, 300)}${mine}${broken}`);
  }
  return 0;
};

const show = (name: string | undefined, json: boolean): number => {
  if (name === undefined) {
    throw new Failure("usage.preset-missing", "framepack presets show needs the name of a preset.");
  }
  const preset = findPreset(name);
  if (json) {
    console.log(jsonLine(dataOf(preset)));
    return 0;
  }
  console.log(`${printable(preset.name)}: ${printable(preset.description, 300)}`);
  if (preset.picture !== "") console.log(`Picture: ${printable(preset.picture, 300)}`);
  console.log(`From ${printable(preset.path, 4096)} (${preset.origin})`);
  for (const one of settings) {
    const value = preset.settings[one.key];
    if (value !== undefined)
      console.log(`${one.name} = ${printable(JSON.stringify(value), 11_000)}`);
  }
  for (const problem of preset.problems) console.log(`Problem: ${printable(problemText(problem))}`);
  return 0;
};

const validate = (names: readonly string[], json: boolean): number => {
  const presets = names.length === 0 ? listPresets() : names.map(presetAt);
  const failed = presets.filter(({ problems }) => problems.length > 0);
  if (json) console.log(jsonLine(presets.map(dataOf)));
  else {
    for (const { name, path, problems } of presets) {
      if (problems.length === 0) console.log(`${printable(name)}: valid`);
      for (const problem of problems) {
        console.log(`${printable(path, 4096)}: ${printable(problemText(problem))}`);
      }
    }
  }
  return failed.length === 0 ? 0 : 2;
};

/** A file where there is one, else the preset of that name. */
const presetAt = (word: string): Preset =>
  word.includes("/") || word.endsWith(".toml") || existsSync(word)
    ? presetFromFile(word)
    : findPreset(word);

const dataOf = ({
  name,
  path,
  origin,
  description,
  picture,
  settings: values,
  problems,
}: Preset) => ({
  name,
  path,
  origin,
  description,
  picture,
  settings: values,
  problems,
});
