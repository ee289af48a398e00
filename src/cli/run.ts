// framepack run: one video from a picture and a prompt, in the engine process, watched from here.

import { jsonLine } from "../engine/printable.ts";
import { outputFlags, recipeToRun, settingsFromArgs } from "./asked.ts";
import { type Flags, toggle } from "./flags.ts";
import { runInForeground } from "./foreground.ts";
import { playOutcome } from "./play-film.ts";
import { offerModel } from "./require-model.ts";

const runFlags = {
  ...outputFlags,
  detach: toggle("leave the job to the engine and come back at once; attach follows it"),
} satisfies Flags;

export const run = async (args: readonly string[]): Promise<number> => {
  const { resolved, shown, detach } = settingsFromArgs("run", args, runFlags);
  await offerModel(resolved.values.model);
  if (!detach) {
    const outcome = await runInForeground(() => recipeToRun(resolved), shown);
    await playOutcome(outcome, shown, "none");
    return outcome.code;
  }
  const { submitOnly } = await import("./via-engine.ts");
  const job = await submitOnly(await recipeToRun(resolved));
  if (shown.json) {
    console.log(jsonLine({ type: "submitted", job: job.id, out: job.recipe.out }));
  } else console.log(job.id);
  return 0;
};
