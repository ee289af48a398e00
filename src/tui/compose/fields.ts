// The fields of the compose screen: picture, prompt and preset, then the settings of a job from the one table that flags and
// files use too. Ranges are read off the recipe's own schema, so that they cannot be told wrongly.

import { z } from "zod";
import { recipeSchema } from "../../engine/job.ts";
import { type Setting, type SettingKey, settings } from "../../engine/setting-keys.ts";

export type Field = Readonly<{
  id: string;
  label: string;
  about: string;
  /** text takes keys; lines is a text of several lines; choice goes round with left and right. */
  kind: "text" | "lines" | "path" | "choice";
  choices: readonly string[];
  range: string;
}>;

const everyday: readonly SettingKey[] = ["seconds", "seed", "steps", "teacache", "order", "model"];
const own: readonly SettingKey[] = ["image", "prompt"];

const labels: Partial<Record<SettingKey, string>> = {
  seconds: "Length",
  seed: "Seed",
  steps: "Steps",
  teacache: "TeaCache",
  order: "Order",
  model: "Model",
};

const fieldOf = (one: Setting): Field => {
  const choices = choicesOf(one);
  return {
    id: one.key,
    label: labels[one.key] ?? one.name,
    about: one.about,
    kind: choices.length > 0 ? "choice" : one.kind === "path" ? "path" : "text",
    choices,
    range: rangeOf(one.key),
  };
};

const choicesOf = (one: Setting): readonly string[] => {
  if (one.kind === "switch") return ["on", "off"];
  return one.kind === "word" ? one.placeholder.split("|") : [];
};

/** "1 to 100", from the schema; "" where there is none. */
export const rangeOf = (key: SettingKey): string => {
  const json = z.toJSONSchema(recipeSchema.shape[key]) as {
    minimum?: number;
    maximum?: number;
    exclusiveMinimum?: number;
  };
  const low = json.minimum ?? json.exclusiveMinimum;
  const known = (n: number | undefined): n is number => n !== undefined && Math.abs(n) < 1e12;
  if (!known(low) || !known(json.maximum)) return "";
  return `${json.minimum === undefined ? "above " : ""}${low} to ${json.maximum}`;
};

const byKey = (key: SettingKey): Setting[] => settings.filter((one) => one.key === key);

const first: readonly Field[] = [
  {
    id: "image",
    label: "Picture",
    about: "the start picture: Tab completes, Ctrl-F browses, or drop a file here",
    kind: "path",
    choices: [],
    range: "",
  },
  {
    id: "prompt",
    label: "Prompt",
    about: "short, motion first: subject, what it does, then the rest",
    kind: "lines",
    choices: [],
    range: "",
  },
  {
    id: "preset",
    label: "Preset",
    about: "a named set of settings; left and right choose",
    kind: "choice",
    choices: [],
    range: "",
  },
];

export const everydayFields: readonly Field[] = [
  ...first,
  ...everyday.flatMap((key) => byKey(key).map(fieldOf)),
];

export const expertFields: readonly Field[] = settings
  .filter((one) => !everyday.includes(one.key) && !own.includes(one.key))
  .map(fieldOf);

/** The fields that are shown, in their order. */
export const fieldsShown = (expert: boolean): readonly Field[] =>
  expert ? [...everydayFields, ...expertFields] : everydayFields;

/** What the preset field goes round. */
export const presetNames = (presets: readonly Readonly<{ name: string }>[]): readonly string[] => [
  "none",
  ...presets.map((preset) => preset.name),
];

/** The field after or before one, going round. */
export const neighbour = (id: string, by: 1 | -1, expert: boolean): string => {
  const fields = fieldsShown(expert);
  const at = fields.findIndex((field) => field.id === id);
  return fields.at((at + by) % fields.length)?.id ?? "image";
};
