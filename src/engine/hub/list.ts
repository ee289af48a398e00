// All models by name with what of them is here: the published ones and the embedded one.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ModelFolder, resolveModel } from "../config/model-folder.ts";
import { reportOf } from "../failure.ts";
import type { ModelStatus } from "../protocol.ts";
import { publishedModels } from "./manifest.ts";
import { modelStatus } from "./status.ts";

export type Listed = Readonly<{ status: ModelStatus; problem: string | undefined }>;

export const listModels = (cache: string): readonly Listed[] => [
  demo(),
  ...publishedModels.map((model) => {
    const status = modelStatus(model, cache);
    if (status.state === "complete") return { status, problem: undefined };
    return { status, problem: problemOf(model.name, cache) };
  }),
];

const demo = (): Listed => {
  const model = resolveModel("demo");
  const bytes = bytesOf(model);
  const status: ModelStatus = {
    name: "demo",
    title: "the embedded model: one small world of moving shapes",
    state: "complete",
    path: model.parts.transformer,
    bytesPresent: bytes,
    bytesTotal: bytes,
    licence: "Apache-2.0, as this program",
    missing: [],
  };
  return { status, problem: undefined };
};

/** Why a run would not take it. */
const problemOf = (name: string, cache: string): string => {
  try {
    resolveModel(name, { cache });
    return "Some of its files are missing.";
  } catch (error) {
    return reportOf(error).message;
  }
};

/** What the files of all parts take on disk; links into the cache are followed. */
const bytesOf = (model: ModelFolder): number =>
  Object.values(model.parts)
    .flatMap(filesOf)
    .reduce((sum, file) => sum + statSync(file).size, 0);

const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
