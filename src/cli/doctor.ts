// framepack doctor: one line for everything a run depends on, and what to do where something lacks.

import { type Check, checks, ok } from "../engine/doctor-checks.ts";
import { exitCodes } from "../engine/failure.ts";
import { jsonLine, printable } from "../engine/printable.ts";
import { capabilitiesFrom } from "../tui/pictures/capabilities.ts";
import { surroundings } from "../tui/pictures/detect.ts";
import { parseFlags, toggle } from "./flags.ts";

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("doctor", { json: toggle("one JSON object on stdout") }, args);
  const results = await Promise.all([...checks, terminal].map((check) => check()));
  if (flags.json) console.log(jsonLine(results));
  else console.log(results.map(lineOf).join("\n"));
  return results.find(({ code }) => code !== exitCodes.ok)?.code ?? exitCodes.ok;
};

const marks = { ok: "ok  ", note: "note", bad: "BAD " } as const;

const lineOf = ({ state, name, text, advice }: Check): string => {
  const line = `${marks[state]} ${name.padEnd(9)} ${text}`;
  return advice === undefined ? line : `${line} ${advice}`;
};

/** What can be shown here. The terminal itself is not asked: that would eat keys typed ahead. */
const terminal = async (): Promise<Check> => {
  const { isTTY, columns = 80, rows = 24 } = process.stdout;
  if (!isTTY) return ok("terminal", "None: one line an event.");
  const around = surroundings(process.env, { columns, rows });
  const { method } = capabilitiesFrom("", "", around);
  return ok(
    "terminal",
    `${printable(around.term, 60)}, ${columns}×${rows}, pictures at least as ${method}.`,
  );
};
