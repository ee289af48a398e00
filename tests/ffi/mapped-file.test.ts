import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory } from "../../src/ffi/library.ts";
import { MappedFile } from "../../src/ffi/mapped-file.ts";
import * as ops from "../../src/ffi/ops.ts";
import { refusal, withLibrary } from "./open.ts";

withLibrary();
const folder = mkdtempSync(join(tmpdir(), "framepack-mapped-"));
const path = join(folder, "weights.bin");
writeFileSync(path, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
afterAll(() => rmSync(folder, { recursive: true }));

test("a tensor lies in the file itself and outlives the file's name", () => {
  const file = new MappedFile(path);
  using x = file.tensor(4, "f32", [3]);
  file.close();

  expect([...x.f32()]).toEqual([2, 3, 4]);
  expect(memory()).toMatchObject({ live: 0, mapped: 16 });
  x[Symbol.dispose]();
  expect(memory().mapped).toBe(0);
});

test("a tensor at an odd address is a copy with the same values", () => {
  const odd = join(folder, "odd.bin");
  writeFileSync(odd, Buffer.concat([Buffer.from([7]), Buffer.from(Float32Array.of(5, 6).buffer)]));
  using file = new MappedFile(odd);
  using x = file.tensor(1, "f32", [2]);

  expect([...x.f32()]).toEqual([5, 6]);
  expect(memory().live).toBeGreaterThan(0);
});

test("a mapped tensor is read, never written", () => {
  using file = new MappedFile(path);
  using x = file.tensor(0, "f32", [2, 2]);
  using y = ops.add(x, x);

  expect([...y.f32()]).toEqual([2, 4, 6, 8]);
  const error = refusal("bad_argument", () => ops.fill(x, 0));
  refusal("bad_argument", () => ops.add(y, y, { out: x }));
  refusal("bad_argument", () => ops.copy(x.rows(0, 1), y.rows(0, 1)));
  expect(error.detail).toContain("read-only");
});

test("a tensor beyond the end of its file is refused", () => {
  using file = new MappedFile(path);

  expect(file.bytes).toBe(16);
  refusal("bad_shape", () => file.tensor(8, "f32", [3]));
  refusal("bad_shape", () => file.tensor(2 ** 52, "f32", [1]));
  refusal("bad_shape", () => file.tensor(0, "f32", [2 ** 31, 2 ** 31]));
  refusal("bad_argument", () => file.tensor(-4, "f32", [1]));
});

test("what is no file gives its reason", () => {
  expect(refusal("io", () => new MappedFile(join(folder, "none"))).detail).toContain("NOENT");
  refusal("io", () => new MappedFile(folder));
  refusal("io", () => {
    const empty = join(folder, "empty.bin");
    writeFileSync(empty, "");
    return new MappedFile(empty);
  });
  refusal("bad_argument", () => new MappedFile(`${path}\0`));
});

test("a closed file makes no tensors", () => {
  const file = new MappedFile(path);
  file.close();
  file.close();

  refusal("bad_handle", () => file.tensor(0, "f32", [1]));
});
