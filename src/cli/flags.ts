// The flags of every verb: `--name value`, `--name=value`, `--toggle`, `--no-toggle`, `--` ends them.
// A verb declares its flags once; parsing, checking (zod), suggestions and `--help` follow from that:
//
//   const runFlags = {
//     seconds: value("N", "length of the video", z.coerce.number().positive().max(3600)),
//     prompt: text("TEXT", "what should happen"),
//     json: toggle("one line of JSON an event"),
//   };
//   const { flags, rest } = parseFlags("run", runFlags, args, { usage: "[PRESET]", rest_max: 1 });
//   flags.seconds // number | undefined; camelCase keys are kebab-case on the command line
//
// A flag that was not given is undefined, so that a caller can tell "not said" from a default.

import { z } from "zod";
import { Failure } from "../engine/failure.ts";
import { didYouMean } from "../engine/nearest.ts";
import { quoted } from "../engine/printable.ts";
import { issueText } from "../engine/problem.ts";
import { HelpAsked } from "./help.ts";

export type Flag<T> = Readonly<{
  takes: "nothing" | "value" | "values";
  /** What stands for the value in the help, "N" or "FILE". */
  placeholder: string;
  about: string;
  schema: z.ZodType<T>;
}>;

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type Given<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T | undefined : never;
};

/** A flag without value; `--no-NAME` turns it off. */
export const toggle = (about: string): Flag<boolean> => ({
  takes: "nothing",
  placeholder: "",
  about,
  schema: z.boolean(),
});

/** A flag with one value, checked and converted by a schema that gets the text. */
export const value = <T>(placeholder: string, about: string, schema: z.ZodType<T>): Flag<T> => ({
  takes: "value",
  placeholder,
  about,
  schema,
});

/** A flag with one value of any text. */
export const text = (placeholder: string, about: string): Flag<string> =>
  value(placeholder, about, z.string());

/** A flag with one of a few words as value. */
export const choice = <const T extends readonly [string, ...string[]]>(
  words: T,
  about: string,
): Flag<T[number]> => value(words.join("|"), about, z.enum(words));

/** A flag with a number as value. Unlike z.coerce.number(), empty text and "0x10" are no numbers. */
export const number = (
  placeholder: string,
  about: string,
  schema: z.ZodType<number, number> = z.number(),
): Flag<number> => value(placeholder, about, numberText.pipe(schema));

/** A flag that may be given many times; the values come as a list. */
export const list = (placeholder: string, about: string): Flag<readonly string[]> => ({
  takes: "values",
  placeholder,
  about,
  schema: z.array(z.string()),
});

export type ParseOptions = Readonly<{
  /** What follows the verb in the help, "[CASE…]". */
  usage?: string;
  /** How many words without `--` are taken; 0 when not given. */
  rest_max?: number;
  /** Unknown flags are left in `rest` with the words, for a verb that passes them on. */
  passUnknown?: boolean;
}>;

export const parseFlags = <const F extends Flags>(
  verb: string,
  spec: F,
  args: readonly string[],
  options: ParseOptions = {},
): Readonly<{ flags: Given<F>; rest: readonly string[] }> => {
  const { found, rest } = collect(verb, spec, args, options);
  const rest_max = options.rest_max ?? 0;
  const surplus = rest[rest_max];
  if (surplus !== undefined) {
    const asked =
      rest_max === 0 ? "no words" : `at most ${rest_max} word${rest_max > 1 ? "s" : ""}`;
    throw usageFailure(
      verb,
      "extra-word",
      `takes ${asked} besides its flags: ${quoted(surplus)} is too much.`,
    );
  }
  const flags: Record<string, unknown> = {};
  for (const [key, raw] of found) flags[key] = check(verb, spec, key, raw);
  return { flags: flags as Given<F>, rest };
};

/** The help of a verb: a line of usage and one line a flag. */
export const describeFlags = (verb: string, spec: Flags, usage = ""): string => {
  const rows = Object.entries(spec).map(([key, flag]) => {
    const shown = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
    return [`--${kebab(key)}${shown}`, flag.about] as const;
  });
  const width = Math.min(32, Math.max(0, ...rows.map(([name]) => name.length)));
  const lines = rows.map(([name, about]) => `  ${name.padEnd(width)}  ${about}`);
  const head = ["Usage: framepack", verb, usage, rows.length > 0 ? "[flags]" : ""];
  return [head.filter((word) => word !== "").join(" "), ...lines].join("\n");
};

