// framepack doctor: one line for everything a run depends on, and what to do where something lacks.

import { exitCodes } from "../engine/failure.ts";
import { type Check, checks } from "./doctor-checks.ts";
import { parseFlags, toggle } from "./flags.ts";

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("doctor", { json: toggle("one JSON object on stdout") }, args);
  const results = await Promise.all(checks.map((check) => check()));
  if (flags.json) console.log(JSON.stringify(results));
  else console.log(results.map(lineOf).join("\n"));
  return results.find(({ code }) => code !== exitCodes.ok)?.code ?? exitCodes.ok;
};

const marks = { ok: "ok  ", note: "note", bad: "BAD " } as const;

const lineOf = ({ state, name, text, advice }: Check): string => {
  const line = `${marks[state]} ${name.padEnd(9)} ${text}`;
  return advice === undefined ? line : `${line} ${advice}`;
};
