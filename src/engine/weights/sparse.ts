// The published model as sparse files: real names, shapes, dtypes, shards and lengths, all weights
// zero, hardly any disk. For trying download paths, plans and loaders at full size without weights.

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import type { Variant } from "../config/known-models.ts";
import { demoFolder } from "../config/model-folder.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import {
  type PublishedNetwork,
  type PublishedTensor,
  publishedNetworks,
  publishedPreprocessor,
} from "./published-shapes.ts";
import type { FileDtype } from "./safetensors.ts";

export type SparseModel = Readonly<{ files: number; tensors: number; bytes: number }>;

type Place = Readonly<{ stem: string; shard_bytes_max: number }>;

/** File names and the limits under which the published files were split. */
const places: Readonly<Record<keyof ReturnType<typeof publishedNetworks>, Place>> = {
  transformer: { stem: "diffusion_pytorch_model", shard_bytes_max: 10e9 },
  text_encoder: { stem: "model", shard_bytes_max: 5e9 },
  text_encoder_2: { stem: "model", shard_bytes_max: 5e9 },
  image_encoder: { stem: "model", shard_bytes_max: 5e9 },
  vae: { stem: "diffusion_pytorch_model", shard_bytes_max: 10e9 },
};

/** Fills an empty or new folder with a complete model. */
export const writeSparseModel = async (
  folder: string,
  variant: Variant = "inverted",
): Promise<SparseModel> => {
  try {
    mkdirSync(folder, { recursive: true });
    if (readdirSync(folder).length > 0) {
      throw new Failure("output.exists", `The folder ${quoted(folder, 300)} is not empty.`, {
        hint: "Give a new one.",
      });
    }
    const written = Object.entries(publishedNetworks()).map(([part, network]) =>
      writeNetwork(join(folder, part), network, places[part as keyof typeof places]),
    );
    mkdirSync(join(folder, "feature_extractor"));
    writeJson(join(folder, "feature_extractor", "preprocessor_config.json"), publishedPreprocessor);
    for (const part of ["tokenizer", "tokenizer_2"]) await copyTokenizer(part, folder);
    writeJson(join(folder, "model_index.json"), { _class_name: "FramePack", order: variant });
    const sum = (pick: (each: SparseModel) => number) =>
      written.reduce((all, each) => all + pick(each), 0);
    return {
      files: sum((w) => w.files),
      tensors: sum((w) => w.tensors),
      bytes: sum((w) => w.bytes),
    };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      "output.sparse",
      `${quoted(folder, 300)} cannot be filled with sparse files.`,
      {
        hint: "The file system must take sparse files of 10 GB.",
        cause: error,
      },
    );
  }
};

/** Small stand-ins that work: the embedded model's. */
const copyTokenizer = async (part: string, folder: string): Promise<void> => {
  mkdirSync(join(folder, part));
  for (const name of readdirSync(join(demoFolder, part))) {
    await copyFile(join(demoFolder, part, name), join(folder, part, name));
  }
};

const writeNetwork = (folder: string, network: PublishedNetwork, place: Place): SparseModel => {
  mkdirSync(folder);
  writeJson(join(folder, "config.json"), network.config);
  const shards = split(network, place.shard_bytes_max);
  const count = String(shards.length).padStart(5, "0");
  const weightMap: Record<string, string> = {};
  let bytes = 0;
  for (const [i, tensors] of shards.entries()) {
    const number = String(i + 1).padStart(5, "0");
    const suffix = shards.length === 1 ? "" : `-${number}-of-${count}`;
    const name = `${place.stem}${suffix}.safetensors`;
    bytes += writeSparseFile(join(folder, name), tensors, network.stored);
    for (const tensor of tensors) weightMap[tensor.name] = name;
  }
  if (shards.length > 1) {
    const index = { metadata: { total_size: bytes }, weight_map: weightMap };
    writeJson(join(folder, `${place.stem}.safetensors.index.json`), index);
  }
  return { files: shards.length, tensors: network.tensors.length, bytes };
};

/** Tensor by tensor into a file, until the next one would go over the limit. */
const split = (
  { tensors, stored }: PublishedNetwork,
  bytes_max: number,
): readonly (readonly PublishedTensor[])[] => {
  const shards: PublishedTensor[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor, stored);
    if (bytes > room) {
      shards.push([]);
      room = bytes_max;
    }
    shards.at(-1)?.push(tensor);
    room -= bytes;
  }
  return shards;
};

const elementBytes: Readonly<Partial<Record<FileDtype, number>>> = { F32: 4, F16: 2, BF16: 2 };

const bytesOf = ({ dims }: PublishedTensor, stored: FileDtype): number =>
  dims.reduce((all, dim) => all * dim, elementBytes[stored] ?? 1);

/** The header for real, the data as one hole of the right length. */
export const writeSparseFile = (
  path: string,
  tensors: readonly PublishedTensor[],
  stored: FileDtype,
): number => {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let bytes = 0;
  for (const tensor of tensors) {
    const end = bytes + bytesOf(tensor, stored);
    header[tensor.name] = { dtype: stored, shape: tensor.dims, data_offsets: [bytes, end] };
    bytes = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20, 8);
  head.set(text, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  const fd = openSync(path, "wx");
  try {
    writeSync(fd, head);
    ftruncateSync(fd, head.length + bytes);
  } finally {
    closeSync(fd);
  }
  return bytes;
};

const writeJson = (path: string, value: unknown): void =>
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
