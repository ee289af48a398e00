// Weights by name: every folder layout that is published, and what is said when one does not fit.

import { expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { Failure } from "../../../src/engine/failure.ts";
import { tensorBytes, writeSafetensors } from "../../../src/engine/weights/safetensors-write.ts";
import { WeightSource } from "../../../src/engine/weights/source.ts";
import { FakeMapper } from "../../support/fake-tensors.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const ones = (...dims: readonly number[]) =>
  tensorBytes(new Float32Array(dims.reduce((all, dim) => all * dim, 1)).fill(1), dims);

const sharded = (folder: ScratchFolder): void => {
  writeSafetensors(`${folder.path}/model-00001-of-00002.safetensors`, { a: ones(2) });
  writeSafetensors(`${folder.path}/model-00002-of-00002.safetensors`, { b: ones(3), c: ones(1) });
  const weight_map = {
    a: "model-00001-of-00002.safetensors",
    b: "model-00002-of-00002.safetensors",
  };
  folder.write("model.safetensors.index.json", JSON.stringify({ metadata: {}, weight_map }));
};

const failureOf = (act: () => unknown): Failure => {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

test("a single file is mapped once, on the first tensor, and let go at the end", () => {
  using folder = new ScratchFolder();
  writeSafetensors(`${folder.path}/diffusion_pytorch_model.safetensors`, {
    a: ones(2),
    b: ones(3),
  });
  const mapper = new FakeMapper();

  {
    using source = new WeightSource(folder.path, mapper);
    expect(mapper.opened).toEqual([]);
    expect(source.get("b", [3])).toMatchObject({ dtype: "f32", dims: [3], how: "mapped" });
    source.get("a");
  }

  expect(mapper.opened).toHaveLength(1);
  expect(mapper.closed).toBe(1);
});

test("shards are found through their index, and only what it lists counts", () => {
  using folder = new ScratchFolder();
  sharded(folder);

  using source = new WeightSource(folder.path, new FakeMapper());

  expect(source.get("a").dims).toEqual([2]);
  expect(source.get("b").dims).toEqual([3]);
  expect(source.has("c")).toBe(false);
  expect(source.bytes).toBe(20);
});

test.each([
  "model.safetensors",
  "diffusion_pytorch_model.bf16.safetensors",
  "model.fp16.safetensors",
  "whatever.safetensors",
])("weights are found under the name %p", (name) => {
  using folder = new ScratchFolder();
  writeSafetensors(`${folder.path}/${name}`, { a: ones(2) });

  using source = new WeightSource(folder.path, new FakeMapper());

  expect(source.has("a")).toBe(true);
});

test("names are found with and without the prefixes of published files", () => {
  using folder = new ScratchFolder();
  writeSafetensors(`${folder.path}/model.safetensors`, {
    "text_model.a": ones(1),
    "model.b": ones(2),
    c: ones(3),
  });

  using source = new WeightSource(folder.path, new FakeMapper());

  expect(source.get("a").dims).toEqual([1]);
  expect(source.get("b").dims).toEqual([2]);
  expect(source.get("vision_model.c").dims).toEqual([3]);
});

test("a cache snapshot made of links to blobs is read through them", () => {
  using folder = new ScratchFolder();
  const snapshot = `${folder.path}/snapshots/abc/vae`;
  mkdirSync(snapshot, { recursive: true });
  mkdirSync(`${folder.path}/blobs`);
  writeSafetensors(`${folder.path}/w`, { a: ones(2) });
  renameSync(`${folder.path}/w`, `${folder.path}/blobs/f00d`);
  symlinkSync("../../../blobs/f00d", `${snapshot}/model.safetensors`);

  using source = new WeightSource(snapshot, new FakeMapper());

  expect(source.get("a").dims).toEqual([2]);
});

test("a link to a blob that is not there says so", () => {
  using folder = new ScratchFolder();
  symlinkSync("../blobs/f00d", `${folder.path}/model.safetensors`);

  const failure = failureOf(() => new WeightSource(folder.path, new FakeMapper()));

  expect(failure.id).toBe("model.missing");
  expect(failure.message).toContain("a link to a file that is not there");
});

test("a tensor that is not aligned in its file is copied instead of mapped", () => {
  using folder = new ScratchFolder();
  const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} ';
  const file = new Uint8Array(8 + header.length + 8);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(new TextEncoder().encode(header), 8);
  file.set([1, 2, 3, 4, 5, 6, 7, 8], 8 + header.length);
  folder.write("model.safetensors", file);
  using source = new WeightSource(folder.path, new FakeMapper());

  const tensor = source.get("a");

  expect(header.length % 4).not.toBe(0);
  expect(tensor).toMatchObject({ how: "copied", bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) });
});

test("all that a network lacks is told at once, ten at most", () => {
  using folder = new ScratchFolder();
  writeSafetensors(`${folder.path}/model.safetensors`, { a: ones(2, 3) });
  using source = new WeightSource(folder.path, new FakeMapper());
  const needs = Array.from({ length: 12 }, (_, i) => ({ name: `block.${i}`, dims: [1] }));

  const failure = failureOf(() => source.require([{ name: "a", dims: [3, 2] }, ...needs]));

  expect(failure.code).toBe(4);
  expect(failure.message).toContain('model.safetensors" is [2,3], not [3,2]');
  expect(failure.message).toContain('"block.8" is missing; and 3 more');
});

test("a tensor of a type that nothing computes with names itself", () => {
  using folder = new ScratchFolder();
  const data = new Uint8Array(16);
  writeSafetensors(`${folder.path}/model.safetensors`, {
    a: { stored: "F64", dims: [2], data },
  });
  using source = new WeightSource(folder.path, new FakeMapper());

  expect(() => source.get("a")).toThrow('tensor "a" is F64');
  expect(() => source.require([{ name: "a", dims: [2] }])).toThrow('"a" is F64');
});

test("a missing shard, a shard cut short and a lying index name the file", () => {
  using folder = new ScratchFolder();
  sharded(folder);
  const second = `${folder.path}/model-00002-of-00002.safetensors`;
  const open = () => new WeightSource(folder.path, new FakeMapper());

  truncateSync(second, 80);
  expect(open).toThrow("model-00002-of-00002.safetensors");
  rmSync(second);
  expect(open).toThrow('00002-of-00002.safetensors" is missing, and its index wants it');
  writeSafetensors(second, { c: ones(1) });
  expect(open).toThrow('it lacks tensor "b"');
});

test.each(["../x.safetensors", "/etc/x.safetensors", "a\u001b.safetensors", "x.bin"])(
  "an index that points at %p is refused",
  (shard) => {
    using folder = new ScratchFolder();
    folder.write("model.safetensors.index.json", JSON.stringify({ weight_map: { a: shard } }));

    const failure = failureOf(() => new WeightSource(folder.path, new FakeMapper()));

    expect(failure.message).toContain("no plain file name");
  },
);

test("a folder without weights, without itself, or with another format says which", () => {
  using folder = new ScratchFolder();
  const open = (name: string) => () => new WeightSource(`${folder.path}${name}`, new FakeMapper());

  expect(open("/none")).toThrow("There is no folder");
  expect(open("")).toThrow("holds no .safetensors file");
  folder.write("pytorch_model.bin", "x");
  expect(open("")).toThrow("only .safetensors can be read");
});
