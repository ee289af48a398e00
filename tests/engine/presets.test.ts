// Presets: the built-in ones are whole, a broken one tells everything that is wrong with it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  builtInPresets,
  findPreset,
  listPresets,
  loadPreset,
  type PresetFolders,
  presetFromFile,
} from "../../src/engine/presets.ts";

let places: PresetFolders;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "framepack-presets-"));
  places = { builtIn: builtInPresets, user: join(folder, "presets") };
  await mkdir(places.user);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const userPreset = async (name: string, text: string): Promise<string> => {
  const path = join(places.user, `${name}.toml`);
  await Bun.write(path, text);
  return path;
};

test("every built-in preset validates and says what it is for", () => {
  for (const preset of listPresets({ builtIn: builtInPresets, user: "/nowhere" })) {
    expect(preset.problems, preset.name).toEqual([]);
    expect(preset.description, preset.name).not.toBe("");
  }
});

test("the published examples are there, with their words", () => {
  const names = listPresets({ builtIn: builtInPresets, user: "/nowhere" }).map(({ name }) => name);

  for (const name of [
    ...["demo", "sanity-check", "teacache-compare-off", "teacache-compare-on", "six-seconds"],
    ...["one-minute", "draft", "final", "f1", "girl-dance", "girl-sign", "girl-skateboard"],
    ...["man-flamboyant", "woman-blossoms", "man-writing"],
  ]) {
    expect(names).toContain(name);
  }
  expect(loadPreset("sanity-check", places).settings).toMatchObject({
    prompt:
      "The man dances energetically, leaping mid-air with fluid arm swings and quick footwork.",
    seconds: 5,
    teacache: false,
  });
  expect(loadPreset("one-minute", places).settings.seconds).toBe(60);
});

test("the pair that compares TeaCache differs in nothing else", () => {
  const off = loadPreset("teacache-compare-off", places).settings;
  const on = loadPreset("teacache-compare-on", places).settings;

  expect(on).toEqual({ ...off, teacache: true });
});

test("the demo preset's picture exists wherever the program lies", async () => {
  expect(await Bun.file(loadPreset("demo", places).settings.image ?? "").exists()).toBeTrue();
});

test("a preset with many mistakes tells each with its key", async () => {
  const path = await userPreset(
    "broken",
    [
      "seconds = -1",
      "step = 20",
      'order = "up"',
      'teacache = "yes"',
      "steps = 2.5",
      "seed = nan",
      'vram = "lots"',
      "description = 4",
    ].join("\n"),
  );

  expect(presetFromFile(path).problems.map((one) => `${one.path} ${one.message}`)).toEqual([
    "seconds must be more than 0, not -1",
    "step is no setting. Did you mean steps?",
    'order must be inverted or f1, not "up"',
    'teacache must be true or false, not "yes"',
    "steps must be a whole number, not 2.5",
    "seed must be a number, not NaN",
    "vram must be a size such as 6GB or 5.5GiB",
    "description must be text in quotes",
  ]);
  expect(() => loadPreset("broken", places)).toThrow(
    /seconds must be more than 0, not -1; step is/,
  );
});

test("text that is no TOML is a problem of the preset, not a crash", async () => {
  const path = await userPreset("syntax", "seconds = \n");

  expect(presetFromFile(path).problems[0]?.message).toStartWith("is no TOML: ");
});

test("a preset without a description is told so", async () => {
  const path = await userPreset("silent", "steps = 20\n");

  expect(presetFromFile(path).problems).toEqual([
    { path: "description", message: "must say in a sentence what the preset is for" },
  ]);
});

test("a user's preset takes the place of a built-in one", async () => {
  await userPreset("draft", 'description = "mine"\nsteps = 3\n');

  const preset = loadPreset("draft", places);

  expect(preset).toMatchObject({ origin: "user", description: "mine", settings: { steps: 3 } });
  expect(listPresets(places).filter(({ name }) => name === "draft")).toHaveLength(1);
});

test("paths in a preset are taken from its own folder", async () => {
  const path = await userPreset(
    "paths",
    'description = "p"\nimage = "pics/a.png"\nout = "films/"\n',
  );

  expect(presetFromFile(path).settings).toEqual({
    image: join(places.user, "pics/a.png"),
    out: `${join(places.user, "films")}/`,
  });
});

test("an unknown preset names the nearest, and no name escapes its folder", () => {
  expect(() => findPreset("sanitycheck", places)).toThrow(/Did you mean sanity-check\?/);
  expect(() => findPreset("../../etc/passwd", places)).toThrow(/There is no preset/);
  expect(() => findPreset("", places)).toThrow(/There is no preset/);
});
