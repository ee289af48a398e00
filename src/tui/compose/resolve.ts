// From what is typed to a recipe, or to what is wrong, field by field. The same settings code as for flags and files.

import { Failure, reportOf } from "../../engine/failure.ts";
import type { Recipe } from "../../engine/job.ts";
import { checkText, type Settings, settings } from "../../engine/setting-keys.ts";
import { type Resolved, recipeOf, resolveSettings } from "../../engine/settings.ts";
import type { ComposeState, Draft } from "../state.ts";
import { cleanPath } from "./edit.ts";

type Problems = ComposeState["problems"];

export type Resolution = Readonly<{
  recipe: Recipe | null;
  problems: Problems;
  /** What every setting would be, typed or not; shown in fields left alone. */
  values: Resolved["values"] | null;
}>;

export const resolveDraft = (draft: Draft, home: string, cwd: string): Resolution => {
  const problems: Problems[number][] = [];
  const flags: Record<string, unknown> = {};
  for (const one of settings) {
    const typed = typedText(draft, one.key, home);
    if (typed === "") continue;
    const checked = checkText(one, typed, cwd);
    if ("value" in checked) flags[one.key] = checked.value;
    else problems.push({ field: one.key, message: sentence(checked.problem), hint: null });
  }
  try {
    const resolved = resolveSettings({
      flags: flags as Settings,
      ...(draft.preset === null ? {} : { preset: draft.preset }),
      cwd,
    });
    if (resolved.values.image === null) {
      problems.push({ field: "image", message: "Choose a picture to start from.", hint: null });
    }
    const recipe = problems.length > 0 ? null : recipeOf(resolved);
    return { recipe, problems, values: resolved.values };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { message, hint, id } = reportOf(error);
    const field = id.includes("preset") ? "preset" : id.startsWith("model") ? "model" : "image";
    problems.push({ field, message, hint: hint ?? null });
    return { recipe: null, problems, values: null };
  }
};

/** "must be a number" reads as a sentence of its own. */
const sentence = (problem: string): string => `It ${problem.replace(/\.$/, "")}.`;

const typedText = (draft: Draft, key: string, home: string): string => {
  if (key === "image") return draft.image === "" ? "" : cleanPath(draft.image, home);
  if (key === "prompt") return draft.prompt;
  return draft.changes[key] ?? "";
};
