// Weights through the library: what is mapped computes as what was written.

import { beforeAll, expect, test } from "bun:test";
import { openWeights } from "../../../src/engine/weights/open.ts";
import { tensorBytes, writeSafetensors } from "../../../src/engine/weights/safetensors-write.ts";
import { openLibrary } from "../../../src/ffi/library.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

beforeAll(() => {
  openLibrary({ backend: "cpu", threads: 1 });
});

test("a mapped tensor has the values of the file and outlives its source", () => {
  using folder = new ScratchFolder();
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  writeSafetensors(`${folder.path}/model.safetensors`, { "model.a": tensorBytes(data, [2, 3]) });
  const source = openWeights(folder.path);
  using tensor = source.get("a", [2, 3]);

  source[Symbol.dispose]();

  expect(tensor.dims).toEqual([2, 3]);
  expect([...tensor.f32()]).toEqual([1, 2, 3, 4, 5, 6]);
});

test("half-precision values are read as they are stored", () => {
  using folder = new ScratchFolder();
  const data = new Uint8Array(Uint16Array.of(0x3f80, 0xc000).buffer);
  writeSafetensors(`${folder.path}/model.safetensors`, { a: { stored: "BF16", dims: [2], data } });
  using source = openWeights(folder.path);

  using tensor = source.get("a");

  expect(tensor.dtype).toBe("bf16");
  expect([...tensor.f32()]).toEqual([1, -2]);
});
