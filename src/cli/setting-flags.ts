// One flag for every setting of a job, made from the table that presets and configuration share.

import { z } from "zod";
import { checkText, type Setting, type Settings, settings } from "../engine/setting-keys.ts";
import { type Flag, type Flags, text, toggle, value } from "./flags.ts";

/** Flags of `run`, `plan` and `demo`: every setting, and the preset. */
export const settingFlags = (): Flags => ({
  preset: text("NAME", "a named set of settings; framepack presets list shows them"),
  ...Object.fromEntries(settings.map((one) => [camel(one.name), flagOf(one)])),
});

/** The settings among parsed flags. */
export const settingsOf = (flags: Readonly<Record<string, unknown>>): Settings => {
  const found: Record<string, unknown> = {};
  for (const one of settings) {
    const given = flags[camel(one.name)];
    if (given !== undefined) found[one.key] = given;
  }
  return found as Settings;
};

const flagOf = (one: Setting): Flag<unknown> =>
  one.kind === "switch" ? toggle(one.about) : value(one.placeholder, one.about, schemaOf(one));

const schemaOf = (one: Setting): z.ZodType<unknown> =>
  z.string().transform((raw, context) => {
    if (one.key === "seed" && raw === "random") return randomSeed();
    const checked = checkText(one, raw, process.cwd());
    if ("value" in checked) return checked.value;
    context.addIssue({ code: "custom", message: checked.problem.replace(/, not .*$/s, "") });
    return z.NEVER;
  });

/** 31 bits: easy to copy, and the sign never matters. */
const randomSeed = (): number => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) >>> 1;

const camel = (name: string): string =>
  name.replace(/-[a-z]/g, (two) => two.charAt(1).toUpperCase());
