// A plan for somebody who only asks: nothing is opened on a device, and the time comes from what
// this machine measured the last time it ran the same model in the same way.

import { existsSync } from "node:fs";
import type { ModelFolder } from "../config/model-folder.ts";
import { modelHash } from "../config/model-hash.ts";
import type { Recipe } from "../job.ts";
import type { ModelFacts } from "./facts.ts";
import type { PlanInput } from "./plan.ts";
import { readRate } from "./rates.ts";

export type Question = Readonly<{
  recipe: Recipe;
  folder: ModelFolder;
  facts: ModelFacts;
  picture: Readonly<{ height: number; width: number }>;
  /** Null where the prompt was not tokenised. */
  textTokens: number | null;
  stateDir: string;
}>;

export const planInputOf = (question: Question): PlanInput => {
  const { recipe, folder, facts, picture, textTokens, stateDir } = question;
  const isCpu = looksLikeCpu(recipe);
  return {
    recipe,
    model: facts,
    picture,
    textTokens,
    isCpu,
    deviceBytes: isCpu ? recipe.ramBytes : recipe.vramBytes,
    rate: readRate(stateDir, { ...recipe, modelId: modelHash(folder) }),
  };
};

/** With "auto", a driver that is loaded stands for a GPU that works; the job itself tries it. */
const looksLikeCpu = ({ backend }: Recipe): boolean =>
  backend === "auto" ? !existsSync("/dev/nvidiactl") : backend !== "cuda";
