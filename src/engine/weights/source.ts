// The weights of one network by name: headers read and checked, files mapped on first use, tensors
// handed out without a copy. What maps them is injected, so that this file needs no library.

import { closeSync, openSync, readSync } from "node:fs";
import type { Dtype } from "../../ffi/types.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { findWeights } from "./layout.ts";
import {
  corrupt,
  dtypeOf,
  readSafetensors,
  type SafetensorsFile,
  type TensorEntry,
} from "./safetensors.ts";

/** A file mapped into memory that makes tensors lying in it. */
export interface MappedFile<T> {
  readonly bytes: number;
  tensor(offset: number, dtype: Dtype, dims: readonly number[]): T;
  close(): void;
}

/** What turns bytes of a file into tensors: the library, or a fake in tests. */
export interface TensorMapper<T> {
  map(path: string): MappedFile<T>;
  /** A tensor with its own memory, for data that is not aligned in its file. */
  copy(data: Uint8Array, dtype: Dtype, dims: readonly number[]): T;
}

export type WeightInfo = Readonly<{
  dtype: Dtype | undefined;
  dims: readonly number[];
  bytes: number;
  file: string;
}>;

export type WeightNeed = Readonly<{ name: string; dims: readonly number[] }>;

/** Published files of one network differ only in these; names are asked for without them. */
const prefixes = ["model.", "text_model.", "vision_model."] as const;
const listed_max = 10;

type Place = Readonly<{ entry: TensorEntry; file: SafetensorsFile }>;

export class WeightSource<T> implements Disposable {
  /** The folder or file the weights come from. */
  readonly path: string;
  readonly #mapper: TensorMapper<T>;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #mapped = new Map<string, MappedFile<T>>();

  constructor(path: string, mapper: TensorMapper<T>) {
    this.path = path;
    this.#mapper = mapper;
    this.#places = locate(path);
  }

  /** The names as stored, with whatever prefix they have. */
  names(): readonly string[] {
    return [...this.#places.keys()];
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  info(name: string): WeightInfo | undefined {
    const place = this.#find(name);
    if (place === undefined) return undefined;
    const { stored, dims, bytes } = place.entry;
    return { dtype: dtypeOf(stored), dims, bytes, file: place.file.path };
  }

  /** Bytes of all tensors, used or not. */
  get bytes(): number {
    let sum = 0;
    for (const { entry } of this.#places.values()) sum += entry.bytes;
    return sum;
  }

  /** Checks everything a network needs at once, so that one error tells all that is wrong. */
  require(needs: Iterable<WeightNeed>): void {
    const problems = [...needs].map((need) => this.#problem(need)).filter((p) => p !== undefined);
    if (problems.length > 0) throw this.#unfit(problems);
  }

  /** The tensor as stored, in its own dtype. With `dims`, its shape must be exactly that. */
  get(name: string, dims?: readonly number[]): T {
    const place = this.#find(name);
    if (place === undefined) throw this.#unfit([`${quoted(name)} is missing`]);
    if (dims !== undefined) this.require([{ name, dims }]);
    const { entry, file } = place;
    const dtype = dtypeOf(entry.stored);
    if (dtype === undefined) {
      throw corrupt(file.path, `tensor ${quoted(name)} is ${entry.stored}, which is not supported`);
    }
    const shape = entry.dims.length === 0 ? [1] : entry.dims;
    if (entry.bytes === 0 || entry.from % bytesOf[dtype] !== 0) {
      return this.#mapper.copy(readBytes(file.path, entry), dtype, shape);
    }
    return this.#map(file).tensor(entry.from, dtype, shape);
  }

  /** Ends the mappings that were made here; tensors that live on keep theirs. */
  [Symbol.dispose](): void {
    for (const mapped of this.#mapped.values()) mapped.close();
    this.#mapped.clear();
  }

  #find(name: string): Place | undefined {
    const direct = this.#places.get(name);
    if (direct !== undefined) return direct;
    for (const prefix of prefixes) {
      const place = this.#places.get(prefix + name);
      if (place !== undefined) return place;
      if (name.startsWith(prefix)) {
        const bare = this.#places.get(name.slice(prefix.length));
        if (bare !== undefined) return bare;
      }
    }
    return undefined;
  }

  #problem({ name, dims }: WeightNeed): string | undefined {
    const place = this.#find(name);
    if (place === undefined) return `${quoted(name)} is missing`;
    const { entry, file } = place;
    const same = dims.length === entry.dims.length && dims.every((d, i) => d === entry.dims[i]);
    if (!same) {
      const where = file.path === this.path ? "" : ` in ${quoted(file.path, 300)}`;
      return `${quoted(name)}${where} is [${entry.dims}], not [${dims}]`;
    }
    if (dtypeOf(entry.stored) === undefined) return `${quoted(name)} is ${entry.stored}`;
    return undefined;
  }

  #unfit(problems: readonly string[]): Failure {
    const more = problems.length - listed_max;
    const shown = problems.slice(0, listed_max).join("; ");
    const rest = more > 0 ? `; and ${more} more` : "";
    return new Failure(
      "model.tensors",
      `The weights in ${quoted(this.path, 300)} do not fit this network: ${shown}${rest}.`,
      { hint: "The folder may hold another model, or its config.json belongs to another one." },
    );
  }

  #map(file: SafetensorsFile): MappedFile<T> {
    const known = this.#mapped.get(file.path);
    if (known !== undefined) return known;
    const mapped = this.#mapper.map(file.path);
    if (mapped.bytes !== file.bytes) {
      mapped.close();
      throw corrupt(file.path, "it changed while it was opened");
    }
    this.#mapped.set(file.path, mapped);
    return mapped;
  }
}

const bytesOf: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 };

const locate = (path: string): ReadonlyMap<string, Place> => {
  const layout = findWeights(path);
  const places = new Map<string, Place>();
  if (layout.kind === "single") {
    const file = readSafetensors(layout.file);
    for (const [name, entry] of file.tensors) places.set(name, { entry, file });
    return places;
  }
  for (const [shard, names] of layout.shards) {
    const file = readSafetensors(shard);
    for (const name of names) {
      const entry = file.tensors.get(name);
      if (entry === undefined) {
        throw corrupt(shard, `it lacks tensor ${quoted(name)}, which ${layout.index} puts there`);
      }
      places.set(name, { entry, file });
    }
  }
  return places;
};

const readBytes = (path: string, entry: TensorEntry): Uint8Array => {
  const data = new Uint8Array(entry.bytes);
  const fd = openSync(path, "r");
  try {
    let done = 0;
    while (done < data.length) {
      const got = readSync(fd, data, done, data.length - done, entry.from + done);
      if (got === 0) throw corrupt(path, "it was cut short while it was read");
      done += got;
    }
  } finally {
    closeSync(fd);
  }
  return data;
};
