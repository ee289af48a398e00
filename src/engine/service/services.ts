// What the engine answers besides running jobs, put together for the real process. Tests bring their own.

import { knownModels } from "../config/known-models.ts";
import { resolveModel } from "../config/model-folder.ts";
import { checks } from "../doctor-checks.ts";
import { Failure, reportOf } from "../failure.ts";
import type { Check, ModelStatus } from "../protocol.ts";
import type { EngineServices } from "./engine.ts";
import { Inspector } from "./inspect.ts";

export const realServices = (): EngineServices => {
  const inspector = new Inspector();
  return {
    inspect: (recipe) => inspector.inspect(recipe),
    doctor,
    models: async () => models(),
    pull: async () => notYet(),
    verifyModel: async () => notYet(),
    cancelPull: () => undefined,
  };
};

const notYet = (): never => {
  throw new Failure("usage.verb-absent", "This build cannot download models.");
};

const states = { ok: "ok", note: "warn", bad: "fail" } as const;

const doctor = async (): Promise<Check[]> => {
  const results = await Promise.all(checks.map((check) => check()));
  return results
    .filter(({ name }) => name !== "terminal")
    .map(({ name, state, text, advice }) => ({
      id: name,
      label: name,
      state: states[state],
      text,
      advice: advice ?? null,
    }));
};

const models = (): ModelStatus[] => {
  const known = [
    { name: "demo", about: "the embedded model: one small world of moving shapes", bytes: 0 },
    ...knownModels,
  ];
  return known.map(({ name, about, bytes }) => {
    try {
      const { parts } = resolveModel(name);
      const path = parts.transformer;
      return {
        ...empty,
        name,
        title: about,
        state: "complete",
        path,
        bytesPresent: bytes,
        bytesTotal: bytes,
      };
    } catch (error) {
      const missing = [reportOf(error).message];
      return { ...empty, name, title: about, state: "absent", bytesTotal: bytes, missing };
    }
  });
};

const empty = { path: null, bytesPresent: 0, licence: "", missing: [] as string[] };
