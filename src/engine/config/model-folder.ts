// From what the user calls a model (a folder, a repository, a short name) to the folders of its
// parts: one complete folder, or a transformer whose other parts lie in the shared cache.

import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Failure } from "../failure.ts";
import { didYouMean } from "../nearest.ts";
import { quoted } from "../printable.ts";
import { findSnapshot, hubCache } from "./cache.ts";
import { type FramepackSettings, readFramepackJson } from "./framepack-json.ts";
import {
  type KnownModel,
  knownModels,
  type PartName,
  partNames,
  sharedParts,
  type Variant,
} from "./known-models.ts";
import { readConfig } from "./read.ts";
import { transformerClasses } from "./transformer.ts";

export type ModelFolder = Readonly<{
  /** What the user said. */
  name: string;
  /** The folder of each part. */
  parts: Readonly<Record<PartName, string>>;
  settings: FramepackSettings;
  /** How its sections are made, where that is known; a preset or flag may say otherwise. */
  variant: Variant | undefined;
}>;

export type ResolveOptions = Readonly<{ cache?: string | undefined }>;

/** The demo model that comes with the program. */
export const demoFolder = fileURLToPath(new URL("../../../demo/model", import.meta.url));

/** `name` is a folder, "ORG/NAME" in the cache, a short name, or "demo". */
export const resolveModel = (name: string, options: ResolveOptions = {}): ModelFolder => {
  const cache = options.cache ?? hubCache();
  const known = knownModels.find((m) => m.name === name || m.transformer.repo === name);
  if (known !== undefined) return publishedModel(name, known, cache);
  const folder = name === "demo" ? demoFolder : resolve(name);
  if (existsSync(folder) && statSync(folder).isDirectory()) return localModel(name, folder, cache);
  const snapshot = /^[\w.-]+\/[\w.-]+$/.test(name) ? findSnapshot(name, cache) : undefined;
  if (snapshot !== undefined) return localModel(name, snapshot, cache);
  const names = ["demo", ...knownModels.map((model) => model.name)];
  throw new Failure(
    "model.missing",
    `There is no model ${quoted(name, 200)}: no such folder, and nothing in the cache.${didYouMean(name, names)}`,
    { hint: "framepack models list shows what is there." },
  );
};

const publishedModel = (name: string, known: KnownModel, cache: string): ModelFolder => {
  const { repo, revision } = known.transformer;
  const transformer = findSnapshot(repo, cache, revision);
  const model = { name, variant: known.variant, transformer };
  return splitModel(model, cache, `framepack models pull ${known.name} fetches it.`);
};

const localModel = (name: string, folder: string, cache: string): ModelFolder => {
  if (!existsSync(join(folder, "transformer"))) {
    if (!isTransformer(join(folder, "config.json"))) throw noModel(folder);
    const variant = knownModels.find((model) => folder.includes(repoTail(model)))?.variant;
    const model = { name, variant, transformer: folder };
    return splitModel(model, cache, "framepack models pull framepack fetches the shared parts.");
  }
  const parts = partNames.map((part) => [part, join(folder, part)] as const);
  return complete({ name, folder, parts, variant: undefined }, "Give another folder with --model.");
};

type Split = Readonly<{
  name: string;
  variant: Variant | undefined;
  transformer: string | undefined;
}>;

/** A transformer of its own, everything else from the shared repositories. */
const splitModel = (
  { name, variant, transformer }: Split,
  cache: string,
  hint: string,
): ModelFolder => {
  const parts = partNames.map((part): readonly [PartName, string | undefined] => {
    if (part === "transformer") return [part, transformer];
    const { repo, revision, folder } = sharedParts[part];
    const snapshot = findSnapshot(repo, cache, revision);
    return [part, snapshot === undefined ? undefined : join(snapshot, folder)];
  });
  return complete({ name, folder: transformer ?? cache, parts, variant }, hint);
};

type Candidate = Readonly<{
  name: string;
  folder: string;
  parts: readonly (readonly [PartName, string | undefined])[];
  variant: Variant | undefined;
}>;

/** Every part has to be there; all that are not are told at once. */
const complete = ({ name, folder, parts, variant }: Candidate, hint: string): ModelFolder => {
  const absent = parts.filter(([, path]) => path === undefined || !existsSync(path));
  if (absent.length > 0) {
    const list = absent.map(([part]) => part).join(", ");
    throw new Failure("model.missing", `The model ${quoted(name, 200)} lacks: ${list}.`, { hint });
  }
  return {
    name,
    parts: Object.fromEntries(parts) as Readonly<Record<PartName, string>>,
    settings: readFramepackJson(folder),
    variant,
  };
};

const classSchema = z.object({ _class_name: z.string().optional() });

const isTransformer = (config: string): boolean => {
  if (!existsSync(config)) return false;
  const { _class_name } = readConfig(config, classSchema);
  return transformerClasses.some((name) => name === _class_name);
};

const noModel = (folder: string): Failure => {
  const config = join(folder, "config.json");
  const found = existsSync(config) ? readConfig(config, classSchema)._class_name : undefined;
  const what =
    found === undefined
      ? "it has neither a transformer folder nor a transformer's config.json"
      : `its config.json is of a ${quoted(found, 60)}, which is another architecture`;
  return new Failure(
    "model.architecture",
    `${quoted(folder, 300)} is no FramePack model: ${what}.`,
    {
      hint: "framepack models list shows what is there.",
    },
  );
};

const repoTail = (model: KnownModel): string => model.transformer.repo.split("/")[1] ?? "";