const numberText = z.string().transform((raw, context) => {
  const trimmed = raw.trim();
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  context.addIssue({ code: "custom", message: "it must be a number" });
  return z.NEVER;
});

type Collected = Readonly<{ found: Map<string, unknown>; rest: string[] }>;

const collect = (
  verb: string,
  spec: Flags,
  args: readonly string[],
  options: ParseOptions,
): Collected => {
  const keys = new Map(Object.keys(spec).map((key) => [kebab(key), key]));
  const found = new Map<string, unknown>();
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (word === "--") {
      rest.push(...args.slice(i + 1));
      break;
    }
    if (word === "--help" || word === "-h") {
      throw new HelpAsked(describeFlags(verb, spec, options.usage));
    }
    if (!word.startsWith("-") || word === "-") {
      rest.push(word);
      continue;
    }
    const equals = word.indexOf("=");
    const name = word.slice(word.startsWith("--") ? 2 : 1, equals < 0 ? undefined : equals);
    const inline = equals < 0 ? undefined : word.slice(equals + 1);
    const known = word.startsWith("--") ? lookUp(spec, keys, name) : undefined;
    if (known === undefined) {
      if (options.passUnknown) {
        rest.push(word);
        continue;
      }
      throw unknownFlag(verb, word.slice(0, equals < 0 ? undefined : equals), keys.keys());
    }
    const { key, flag, off } = known;
    if (flag.takes === "nothing") {
      if (inline !== undefined) throw usageFailure(verb, "flag-value", `--${name} takes no value.`);
      found.set(key, !off);
      continue;
    }
    const given = inline ?? args[++i];
    if (given === undefined || (inline === undefined && given.startsWith("--"))) {
      const shape = `--${name} ${flag.placeholder}`;
      throw usageFailure(verb, "flag-value", `--${name} needs a value: ${shape}.`);
    }
    if (flag.takes === "value") found.set(key, given);
    else found.set(key, [...((found.get(key) as string[] | undefined) ?? []), given]);
  }
  return { found, rest };
};

type Known = Readonly<{ key: string; flag: Flag<unknown>; off: boolean }>;

const lookUp = (
  spec: Flags,
  keys: ReadonlyMap<string, string>,
  name: string,
): Known | undefined => {
  const key = keys.get(name);
  const flag = key === undefined ? undefined : spec[key];
  if (key !== undefined && flag !== undefined) return { key, flag, off: false };
  const positive = name.startsWith("no-") ? keys.get(name.slice(3)) : undefined;
  const switched = positive === undefined ? undefined : spec[positive];
  if (positive === undefined || switched?.takes !== "nothing") return undefined;
  return { key: positive, flag: switched, off: true };
};

const check = (verb: string, spec: Flags, key: string, raw: unknown): unknown => {
  const flag = spec[key];
  const result = flag?.schema.safeParse(raw);
  if (result?.success) return result.data;
  const issue = result?.error.issues[0];
  // The sentence begins with the value: it need not end with it too.
  const why = issue === undefined ? "it is not known" : issueText(issue, raw).replace(notShown, "");
  const shown = Array.isArray(raw) ? raw.join(",") : String(raw);
  throw usageFailure(verb, "flag-value", `--${kebab(key)} ${quoted(shown)}: ${lowerFirst(why)}.`);
};

const notShown = /, not [^,]*$/s;

const unknownFlag = (verb: string, word: string, known: Iterable<string>): Failure => {
  const bare = word.replace(/^-+/, "");
  const guess = didYouMean(bare, known, "--");
  return usageFailure(verb, "unknown-flag", `there is no flag ${quoted(word, 40)}.${guess}`);
};

const usageFailure = (verb: string, id: string, message: string): Failure =>
  new Failure(`usage.${id}`, `framepack ${verb}: ${message}`, {
    hint: `framepack ${verb} --help lists its flags.`,
  });

const kebab = (key: string): string => key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
const lowerFirst = (text: string): string =>
  text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, "");
