// framepack models as a process: what is here, where it lies, what is said when it is not.

import { expect, test } from "bun:test";
import { partNames } from "../../src/engine/config/known-models.ts";
import { ScratchFolder } from "../support/scratch-folder.ts";

const main = `${import.meta.dir}/../../src/main.ts`;

const models = (folder: ScratchFolder, ...args: readonly string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, "models", ...args], {
    env: { ...process.env, HF_HUB_CACHE: folder.path },
  });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

const completeFolder = (folder: ScratchFolder): string => {
  for (const part of partNames) folder.write(`mine/${part}/config.json`, "{}");
  return `${folder.path}/mine`;
};

test("the list names every known model and says which are not here", () => {
  using folder = new ScratchFolder();

  const { code, out } = models(folder, "list", "--json");

  const rows = out.trim().split("\n");
  const row = rows.map((line) => JSON.parse(line)).find(({ name }) => name === "framepack");
  expect(code).toBe(0);
  expect(rows).toHaveLength(3);
  expect(row).toMatchObject({ isComplete: false, bytes: 0 });
  expect(row.problem).toContain("lacks: transformer, vae");
});

test("the parts of a folder are printed with their paths, or one alone", () => {
  using folder = new ScratchFolder();
  const mine = completeFolder(folder);

  expect(models(folder, "path", mine, "vae").out).toBe(`${mine}/vae\n`);
  expect(models(folder, "path", mine).out).toContain(`tokenizer_2        ${mine}/tokenizer_2\n`);
});

test("a part or an action that does not exist suggests the nearest", () => {
  using folder = new ScratchFolder();
  const mine = completeFolder(folder);

  expect(models(folder, "path", mine, "vea").err).toContain("Did you mean vae?");
  expect(models(folder, "lits").err).toContain("Did you mean list?");
  expect(models(folder).code).toBe(2);
});

test("the path of a model that is not here ends with 4", () => {
  using folder = new ScratchFolder();

  expect(models(folder, "path", "framepack").code).toBe(4);
});
