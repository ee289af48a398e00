// Reads a small JSON file that came with a model and checks it with zod. Every problem is told
// with its path inside the file. The schemas live beside this file, one a network.

import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { JsonProblem, parseStrictJson } from "../weights/strict-json.ts";

const config_bytes_max = 4_000_000;
const depth_max = 32;
const listed_max = 10;

/** Reads, parses and checks; `model.missing` or `model.config`, naming the file. */
export const readConfig = <T>(path: string, schema: z.ZodType<T>): T => {
  const parsed = schema.safeParse(readJson(path));
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const shown = issues.slice(0, listed_max).map(describe).join("; ");
  const more = issues.length > listed_max ? `; and ${issues.length - listed_max} more` : "";
  throw new Failure("model.config", `${quoted(path, 300)} cannot be used: ${shown}${more}.`, {
    hint: "The folder may belong to a model of another architecture.",
  });
};

/** A JSON file as it is, with limits on its size and depth. */
export const readJson = (path: string, bytes_max = config_bytes_max): unknown => {
  try {
    const { size } = statSync(path);
    if (size > bytes_max) throw new JsonProblem(`is ${size} bytes long, which is too much`);
    return parseStrictJson(readFileSync(path, "utf8"), depth_max);
  } catch (error) {
    if (error instanceof JsonProblem) {
      throw new Failure("model.corrupt", `${quoted(path, 300)} ${error.message}.`, {
        cause: error,
      });
    }
    throw new Failure("model.missing", `${quoted(path, 300)} cannot be read.`, {
      hint: "The model's folder is not complete; fetch the model again.",
      cause: error,
    });
  }
};

const describe = (issue: z.core.$ZodIssue): string => {
  const where = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  return `${where}${issue.message}`;
};

// Pieces that the schemas share. Sizes are bounded, so that products of them stay exact.

export const size = z.int().positive().max(1_000_000);
export const count = z.int().nonnegative().max(10_000);
export const epsilon = z.number().positive().max(1);

/** A key that has to have one of these values; the message says what was found. */
export const oneOf = <const T extends string>(...words: readonly [T, ...T[]]): z.ZodType<T> =>
  z.custom<T>((value) => words.includes(value as T), {
    error: ({ input }) => `${quoted(String(input), 60)} is not supported, only ${words.join(", ")}`,
  });

/** A switch that this program knows in one position only; absent means that position. */
export const only = (position: boolean): z.ZodType<boolean | null | undefined> =>
  z
    .custom<boolean>((value) => value === position, {
      error: ({ input }) => `${String(input)} is not supported, only ${position}`,
    })
    .nullish();
