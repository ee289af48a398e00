// From a name to the folders of a model: complete folders, the cache, and what is said when parts
// are not there.

import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { findSnapshot, hubCache } from "../../../src/engine/config/cache.ts";
import { publishedSettings } from "../../../src/engine/config/framepack-json.ts";
import { partNames } from "../../../src/engine/config/known-models.ts";
import { resolveModel } from "../../../src/engine/config/model-folder.ts";
import { Failure } from "../../../src/engine/failure.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const packed = JSON.stringify({ _class_name: "HunyuanVideoTransformer3DModelPacked" });

const completeFolder = (folder: ScratchFolder): void => {
  for (const part of partNames) folder.write(`${part}/config.json`, packed);
};

/** A cache with the shared parts and the given transformer repositories. */
const fillCache = (folder: ScratchFolder, ...repos: readonly string[]): void => {
  const shared = [
    ["hunyuanvideo-community/HunyuanVideo", "vae/config.json"],
    ["hunyuanvideo-community/HunyuanVideo", "text_encoder/config.json"],
    ["hunyuanvideo-community/HunyuanVideo", "text_encoder_2/config.json"],
    ["hunyuanvideo-community/HunyuanVideo", "tokenizer/tokenizer.json"],
    ["hunyuanvideo-community/HunyuanVideo", "tokenizer_2/vocab.json"],
    ["lllyasviel/flux_redux_bfl", "image_encoder/config.json"],
    ["lllyasviel/flux_redux_bfl", "feature_extractor/preprocessor_config.json"],
    ...repos.map((repo) => [repo, "config.json"]),
  ];
  for (const [repo = "", file = ""] of shared) {
    const base = `models--${repo.replace("/", "--")}`;
    folder.write(`${base}/refs/main`, "abcdef1");
    folder.write(`${base}/snapshots/abcdef1/${file}`, packed);
  }
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

test("a complete folder gives its parts and, without framepack.json, the published settings", () => {
  using folder = new ScratchFolder();
  completeFolder(folder);

  const model = resolveModel(folder.path);

  expect(model.parts.vae).toBe(`${folder.path}/vae`);
  expect(model.settings).toEqual(publishedSettings);
  expect(model.variant).toBeUndefined();
});

test("a folder's framepack.json replaces the published settings", () => {
  using folder = new ScratchFolder();
  completeFolder(folder);
  const { sectionsMax: _, ...rest } = publishedSettings;
  folder.write("framepack.json", JSON.stringify({ ...rest, v: 1, buckets: [[48, 48]], steps: 12 }));

  const { settings } = resolveModel(folder.path);

  expect(settings).toMatchObject({ buckets: [[48, 48]], steps: 12, sectionsMax: null });
});

test.each([
  [{ v: 2 }, "v: only version 1 is known"],
  [{ buckets: [[50, 48]] }, "buckets: height and width must be multiples of 8"],
  [{ latentRgb: { factors: [], bias: [0, 0, 0] } }, "latentRgb.factors"],
  [{ promptTemplate: "no place" }, "promptTemplate: it must contain {} exactly once"],
  [{ colour: 1 }, "colour"],
])("a framepack.json with %p is refused", (change, why) => {
  using folder = new ScratchFolder();
  completeFolder(folder);
  folder.write("framepack.json", JSON.stringify({ ...publishedSettings, v: 1, ...change }));

  expect(failureOf(() => resolveModel(folder.path)).message).toContain(why);
});

test("all parts that a folder lacks are told at once", () => {
  using folder = new ScratchFolder();
  folder.write("transformer/config.json", packed);
  folder.write("vae/config.json", "{}");

  const failure = failureOf(() => resolveModel(folder.path));

  expect(failure.code).toBe(4);
  expect(failure.message).toContain("text_encoder, tokenizer, text_encoder_2");
});

test("a published model is put together from three repositories of the cache", () => {
  using cache = new ScratchFolder();
  fillCache(cache, "lllyasviel/FramePack_F1_I2V_HY_20250503");

  const model = resolveModel("framepack-f1", { cache: cache.path });

  expect(model.variant).toBe("f1");
  expect(model.parts.transformer).toContain("FramePack_F1_I2V_HY_20250503/snapshots/abcdef1");
  expect(model.parts.image_encoder).toContain("flux_redux_bfl/snapshots/abcdef1/image_encoder");
});

test("a published model that is not there says what is missing and how to get it", () => {
  using cache = new ScratchFolder();
  fillCache(cache);

  const failure = failureOf(() => resolveModel("framepack", { cache: cache.path }));

  expect(failure.message).toBe('The model "framepack" lacks: transformer.');
  expect(failure.hint).toBe("framepack models pull framepack fetches it.");
});

test("a folder with a transformer alone takes the other parts from the cache", () => {
  using cache = new ScratchFolder();
  using folder = new ScratchFolder();
  fillCache(cache);
  folder.write("config.json", packed);

  const { parts } = resolveModel(folder.path, { cache: cache.path });

  expect(parts.transformer).toBe(folder.path);
  expect(parts.vae).toContain("HunyuanVideo/snapshots");
});

test("a folder of another architecture says which", () => {
  using folder = new ScratchFolder();
  folder.write("config.json", '{"_class_name":"WanTransformer3DModel"}');

  const failure = failureOf(() => resolveModel(folder.path));

  expect(failure.id).toBe("model.architecture");
  expect(failure.message).toContain('"WanTransformer3DModel", which is another architecture');
});

test("a name that is no folder and no model suggests the nearest", () => {
  const failure = failureOf(() => resolveModel("framepak", { cache: "/nonexistent" }));

  expect(failure.message).toContain("Did you mean framepack?");
});

test("the pinned revision wins over main, and main over anything else", () => {
  using cache = new ScratchFolder();
  cache.write("models--a--b/refs/main", "bbbbbbb\n");
  cache.write("models--a--b/snapshots/aaaaaaa/x", "");
  cache.write("models--a--b/snapshots/bbbbbbb/x", "");

  expect(findSnapshot("a/b", cache.path, "aaaaaaa")).toEndWith("aaaaaaa");
  expect(findSnapshot("a/b", cache.path, "ccccccc")).toEndWith("bbbbbbb");
  expect(findSnapshot("a/c", cache.path)).toBeUndefined();
});

test("a ref that points outside the snapshots is not followed", () => {
  using cache = new ScratchFolder();
  cache.write("models--a--b/refs/main", "../../..");
  cache.write("models--a--b/snapshots/aaaaaaa/x", "");
  cache.write("models--a--b/snapshots/bbbbbbb/x", "");

  expect(findSnapshot("a/b", cache.path)).toBeUndefined();
});

test("the cache is where its variables say, in their order", () => {
  expect(hubCache({ HF_HUB_CACHE: "/a", HF_HOME: "/b" })).toBe("/a");
  expect(hubCache({ HF_HOME: "~/b" })).toBe(`${homedir()}/b/hub`);
  expect(hubCache({ XDG_CACHE_HOME: "/c" })).toBe("/c/huggingface/hub");
  expect(hubCache({ XDG_CACHE_HOME: "c" })).toBe(`${homedir()}/.cache/huggingface/hub`);
});
