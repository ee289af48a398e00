// Which value every setting has, and why: flag > FRAMEPACK_* > project file > user's config >
// preset > the model's own > published default. Nothing is checked against the machine here.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { resolveModel } from "./config/model-folder.ts";
import { Failure } from "./failure.ts";
import { type Recipe, recipeDefaults, recipeSchema } from "./job.ts";
import { configDir } from "./paths.ts";
import { loadPreset, type Preset } from "./presets.ts";
import { printable, quoted } from "./printable.ts";
import { checkText, type SettingKey, type Settings, settings, variableOf } from "./setting-keys.ts";
import { fileProblems, readSettingsFile } from "./settings-file.ts";

export type Layer = Readonly<{
  /** For people: "flag", "FRAMEPACK_*", a path, "preset draft". */
  source: string;
  settings: Settings;
}>;

export type Resolved = Readonly<{
  /** A recipe, but for the picture, which only some runs need. */
  values: Omit<Recipe, "image"> & Readonly<{ image: string | null }>;
  preset: Preset | null;
  /** Strongest first; the last one has every setting. */
  layers: readonly Layer[];
}>;

export type SettingsInput = Readonly<{
  flags: Settings;
  /** Named on the command line. */
  preset?: string | undefined;
  cwd?: string;
  env?: Readonly<Record<string, string | undefined>>;
}>;

/** Keys of configuration files besides settings. */
const configWords = ["preset"];

export const userConfigPath = (): string => join(configDir(), "config.toml");
export const projectConfigPath = (cwd: string): string => join(cwd, "framepack.toml");

export const resolveSettings = (input: SettingsInput): Resolved => {
  const { flags, cwd = process.cwd(), env = process.env } = input;
  const project = configFile(projectConfigPath(cwd));
  const user = configFile(userConfigPath());
  const named = input.preset ?? env.FRAMEPACK_PRESET ?? project?.preset ?? user?.preset;
  const preset = named === undefined || named === "" ? null : loadPreset(named);
  const said: Layer[] = [
    { source: "flag", settings: flags },
    { source: "FRAMEPACK_*", settings: fromEnvironment(env, cwd) },
    ...(project === null ? [] : [project]),
    ...(user === null ? [] : [user]),
    ...(preset === null ? [] : [{ source: `preset ${preset.name}`, settings: preset.settings }]),
  ];
  const model = said.find((layer) => layer.settings.model !== undefined)?.settings.model;
  const layers = [...said, modelLayer(model ?? recipeDefaults.model), defaults];
  const values = { ...merged(layers), v: recipeDefaults.v, preset: preset?.name ?? null };
  return { values: values as Resolved["values"], preset, layers };
};

/** A whole recipe; the picture must be there by now. */
export const recipeOf = ({ values, preset }: Resolved): Recipe => {
  if (values.image === null) {
    const wanted = preset?.picture ? ` This preset wants ${preset.picture}.` : "";
    throw new Failure("input.no-picture", `No picture was given.${wanted}`, {
      hint: "Give one with --image FILE.",
    });
  }
  return recipeSchema.parse(values);
};

/** Where a setting's value comes from: every layer that says something, the winner first. */
export const explain = (
  resolved: Resolved,
  key: SettingKey,
): readonly Readonly<{ source: string; value: unknown }>[] => {
  const one = settings.find((candidate) => candidate.key === key);
  const layers = resolved.layers.filter((layer) => layer.settings[key] !== undefined);
  return layers.map((layer) => ({
    source:
      layer.source === "flag"
        ? `flag --${one?.name ?? key}`
        : layer.source === "FRAMEPACK_*" && one !== undefined
          ? variableOf(one)
          : layer.source,
    value: layer.settings[key],
  }));
};

const defaults: Layer = {
  source: "published default",
  settings: recipeDefaults,
};

const merged = (layers: readonly Layer[]): Settings & { image: string | null } =>
  Object.assign({ image: null }, ...layers.toReversed().map((layer) => defined(layer.settings)));

const defined = (some: Settings): Settings =>
  Object.fromEntries(Object.entries(some).filter(([, value]) => value !== undefined));

/**
 * What the model's folder says of itself. A model that is absent says nothing: the run will tell.
 */
const modelLayer = (name: string): Layer => {
  const source = `model ${printable(name, 200)}`;
  try {
    const { settings: own, variant } = resolveModel(name);
    const { window, steps, seconds, fps, guidance } = own;
    const order = variant === undefined ? {} : { order: variant };
    return { source, settings: { window, steps, seconds, fps, guidance, ...order } };
  } catch (error) {
    if (error instanceof Failure && error.id === "model.missing") return { source, settings: {} };
    throw error;
  }
};

const configFile = (path: string): (Layer & Readonly<{ preset: string | undefined }>) | null => {
  if (!existsSync(path)) return null;
  const { settings: found, words, problems } = readSettingsFile(path, configWords);
  if (problems.length > 0) {
    throw new Failure("usage.config-invalid", `The configuration ${fileProblems(path, problems)}`, {
      hint: "framepack config path shows which files are read.",
    });
  }
  return { source: path, settings: found, preset: words.preset };
};

const fromEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Settings => {
  const found: Record<string, unknown> = {};
  for (const one of settings) {
    const variable = variableOf(one);
    const text = env[variable];
    if (text === undefined || text === "") continue;
    const checked = checkText(one, text, cwd);
    if ("problem" in checked) {
      throw new Failure("usage.variable", `${variable}=${quoted(text)} ${checked.problem}.`);
    }
    found[one.key] = checked.value;
  }
  return found as Settings;
};
