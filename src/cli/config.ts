// framepack config: show every setting with where it comes from, explain one, say which files are
// read.

import { existsSync } from "node:fs";
import { Failure } from "../engine/failure.ts";
import { didYouMean } from "../engine/nearest.ts";
import { userPresets } from "../engine/presets.ts";
import { jsonLine, printable, quoted } from "../engine/printable.ts";
import { settingNamed, settings } from "../engine/setting-keys.ts";
import {
  explain,
  projectConfigPath,
  type Resolved,
  resolveSettings,
  userConfigPath,
} from "../engine/settings.ts";
import { type Flags, parseFlags, toggle } from "./flags.ts";
import { settingFlags, settingsOf } from "./setting-flags.ts";

const actions = ["show", "explain", "path"];

export const run = async (args: readonly string[]): Promise<number> => {
  const spec: Flags = { ...settingFlags(), json: toggle("one JSON object on stdout") };
  const options = { usage: "[show|explain KEY|path]", rest_max: 2 };
  const { flags, rest } = parseFlags("config", spec, args, options);
  const [action = "show", key] = rest;
  const json = flags.json === true;
  const preset = typeof flags.preset === "string" ? flags.preset : undefined;
  switch (action) {
    case "show":
      return show(resolveSettings({ flags: settingsOf(flags), preset }), json);
    case "explain":
      return explainOne(resolveSettings({ flags: settingsOf(flags), preset }), key, json);
    case "path":
      return paths(json);
    default:
      throw new Failure(
        "usage.unknown-action",
        `framepack config cannot ${quoted(action, 40)}.${didYouMean(action, actions)}`,
        { hint: "It can show, explain KEY and path." },
      );
  }
};

const show = (resolved: Resolved, json: boolean): number => {
  const rows = settings.map(({ key, name }) => {
    const [winner] = explain(resolved, key);
    return { name, value: winner?.value ?? null, source: winner?.source ?? "not set" };
  });
  if (json) {
    console.log(jsonLine({ preset: resolved.values.preset, settings: rows }));
    return 0;
  }
  const width = Math.max(...rows.map(({ name }) => name.length));
  for (const { name, value, source } of rows) {
    console.log(`${name.padEnd(width)} = ${shown(value).padEnd(12)}  ${printable(source, 4096)}`);
  }
  return 0;
};

const explainOne = (resolved: Resolved, name: string | undefined, json: boolean): number => {
  const one = name === undefined ? undefined : settingNamed(name);
  if (one === undefined) {
    const known = settings.map((setting) => setting.name);
    const what =
      name === undefined
        ? "framepack config explain needs the name of a setting."
        : `There is no setting ${quoted(name, 60)}.${didYouMean(name, known)}`;
    throw new Failure("usage.unknown-setting", what, {
      hint: "framepack config show lists them.",
    });
  }
  const layers = explain(resolved, one.key);
  if (json) {
    console.log(jsonLine({ name: one.name, about: one.about, layers }));
    return 0;
  }
  console.log(`${one.name}: ${one.about}`);
  const [winner, ...others] = layers;
  if (winner === undefined) console.log("It is not set.");
  else console.log(`= ${shown(winner.value)}  from ${printable(winner.source, 4096)}`);
  for (const { source, value } of others) {
    console.log(`  ${shown(value)}  from ${printable(source, 4096)}, overridden`);
  }
  return 0;
};

const paths = (json: boolean): number => {
  const files = [
    { what: "project", path: projectConfigPath(process.cwd()) },
    { what: "user", path: userConfigPath() },
    { what: "presets", path: userPresets() },
  ].map((file) => ({ ...file, exists: existsSync(file.path) }));
  if (json) {
    console.log(jsonLine(files));
    return 0;
  }
  for (const { what, path, exists } of files) {
    console.log(`${what.padEnd(8)} ${printable(path, 4096)}${exists ? "" : " (not there)"}`);
  }
  return 0;
};

const shown = (value: unknown): string =>
  value === null || value === undefined ? "–" : printable(JSON.stringify(value), 200);
