// The header of a safetensors file, checked completely before anything in it is used.
// A header comes from outside: no number in it is trusted until file length, dtypes, shapes and
// offsets agree with each other. Only the header's bytes are read; weights stay on disk.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import type { Dtype } from "../../ffi/types.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { JsonProblem, parseStrictJson } from "./strict-json.ts";

/** Every element type the format knows, with its size in bits. */
const dtypeBits = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
  C64: 64,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
} as const;

export type FileDtype = keyof typeof dtypeBits;

/** The element types that the library computes with; a tensor of another type cannot be used. */
const usable: Readonly<Partial<Record<FileDtype, Dtype>>> = {
  F32: "f32",
  BF16: "bf16",
  F16: "f16",
  I32: "i32",
  U8: "u8",
};

export const dtypeOf = (stored: FileDtype): Dtype | undefined => usable[stored];

export type TensorEntry = Readonly<{
  name: string;
  stored: FileDtype;
  dims: readonly number[];
  /** Where its bytes are in the file, counted from the file's first byte. */
  from: number;
  bytes: number;
}>;

export type SafetensorsFile = Readonly<{
  path: string;
  /** The length of the whole file. */
  bytes: number;
  tensors: ReadonlyMap<string, TensorEntry>;
  metadata: Readonly<Record<string, string>>;
}>;

/** The format's own limit for the header. */
const header_bytes_max = 100_000_000;
const rank_max = 6;

/** Reads and checks the header. Throws `model.corrupt` or `model.missing`, naming the file. */
export const readSafetensors = (path: string): SafetensorsFile => {
  const { header, bytes } = readHeader(path);
  const from = 8 + header.byteLength;
  const root = parseHeader(path, header);
  const tensors = new Map<string, TensorEntry>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, raw] of Object.entries(root)) {
    if (name === "__metadata__") metadata = parseMetadata(path, raw);
    else tensors.set(name, parseEntry(path, name, raw, from));
  }
  checkOffsets(path, [...tensors.values()], from, bytes);
  return { path, bytes, tensors, metadata };
};

/** A broken file: the sentence names the file and, where it is about one, the tensor. */
export const corrupt = (path: string, why: string, cause?: unknown): Failure =>
  new Failure("model.corrupt", `${quoted(path, 300)} is not a usable safetensors file: ${why}.`, {
    hint: "Fetch the file again; it may be cut short or damaged.",
    cause,
  });

const readHeader = (path: string): Readonly<{ header: Uint8Array; bytes: number }> => {
  const fd = open(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw corrupt(path, "it is no regular file");
    if (stat.size < 10) throw corrupt(path, `it is only ${stat.size} bytes long`);
    const length = read(fd, path, 0, 8).getBigUint64(0, true);
    if (length > BigInt(header_bytes_max)) {
      throw corrupt(path, `it claims a header of ${length} bytes, the most is ${header_bytes_max}`);
    }
    if (length > BigInt(stat.size - 8)) {
      throw corrupt(path, `it claims a header of ${length} bytes and is ${stat.size} bytes long`);
    }
    const view = read(fd, path, 8, Number(length));
    return { header: new Uint8Array(view.buffer), bytes: stat.size };
  } finally {
    closeSync(fd);
  }
};

const open = (path: string): number => {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new Failure("model.missing", `${quoted(path, 300)} cannot be opened.`, { cause: error });
  }
};

const read = (fd: number, path: string, position: number, bytes: number): DataView => {
  const buffer = new Uint8Array(bytes);
  let done = 0;
  while (done < bytes) {
    const got = readSync(fd, buffer, done, bytes - done, position + done);
    if (got === 0) throw corrupt(path, "it ends inside its header");
    done += got;
  }
  return new DataView(buffer.buffer);
};

const parseHeader = (path: string, header: Uint8Array): Readonly<Record<string, unknown>> => {
  if (header[0] !== 0x7b) throw corrupt(path, "its header does not begin with {");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(header);
    return headerSchema.parse(parseStrictJson(text, 3));
  } catch (error) {
    const why = error instanceof JsonProblem ? error.message : "is no JSON object in UTF-8";
    throw corrupt(path, `its header ${why}`, error);
  }
};

const headerSchema = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);
const metadataSchema = z.record(z.string(), z.string());
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()).max(rank_max),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

const parseMetadata = (path: string, raw: unknown): Readonly<Record<string, string>> => {
  const parsed = metadataSchema.safeParse(raw);
  if (!parsed.success) throw corrupt(path, "its __metadata__ holds something that is no text");
  return parsed.data;
};

const parseEntry = (path: string, name: string, raw: unknown, start: number): TensorEntry => {
  const bad = (why: string): Failure => corrupt(path, `tensor ${quoted(name, 120)} ${why}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject here.
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) throw bad("has control characters in its name");
  const parsed = entrySchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw bad(`has a wrong entry: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`);
  }
  const { dtype, shape, data_offsets } = parsed.data;
  if (!Object.hasOwn(dtypeBits, dtype)) throw bad(`has the unknown dtype ${quoted(dtype, 40)}`);
  const stored = dtype as FileDtype;
  const [from, to] = data_offsets;
  const bits = shape.reduce((all, dim) => all * BigInt(dim), BigInt(dtypeBits[stored]));
  if (BigInt(to) - BigInt(from) !== bits / 8n || bits % 8n !== 0n) {
    throw bad(`has ${to - from} bytes, its shape [${shape}] of ${stored} needs ${bits / 8n}`);
  }
  return { name, stored, dims: shape, from: start + from, bytes: to - from };
};

/** The format allows neither overlaps nor gaps: tensors fill the rest of the file completely. */
const checkOffsets = (
  path: string,
  tensors: TensorEntry[],
  start: number,
  file_bytes: number,
): void => {
  tensors.sort((a, b) => a.from - b.from || a.bytes - b.bytes);
  let end = start;
  let before = "the header";
  for (const { name, from, bytes } of tensors) {
    if (from + bytes > file_bytes) {
      const missing = from + bytes - file_bytes;
      throw corrupt(path, `it is cut short: tensor ${quoted(name, 120)} lacks ${missing} bytes`);
    }
    if (from < end) throw corrupt(path, `tensor ${quoted(name, 120)} overlaps ${before}`);
    if (from > end) throw corrupt(path, `there is a gap before tensor ${quoted(name, 120)}`);
    end = from + bytes;
    before = quoted(name, 120);
  }
  if (end !== file_bytes) {
    throw corrupt(path, `${file_bytes - end} bytes at its end belong to no tensor`);
  }
};
