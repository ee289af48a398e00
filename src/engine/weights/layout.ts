// Which files of a folder hold a network's weights: one file, or shards listed by an index.
// Knows the names that published folders use. Symlinks (cache snapshots) are followed.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { JsonProblem, parseStrictJson } from "./strict-json.ts";

/** Where the tensors are: all of one file, or the named ones of several. */
export type WeightLayout = Readonly<
  | { kind: "single"; file: string }
  | { kind: "sharded"; index: string; shards: ReadonlyMap<string, readonly string[]> }
>;

const stems = ["diffusion_pytorch_model", "model"] as const;
const variants = ["bf16", "fp16"] as const;
const index_bytes_max = 50_000_000;

/** `path` is a folder with weights, or one .safetensors file. */
export const findWeights = (path: string): WeightLayout => {
  if (path.endsWith(".safetensors") && existsSync(path) && statSync(path).isFile()) {
    return { kind: "single", file: path };
  }
  const names = listFolder(path);
  const known = candidates.find((name) => names.includes(name)) ?? onlyOne(path, names);
  if (known === undefined) throw noWeights(path, names);
  const file = join(path, known);
  if (!existsSync(file)) {
    throw missing(`${quoted(file, 300)} is a link to a file that is not there.`);
  }
  if (!known.endsWith(".json")) return { kind: "single", file };
  return { kind: "sharded", index: file, shards: readIndex(path, file) };
};

const candidates: readonly string[] = [
  ...stems.map((stem) => `${stem}.safetensors`),
  ...stems.map((stem) => `${stem}.safetensors.index.json`),
  ...variants.flatMap((v) => stems.map((stem) => `${stem}.${v}.safetensors`)),
  ...variants.flatMap((v) => stems.map((stem) => `${stem}.safetensors.index.${v}.json`)),
];

const missing = (message: string): Failure =>
  new Failure("model.missing", message, {
    hint: "Fetch the model again, or give another folder with --model.",
  });

const listFolder = (path: string): readonly string[] => {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    throw new Failure("model.missing", `There is no folder ${quoted(path, 300)} with weights.`, {
      hint: "Give another folder with --model, or fetch the model first.",
      cause: error,
    });
  }
};

/** A folder with unusual names is taken if it leaves no doubt: one index, or else one file. */
const onlyOne = (path: string, names: readonly string[]): string | undefined => {
  const indices = names.filter((name) => name.endsWith(".safetensors.index.json"));
  const files = names.filter((name) => name.endsWith(".safetensors"));
  if (indices.length === 1) return indices[0];
  if (files.length <= 1) return files[0];
  const some = files.slice(0, 3).map((name) => quoted(name));
  throw missing(
    `${quoted(path, 300)} holds several weight files and no index: ${some.join(", ")}.`,
  );
};

const noWeights = (path: string, names: readonly string[]): Failure => {
  const old = names.find((name) => /\.(bin|pt|pth|ckpt|gguf)$/.test(name));
  if (old === undefined) return missing(`${quoted(path, 300)} holds no .safetensors file.`);
  return missing(`${quoted(path, 300)} holds ${quoted(old)}, but only .safetensors can be read.`);
};

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Shard path → names of the tensors that the index puts there. */
const readIndex = (folder: string, file: string): ReadonlyMap<string, readonly string[]> => {
  const shards = new Map<string, string[]>();
  for (const [tensor, shard] of Object.entries(parseIndex(file).weight_map)) {
    const names = shards.get(shard);
    if (names === undefined) shards.set(shard, [tensor]);
    else names.push(tensor);
  }
  const found = new Map<string, readonly string[]>();
  for (const [shard, names] of shards) {
    if (!/^[\w.-]+\.safetensors$/.test(shard)) {
      throw badIndex(file, `names ${quoted(shard)}, which is no plain file name`);
    }
    const path = join(folder, shard);
    if (!existsSync(path))
      throw missing(`${quoted(path, 300)} is missing, and its index wants it.`);
    found.set(path, names);
  }
  if (found.size === 0) throw badIndex(file, "names no tensor");
  return found;
};

const parseIndex = (file: string): z.infer<typeof indexSchema> => {
  try {
    const { size } = statSync(file);
    if (size > index_bytes_max) throw new JsonProblem(`is ${size} bytes long, which is too much`);
    const parsed = indexSchema.safeParse(parseStrictJson(readFileSync(file, "utf8"), 4));
    if (!parsed.success) throw new JsonProblem("has no weight_map of names");
    return parsed.data;
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    throw badIndex(file, error.message, error);
  }
};

const badIndex = (file: string, why: string, cause?: unknown): Failure =>
  new Failure("model.corrupt", `The index ${quoted(file, 300)} ${why}.`, { cause });
