// The header reader against good files and against every kind of broken or hostile one.

import { expect, test } from "bun:test";
import { readdirSync, truncateSync } from "node:fs";
import { Failure } from "../../../src/engine/failure.ts";
import { readSafetensors } from "../../../src/engine/weights/safetensors.ts";
import { tensorBytes, writeSafetensors } from "../../../src/engine/weights/safetensors-write.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

/** A file with exactly this header text and this many bytes of data. */
const fileOf = (header: string, data_bytes: number, length?: bigint): Uint8Array => {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data_bytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
};

const failureOf = (file: Uint8Array): Failure => {
  using folder = new ScratchFolder();
  const path = folder.write("w.safetensors", file);
  try {
    readSafetensors(path);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("the file was accepted");
};

const f32 = (name: string, from: number, to: number, shape = `[${(to - from) / 4}]`): string =>
  `"${name}":{"dtype":"F32","shape":${shape},"data_offsets":[${from},${to}]}`;

test("a written file reads back with names, shapes, places and metadata", () => {
  using folder = new ScratchFolder();
  const path = `${folder.path}/w.safetensors`;
  const a = tensorBytes(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  const b = tensorBytes(Uint8Array.of(7), [1]);

  writeSafetensors(path, { b, a }, { format: "pt" });

  const file = readSafetensors(path);
  const entry = file.tensors.get("a");
  expect([...file.tensors.keys()]).toEqual(["a", "b"]);
  expect(entry).toMatchObject({ stored: "F32", dims: [2, 3], bytes: 24 });
  expect((entry?.from ?? 1) % 8).toBe(0);
  expect(file.metadata).toEqual({ format: "pt" });
  expect(readdirSync(folder.path)).toEqual(["w.safetensors"]);
});

test("a scalar, an empty tensor and types that nothing computes with are read", () => {
  using folder = new ScratchFolder();
  const header =
    '{"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
    '"e":{"dtype":"BF16","shape":[0,4],"data_offsets":[8,8]},' +
    '"m":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}';
  const path = folder.write("w.safetensors", fileOf(header, 11));

  const { tensors } = readSafetensors(path);

  expect([...tensors.values()].map(({ bytes }) => bytes).sort()).toEqual([0, 3, 8]);
});

test("a header length of 2^63 is refused without allocating", () => {
  const failure = failureOf(fileOf("{}", 8, 2n ** 63n));

  expect(failure.id).toBe("model.corrupt");
  expect(failure.message).toContain("9223372036854775808");
});

test("a header longer than the file is refused", () => {
  expect(failureOf(fileOf("{}", 8, 4000n)).message).toContain("claims a header of 4000 bytes");
});

test("a file of a few bytes is refused", () => {
  expect(failureOf(Uint8Array.of(1, 0, 0)).message).toContain("only 3 bytes");
});

test("a file cut short names the tensor and the missing bytes", () => {
  using folder = new ScratchFolder();
  const path = `${folder.path}/w.safetensors`;
  writeSafetensors(path, { a: tensorBytes(new Float32Array(64), [64]) });
  const { bytes } = readSafetensors(path);

  truncateSync(path, bytes - 100);

  expect(() => readSafetensors(path)).toThrow('cut short: tensor "a" lacks 100 bytes');
});

test("overlapping tensors are refused, also when one hides inside another", () => {
  const side = failureOf(fileOf(`{${f32("a", 0, 8)},${f32("b", 4, 12)}}`, 12));
  const inside = failureOf(fileOf(`{${f32("a", 0, 12)},${f32("b", 4, 8)}}`, 12));

  expect(side.message).toContain('"b" overlaps "a"');
  expect(inside.message).toContain('"b" overlaps "a"');
});

test("gaps and surplus bytes are refused", () => {
  expect(failureOf(fileOf(`{${f32("a", 4, 8)}}`, 8)).message).toContain('gap before tensor "a"');
  expect(failureOf(fileOf(`{${f32("a", 0, 8)}}`, 9)).message).toContain("1 bytes at its end");
});

test("a name that occurs twice is refused, also when it is spelled with an escape", () => {
  const plain = failureOf(fileOf(`{${f32("a", 0, 4)},${f32("a", 4, 8)}}`, 8));
  const escaped = failureOf(fileOf(`{${f32("a", 0, 4)},${f32("\\u0061", 4, 8)}}`, 8));

  expect(plain.message).toContain('names "a" twice');
  expect(escaped.message).toContain("twice");
});

test("a key that occurs twice inside an entry is refused", () => {
  const header = '{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}}';

  expect(failureOf(fileOf(header, 4)).message).toContain("twice");
});

test.each([
  ['{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4, "needs 8"],
  ['{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4, "wrong entry"],
  ['{"a":{"dtype":"F32","shape":[0.5],"data_offsets":[0,2]}}', 2, "wrong entry"],
  ['{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4, "needs 4"],
  ['{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e300]}}', 4, "wrong entry"],
  ['{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}', 4, "wrong entry"],
  [
    '{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}',
    0,
    "needs 18446744073709551616",
  ],
  ['{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}', 4, 'unknown dtype "F31"'],
  ['{"a":{"dtype":"__proto__","shape":[1],"data_offsets":[0,4]}}', 4, "unknown dtype"],
  ['{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]}}', 4, "wrong entry"],
  ['{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4, "wrong entry"],
  ['{"a":[]}', 0, "wrong entry"],
  ['{"__metadata__":{"a":1}}', 0, "__metadata__"],
  ["[]", 0, "does not begin with {"],
  ["{", 8, "not valid JSON"],
  ['{"a', 8, "ends inside a string"],
])("the header %p is refused", (header, data_bytes, why) => {
  expect(failureOf(fileOf(header, data_bytes)).message).toContain(why);
});

test("JSON nested a million deep is refused by its depth", () => {
  const header = `{"a":${"[".repeat(1_000_000)}`;

  expect(failureOf(fileOf(header, 0)).message).toContain("nests deeper than 3 levels");
});

test("a name with control characters is refused and shown without them", () => {
  const failure = failureOf(fileOf(`{${f32("\\u001b[2Jx", 0, 4)}}`, 4));

  expect(failure.message).toContain("control characters");
  expect(failure.message).not.toContain("\x1b");
});

test("a name called __proto__ is a name like any other", () => {
  using folder = new ScratchFolder();
  const path = folder.write("w.safetensors", fileOf(`{${f32("__proto__", 0, 4)}}`, 4));

  expect(readSafetensors(path).tensors.get("__proto__")?.bytes).toBe(4);
});

test("a header that is no UTF-8 is refused", () => {
  const file = fileOf("{  }", 0);
  file[9] = 0xff;

  expect(failureOf(file).message).toContain("no JSON object in UTF-8");
});
