// Which of several places a setting's value is taken from.

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explain, recipeOf, resolveSettings } from "../../src/engine/settings.ts";

let home = "";
let cwd = "";
let before: string | undefined;
beforeAll(() => {
  before = process.env.XDG_CONFIG_HOME;
});
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "framepack-settings-"));
  cwd = join(home, "project");
  await mkdir(cwd);
  process.env.XDG_CONFIG_HOME = home;
});
afterAll(() => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME;
  else process.env.XDG_CONFIG_HOME = before;
  return rm(home, { recursive: true, force: true });
});

const userConfig = (text: string) => Bun.write(join(home, "framepack/config.toml"), text);
const projectConfig = (text: string) => Bun.write(join(cwd, "framepack.toml"), text);

test("flag over variable over project over user over preset over model over default", async () => {
  await userConfig("seed = 4\nsteps = 40\nguidance = 4\ncrf = 21\n");
  await projectConfig("seed = 3\nsteps = 30\nguidance = 3\n");
  const env = { FRAMEPACK_SEED: "2", FRAMEPACK_STEPS: "20" };

  const resolved = resolveSettings({ flags: { seed: 1 }, preset: "demo", cwd, env });

  const { seed, steps, guidance, crf, teacache, seconds, window, fps } = resolved.values;
  expect({ seed, steps, guidance, crf }).toEqual({ seed: 1, steps: 20, guidance: 3, crf: 21 });
  expect({ teacache, seconds }).toEqual({ teacache: false, seconds: 2.4 });
  expect({ window, fps }).toEqual({ window: 9, fps: 30 });
});

test("explain tells the winner and everything it overrides, by name", async () => {
  await userConfig("seed = 4\n");
  await projectConfig("seed = 3\n");
  const env = { FRAMEPACK_SEED: "2" };

  const resolved = resolveSettings({ flags: { seed: 1 }, cwd, env });

  expect(explain(resolved, "seed")).toEqual([
    { source: "flag --seed", value: 1 },
    { source: "FRAMEPACK_SEED", value: 2 },
    { source: join(cwd, "framepack.toml"), value: 3 },
    { source: join(home, "framepack/config.toml"), value: 4 },
    { source: "published default", value: 31337 },
  ]);
});

test("the model's own settings stand above the published ones", () => {
  const resolved = resolveSettings({ flags: { model: "demo" }, cwd, env: {} });

  expect(resolved.values).toMatchObject({ steps: 12, seconds: 2.4 });
  expect(explain(resolved, "steps")[0]?.source).toBe("model demo");
});

test("a preset can be named by flag, variable, project and user, in that order", async () => {
  await userConfig('preset = "one-minute"\n');
  expect(resolveSettings({ flags: {}, cwd, env: {} }).values.preset).toBe("one-minute");
  await projectConfig('preset = "draft"\n');
  expect(resolveSettings({ flags: {}, cwd, env: {} }).values.preset).toBe("draft");
  const env = { FRAMEPACK_PRESET: "final" };
  expect(resolveSettings({ flags: {}, cwd, env }).values.preset).toBe("final");
  expect(resolveSettings({ flags: {}, preset: "f1", cwd, env }).values.preset).toBe("f1");
});

test("sizes, words for nothing, and switches are understood in variables", () => {
  const env = {
    FRAMEPACK_VRAM: "5.5GiB",
    FRAMEPACK_RAM: "auto",
    FRAMEPACK_TEACACHE: "off",
    FRAMEPACK_SHIFT: "auto",
    FRAMEPACK_CFG_RESCALE: "0.5",
  };

  expect(resolveSettings({ flags: {}, cwd, env }).values).toMatchObject({
    vramBytes: 5_905_580_032,
    ramBytes: null,
    teacache: false,
    shift: null,
    cfgRescale: 0.5,
  });
});

test("a wrong variable is named with its value", () => {
  expect(() => resolveSettings({ flags: {}, cwd, env: { FRAMEPACK_STEPS: "1000" } })).toThrow(
    'FRAMEPACK_STEPS="1000" must be at most 100, not 1000.',
  );
});

test("a wrong configuration file tells every problem", async () => {
  await projectConfig("seconds = 0\nsecnds = 3\n");

  expect(() => resolveSettings({ flags: {}, cwd, env: {} })).toThrow(
    /framepack\.toml": seconds must be more than 0, not 0; secnds is no setting\. Did you mean seconds\.$/,
  );
});

test("a recipe without a picture is refused, with what the preset wants", () => {
  const resolved = resolveSettings({ flags: {}, preset: "sanity-check", cwd, env: {} });

  expect(() => recipeOf(resolved)).toThrow(
    "No picture was given. This preset wants a man, whole body, standing.",
  );
});

test("a model's folder becomes absolute, so that any process finds it", async () => {
  await mkdir(join(cwd, "weights"));
  await projectConfig('model = "weights"\n');

  expect(() => resolveSettings({ flags: {}, cwd, env: {} })).toThrow(join(cwd, "weights"));
});
