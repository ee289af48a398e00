// Every setting of a job once: its name, what it is, and how text becomes its value. Flags,
// variables of the environment, presets and configuration files all use these names and these
// checks.

import { isAbsolute, resolve } from "node:path";
import { knownModels } from "./config/known-models.ts";
import { isFolder } from "./is-folder.ts";
import { type Recipe, recipeSchema } from "./job.ts";
import { issueText } from "./problem.ts";

/** The parts of a recipe that somebody can set. */
export type SettingKey = Exclude<keyof Recipe, "v" | "preset">;
export type Settings = Readonly<Partial<Pick<Recipe, SettingKey>>>;

export type Setting = Readonly<{
  key: SettingKey;
  /** On the command line and in files: "cfg-rescale". */
  name: string;
  /** What stands for the value in help. */
  placeholder: string;
  about: string;
  kind: "text" | "path" | "model" | "word" | "number" | "switch" | "bytes";
  /** Words besides the kind's own values that stand for null. */
  none?: "auto" | "none";
}>;

const setting = (
  key: SettingKey,
  kind: Setting["kind"],
  placeholder: string,
  about: string,
  none?: Setting["none"],
): Setting => {
  const name = names[key] ?? key.replace(/[A-Z]/g, (char) => `-${char.toLowerCase()}`);
  return { key, name, placeholder, about, kind, ...(none === undefined ? {} : { none }) };
};

const names: Partial<Record<SettingKey, string>> = { vramBytes: "vram", ramBytes: "ram" };

/**
 * In the order of the help: what a film shows, how it is sampled, what computes it, where it goes.
 */
export const settings: readonly Setting[] = [
  setting("image", "path", "FILE", "the start picture"),
  setting("prompt", "text", "TEXT", "what should happen: short, motion first"),
  setting("seconds", "number", "N", "length asked for; plan says what it becomes"),
  setting("seed", "number", "N", "same seed and settings, same video"),
  setting("model", "model", "NAME|DIR", "framepack, framepack-f1, demo, or a model's folder"),
  setting("order", "word", "inverted|f1", "inverted makes the end first; f1 goes forward"),
  setting("steps", "number", "N", "sampling steps a section"),
  setting("guidance", "number", "N", "distilled guidance"),
  setting("teacache", "switch", "", "reuse what hardly changes: faster, less exact"),
  setting("teacacheThreshold", "number", "N", "how much may change before it is computed again"),
  setting("negativePrompt", "text", "TEXT", "what should not be seen; counts when cfg is not 1"),
  setting("cfg", "number", "N", "real guidance; 1 is off, more costs twice the time"),
  setting("cfgRescale", "number", "N", "how far real guidance is scaled back, 0 to 1"),
  setting("shift", "number", "N|auto", "flow shift; auto takes it from the picture's size", "auto"),
  setting("window", "number", "N", "latent frames a section; 9 for the published weights"),
  setting("startLatent", "word", "mean|sample", "how the start picture is encoded"),
  setting("dtype", "word", "bf16|f32", "precision of the computation"),
  setting(
    "precision",
    "word",
    "native|fp8|int8",
    "precision of the weights; this build knows native",
  ),
  setting("backend", "word", "auto|cpu|cuda|emulated", "what computes"),
  setting("device", "number", "N", "which GPU, from 0"),
  setting("threads", "number", "N", "CPU threads; 0 is every core"),
  setting("vramBytes", "bytes", "SIZE|auto", "GPU memory to use, as 6GB or 5.5GiB", "auto"),
  setting("ramBytes", "bytes", "SIZE|auto", "main memory to use", "auto"),
  setting("spatialTiling", "word", "auto|on|off", "decode in tiles: slower, much less memory"),
  setting("crf", "number", "N", "H.264 quality, 0 to 51; lower is better and larger"),
  setting("fps", "number", "N", "frames a second of the file; motion was learnt at 30"),
  setting("out", "path", "FILE|DIR", "the video, or the folder it goes to", "auto"),
  setting("frames", "path", "DIR", "every frame as PNG into this folder too", "none"),
];

export const settingNamed = (name: string): Setting | undefined =>
  settings.find((one) => one.name === name);

/** FRAMEPACK_CFG_RESCALE for cfg-rescale. */
export const variableOf = ({ name }: Setting): string =>
  `FRAMEPACK_${name.toUpperCase().replaceAll("-", "_")}`;

export type Checked = Readonly<{ value: unknown } | { problem: string }>;

/** A value from a file, which has types of its own. Paths are taken from `folder`. */
export const checkValue = (one: Setting, raw: unknown, folder: string): Checked => {
  if (one.none !== undefined && raw === one.none) return { value: null };
  if (one.kind === "bytes" && typeof raw === "string") return checkText(one, raw, folder);
  const value = typeof raw === "string" && raw !== "" ? placed(one, raw, folder) : raw;
  const result = recipeSchema.shape[one.key].safeParse(value);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: issue === undefined ? "is not allowed" : issueText(issue, raw) };
};

/** Paths become absolute: whoever computes may run in another folder. */
const placed = (one: Setting, raw: string, folder: string): string => {
  if (one.kind === "path") {
    // A final slash says "a folder", which resolve() would drop.
    return isAbsolute(raw) ? raw : `${resolve(folder, raw)}${raw.endsWith("/") ? "/" : ""}`;
  }
  if (one.kind !== "model" || raw === "demo") return raw;
  if (knownModels.some(({ name, transformer }) => raw === name || raw === transformer.repo)) {
    return raw;
  }
  const path = resolve(folder, raw);
  return isFolder(path) ? path : raw;
};

/** A value given as text, by a flag or a variable of the environment. */
export const checkText = (one: Setting, text: string, folder: string): Checked => {
  if (one.none !== undefined && text === one.none) return { value: null };
  const raw = fromText(one, text);
  return "problem" in raw ? raw : checkValue(one, raw.value, folder);
};

const fromText = (one: Setting, text: string): Checked => {
  const word = text.trim().toLowerCase();
  switch (one.kind) {
    case "number": {
      const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(word);
      return isNumber ? { value: Number(word) } : { problem: "must be a number" };
    }
    case "switch": {
      if (["1", "on", "true", "yes"].includes(word)) return { value: true };
      if (["0", "off", "false", "no"].includes(word)) return { value: false };
      return { problem: "must be on or off" };
    }
    case "bytes": {
      const bytes = bytesOf(word);
      return bytes === undefined
        ? { problem: "must be a size such as 6GB or 5.5GiB" }
        : { value: bytes };
    }
    default:
      return { value: text };
  }
};

const bytesOf = (word: string): number | undefined => {
  const match = /^(\d+\.?\d*|\.\d+)\s*(b|[kmgt]b?|[kmgt]ib)?$/.exec(word);
  if (match === null) return undefined;
  const unit = match[2] ?? "b";
  const power = " kmgt".indexOf(unit.charAt(0) === "b" ? " " : unit.charAt(0));
  return Math.round(Number(match[1]) * (unit.endsWith("ib") ? 1024 : 1000) ** power);
};
