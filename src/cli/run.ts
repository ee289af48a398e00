// framepack run: one video from a picture and a prompt.

import { recipeToRun, settingsFromArgs } from "./asked.ts";
import { runInForeground } from "./foreground.ts";

export const run = async (args: readonly string[]): Promise<number> => {
  const { resolved, json, quiet } = settingsFromArgs("run", args);
  return (await runInForeground(() => recipeToRun(resolved), { json, quiet })).code;
};
