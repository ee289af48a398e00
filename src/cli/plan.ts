// framepack plan: what run would do, from headers alone. Nothing is computed, nothing is written.

import { resolveModel } from "../engine/config/model-folder.ts";
import { measurePicture, pictureWarnings } from "../engine/media/picture.ts";
import { stateDir } from "../engine/paths.ts";
import { planInputOf } from "../engine/plan/ask.ts";
import { readFacts } from "../engine/plan/facts.ts";
import { refuseUnfit } from "../engine/plan/fit.ts";
import { planJob } from "../engine/plan/plan.ts";
import { jsonLine } from "../engine/printable.ts";
import { type Resolved, recipeOf } from "../engine/settings.ts";
import { cutWarnings, PromptTokenizer } from "../engine/text/prompt.ts";
import { settingsFromArgs } from "./asked.ts";
import { toggle } from "./flags.ts";
import { planTable } from "./plan-table.ts";

const planFlags = { json: toggle("one JSON object on stdout") };

export const run = async (args: readonly string[]): Promise<number> => {
  const { resolved, shown } = settingsFromArgs("plan", args, planFlags);
  const { image } = resolved.values;
  const picture = image === null ? square : await measurePicture(image);
  const recipe = recipeOf(image === null ? withPicture(resolved) : resolved);
  const folder = resolveModel(recipe.model);
  const prompt = new PromptTokenizer(folder.parts, folder.settings.promptTemplate).encode(
    recipe.prompt,
  );
  const question = planInputOf({
    ...{ recipe, folder, picture, stateDir: stateDir() },
    facts: readFacts(folder),
    textTokens: prompt.llama.ids.length - prompt.llama.crop,
  });
  const asked = planJob(question);
  const crop = image === null ? [] : pictureWarnings(picture, asked.bucket);
  const plan = { ...asked, warnings: [...asked.warnings, ...crop, ...cutWarnings(prompt)] };
  if (shown.json) console.log(jsonLine(plan));
  else console.log(planTable(plan).join("\n"));
  if (image === null) process.stderr.write("No picture was given; a square one is assumed.\n");
  refuseUnfit(question, asked);
  return 0;
};

/** Stands for a picture that is not known yet: lengths and costs hardly depend on its shape. */
const square = { width: 1024, height: 1024 };

const withPicture = (resolved: Resolved): Resolved => ({
  ...resolved,
  values: { ...resolved.values, image: "a square picture" },
});
