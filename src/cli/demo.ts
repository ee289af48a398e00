// framepack demo: a video with the embedded model, through the same code as any other job. At the
// end it is played on the terminal.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { demoFolder } from "../engine/config/model-folder.ts";
import { Failure } from "../engine/failure.ts";
import { printable, quoted } from "../engine/printable.ts";
import type { SettingKey, Settings } from "../engine/setting-keys.ts";
import { resolveSettings } from "../engine/settings.ts";
import { outputFlags, recipeToRun, shownFrom } from "./asked.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { runInForeground } from "./foreground.ts";
import { playOutcome } from "./play-film.ts";
import { settingFlags, settingsOf } from "./setting-flags.ts";

export const run = async (args: readonly string[]): Promise<number> => {
  const spec: Flags = { ...settingFlags(), ...outputFlags };
  const { flags, rest } = parseFlags("demo", spec, args, { usage: "[1|2|3]", rest_max: 1 });
  const shown = shownFrom(flags);
  const talks = !shown.json && !shown.quiet;
  const preset = typeof flags.preset === "string" ? flags.preset : "demo";
  const chosen: Settings = { ...exampleNamed(rest[0]), ...settingsOf(flags) };
  const resolved = resolveSettings({ flags: chosen, preset });
  const { image, prompt } = resolved.values;
  if (talks) {
    const picture = printable(image ?? "none");
    process.stderr.write(`Picture: ${picture}\nPrompt: ${printable(prompt, 300)}\n`);
  }
  const outcome = await runInForeground(() => recipeToRun(resolved), shown);
  await playOutcome(outcome, shown, "auto");
  return outcome.code;
};

const exampleSchema = z.array(z.object({ image: z.string(), prompt: z.string() }));

/** The settings of an example of the embedded model; without a number the preset's own. */
const exampleNamed = (word: string | undefined): Pick<Settings, SettingKey> => {
  if (word === undefined) return {};
  const folder = join(demoFolder, "examples");
  const list = exampleSchema.parse(JSON.parse(readFileSync(join(folder, "prompts.json"), "utf8")));
  const example = /^\d+$/.test(word) ? list[Number(word) - 1] : undefined;
  if (example === undefined) {
    throw new Failure("usage.example", `There is no demo example ${quoted(word, 20)}.`, {
      hint: `Choose a number from 1 to ${list.length}.`,
    });
  }
  return { image: join(folder, example.image), prompt: example.prompt };
};
