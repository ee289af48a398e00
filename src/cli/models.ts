// framepack models: which models are on this machine, and where their parts lie. Reads only.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { hubCache } from "../engine/config/cache.ts";
import { knownModels, type PartName, partNames } from "../engine/config/known-models.ts";
import { type ModelFolder, resolveModel } from "../engine/config/model-folder.ts";
import { exitCodes, Failure, reportOf } from "../engine/failure.ts";
import { didYouMean } from "../engine/nearest.ts";
import { quoted } from "../engine/printable.ts";
import { parseFlags, text, toggle } from "./flags.ts";

const modelFlags = {
  cache: text("FOLDER", "the Hugging Face cache to look into"),
  json: toggle("one line of JSON a model or part"),
};

const actions = ["list", "path"] as const;
const usage = "list | path MODEL [PART]";

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("models", modelFlags, args, { usage, rest_max: 3 });
  const [action, name, part] = rest;
  const options = { cache: flags.cache ?? hubCache(), json: flags.json ?? false };
  if (action === "list" && name === undefined) return list(options);
  if (action === "path" && name !== undefined) return path(name, part, options);
  const guess = action === undefined ? "" : didYouMean(action, actions);
  throw new Failure("usage.models", `framepack models takes: ${usage}.${guess}`, {
    hint: "framepack models --help lists its flags.",
  });
};

type Options = Readonly<{ cache: string; json: boolean }>;

const list = ({ cache, json }: Options): number => {
  const rows = [
    { name: "demo", about: "the embedded model: one small world of moving shapes" },
    ...knownModels,
  ].map(({ name, about }) => ({ name, about, ...stateOf(name, cache) }));
  for (const row of rows) {
    if (json) console.log(JSON.stringify({ type: "model", ...row }));
    else console.log(`${row.name.padEnd(14)} ${shown(row).padEnd(12)} ${row.about}`);
  }
  if (!json) console.error(`The cache is ${cache}.`);
  return exitCodes.ok;
};

type State = Readonly<{ isComplete: boolean; bytes: number; problem?: string }>;

const stateOf = (name: string, cache: string): State => {
  try {
    const model = resolveModel(name, { cache });
    return { isComplete: true, bytes: bytesOf(model) };
  } catch (error) {
    return { isComplete: false, bytes: 0, problem: reportOf(error).message };
  }
};

const shown = ({ isComplete, bytes }: State): string => {
  if (!isComplete) return "not here";
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
};

/** What the files of all parts take on disk; links into the cache are followed. */
const bytesOf = (model: ModelFolder): number => {
  const folders = [...new Set(Object.values(model.parts))];
  return folders.flatMap(filesOf).reduce((sum, file) => sum + statSync(file).size, 0);
};

const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());

const path = (name: string, part: string | undefined, { cache, json }: Options): number => {
  const { parts } = resolveModel(name, { cache });
  if (part !== undefined && !isPart(part)) {
    const message = `A model has no part ${quoted(part, 40)}.${didYouMean(part, partNames)}`;
    throw new Failure("usage.part", message, { hint: `Parts are: ${partNames.join(", ")}.` });
  }
  for (const each of part === undefined ? partNames : [part]) {
    const folder = parts[each];
    if (json) console.log(JSON.stringify({ type: "part", part: each, path: folder }));
    else console.log(part === undefined ? `${each.padEnd(18)} ${folder}` : folder);
  }
  return exitCodes.ok;
};

const isPart = (word: string): word is PartName => partNames.some((part) => part === word);
