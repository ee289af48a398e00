// A run needs its model. A published one that is not whole is offered for download on a terminal;
// elsewhere the failure names the command.

import { hubCache } from "../engine/config/cache.ts";
import { Failure } from "../engine/failure.ts";
import { findPublished } from "../engine/hub/manifest.ts";
import { modelStatus } from "../engine/hub/status.ts";
import { quoted } from "../engine/printable.ts";
import { size } from "../engine/words.ts";
import { pullAsked } from "./models-actions.ts";

/** Throws unless every file of a published model is here; other models are for others to judge. */
export const requireModel = (name: string): void => {
  const model = findPublished(name);
  if (model === undefined) return;
  const { state, bytesPresent, bytesTotal, missing } = modelStatus(model, hubCache());
  if (state === "complete") return;
  const there = state === "absent" ? "is not here" : `lacks ${missing.length} of its files`;
  throw new Failure("model.missing", `The model ${quoted(model.name)} ${there}.`, {
    hint: `framepack models pull ${model.name} fetches about ${size(bytesTotal - bytesPresent)}.`,
  });
};

/** On a terminal: asks, and fetches. Anything else is left to requireModel. */
export const offerModel = async (name: string): Promise<void> => {
  const model = findPublished(name);
  if (model === undefined || !process.stdin.isTTY || !process.stderr.isTTY) return;
  const cache = hubCache();
  if (modelStatus(model, cache).state === "complete") return;
  await pullAsked(model, { cache, json: false, yes: false, check: false, latest: false });
};
