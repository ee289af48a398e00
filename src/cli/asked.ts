// What somebody asks for on the command line of run, plan and demo: settings from all their places.

import type { Recipe } from "../engine/job.ts";
import { chooseOutput } from "../engine/media/output-name.ts";
import { measurePicture } from "../engine/media/picture.ts";
import { type Resolved, recipeOf, resolveSettings } from "../engine/settings.ts";
import { type PreviewWord, previewWordList } from "../tui/preview-words.ts";
import { choice, type Flags, parseFlags, toggle } from "./flags.ts";
import { requireModel } from "./require-model.ts";
import { settingFlags, settingsOf } from "./setting-flags.ts";

export const outputFlags = {
  json: toggle("one line of JSON an event on stdout, an envelope last"),
  quiet: toggle("say nothing but failures; the video's path goes to stdout"),
  preview: choice(
    previewWordList,
    "play the finished video on the terminal, in this way; auto asks the terminal for its best",
  ),
  here: toggle("compute in this process instead of the engine's: the job ends with it"),
} satisfies Flags;

export type Shown = Readonly<{
  json: boolean;
  quiet: boolean;
  here: boolean;
  /** Null where nothing was said. */
  preview: PreviewWord | null;
}>;
export type Asked = Readonly<{ resolved: Resolved; shown: Shown; detach: boolean }>;

export const shownFrom = (flags: Readonly<Record<string, unknown>>): Shown => ({
  json: flags.json === true,
  quiet: flags.quiet === true,
  here: flags.here === true,
  preview: previewWordList.find((word) => word === flags.preview) ?? null,
});

/** What flags, environment, files and preset add up to. A lone word is a preset's name. */
export const settingsFromArgs = (verb: string, args: readonly string[], more: Flags): Asked => {
  const spec: Flags = { ...settingFlags(), ...more };
  const { flags, rest } = parseFlags(verb, spec, args, { usage: "[PRESET]", rest_max: 1 });
  const named = typeof flags.preset === "string" ? flags.preset : rest[0];
  return {
    resolved: resolveSettings({ flags: settingsOf(flags), preset: named }),
    shown: shownFrom(flags),
    detach: flags.detach === true,
  };
};

/** A recipe that can be tried: its picture is one, and its video has a name that is free. */
export const recipeToRun = async (resolved: Resolved): Promise<Recipe> => {
  const recipe = recipeOf(resolved);
  const out = chooseOutput(recipe.out, recipe);
  // The job looks again; here it costs nothing yet, neither a library nor an engine.
  await measurePicture(recipe.image);
  requireModel(recipe.model);
  return { ...recipe, out };
};
