// The published layout without weights: that it is the published one, and that everything which
// reads a model reads it whole, in little memory.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { resolveModel } from "../../../src/engine/config/model-folder.ts";
import { checkStructure } from "../../../src/engine/hub/structure.ts";
import { publishedNetworks } from "../../../src/engine/weights/published-shapes.ts";
import { writeSparseModel } from "../../../src/engine/weights/sparse.ts";
import { openLibrary } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

let folder: ScratchFolder;
let path: string;
beforeAll(async () => {
  folder = new ScratchFolder();
  path = join(folder.path, "model");
  await writeSparseModel(path);
});
afterAll(() => folder[Symbol.dispose]());

const published = [
  ["transformer", 1274, 12_874_314_816],
  ["text_encoder", 290, 7_505_186_816],
  ["text_encoder_2", 196, 123_060_480],
  ["image_encoder", 448, 428_225_600],
  ["vae", 248, 246_478_803],
] as const;

test.each(published)("%p has %p tensors and %p parameters", (part, tensors, parameters) => {
  const network = publishedNetworks()[part];

  const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
  const sum = network.tensors.reduce((all, { dims }) => all + size(dims), 0);
  expect(new Set(network.tensors.map(({ name }) => name)).size).toBe(tensors);
  expect(sum).toBe(parameters);
});

test("the files have the names and lengths of the published ones", () => {
  const sizes = (part: string) =>
    readdirSync(join(path, part))
      .filter((name) => name.endsWith(".safetensors"))
      .sort()
      .map((name) => [name, Math.round(statSync(join(path, part, name)).size / 1e7) / 100]);

  expect(sizes("transformer")).toEqual([
    ["diffusion_pytorch_model-00001-of-00003.safetensors", 9.97],
    ["diffusion_pytorch_model-00002-of-00003.safetensors", 9.99],
    ["diffusion_pytorch_model-00003-of-00003.safetensors", 5.79],
  ]);
  expect(sizes("text_encoder")).toEqual([
    ["model-00001-of-00004.safetensors", 4.98],
    ["model-00002-of-00004.safetensors", 5],
    ["model-00003-of-00004.safetensors", 4.92],
    ["model-00004-of-00004.safetensors", 0.12],
  ]);
});

test("it takes hardly any disk", () => {
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: path, absolute: true })];

  const used = files.reduce((sum, file) => sum + statSync(file).blocks * 512, 0);
  expect(used).toBeLessThan(4_000_000);
});

test("every part is as its config promises", () => {
  const { tensors, bytes } = checkStructure(resolveModel(path));

  expect(tensors).toBe(2456);
  expect(bytes).toBe(42_847_490_636);
});

test("opening, mapping and checking all of it takes less than two seconds and hardly any memory", () => {
  openLibrary({ backend: "cpu", threads: 1 });
  const rss = process.memoryUsage.rss();
  const begun = performance.now();

  const { tensors } = checkStructure(resolveModel(path));
  const files = [...new Bun.Glob("*/*.safetensors").scanSync({ cwd: path, absolute: true })];
  const mapped = files.map((file) => tensorMapper.map(file));
  const took_ms = performance.now() - begun;
  for (const file of mapped) file.close();

  expect([tensors, files.length]).toEqual([2456, 10]);
  expect(took_ms).toBeLessThan(2000);
  expect(process.memoryUsage.rss() - rss).toBeLessThan(200_000_000);
});

test("under a limit of 8 GB all of it is checked and blocks stream through two slots", async () => {
  const script = join(import.meta.dir, "../../support/stream-sparse.ts");
  const limited = `ulimit -d 8388608 && exec "${process.execPath}" "${script}" "${path}" 1`;

  const child = Bun.spawn(["bash", "-c", limited], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);

  expect([await child.exited, err]).toEqual([0, ""]);
  const { tensors, anonymous, devicePeak } = JSON.parse(out);
  expect(tensors).toBe(2456);
  expect(devicePeak).toBe(939_524_096); // two double blocks of 453 MB, as the library rounds them
  expect(anonymous).toBeLessThan(4e9);
}, 60_000);

test("a folder with something in it is left alone", async () => {
  using other = new ScratchFolder();
  other.write("mine.txt", "mine");

  expect(writeSparseModel(other.path)).rejects.toThrow("is not empty");
});
