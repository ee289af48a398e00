// What the engine answers besides running jobs, put together for the real process. Tests bring their own.

import { checks } from "../doctor-checks.ts";
import type { Check } from "../protocol.ts";
import { downloads } from "./downloads.ts";
import type { EngineServices } from "./engine.ts";
import { Inspector } from "./inspect.ts";

export const realServices = (): EngineServices => {
  const inspector = new Inspector();
  return {
    inspect: (recipe) => inspector.inspect(recipe),
    doctor,
    ...downloads(),
  };
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
