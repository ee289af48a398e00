// What zod found wrong, in words for people: "must be at most 3600", "must be one of on, off".

import type { z } from "zod";
import { quoted } from "./printable.ts";

export type Problem = Readonly<{
  /** The key, dotted; empty for the whole. */
  path: string;
  message: string;
}>;

export const problemText = ({ path, message }: Problem): string =>
  path === "" ? message : `${path} ${message}`;

/**
 * One issue as the end of a sentence that starts with the key. `input` is the value it is about.
 */
export const issueText = (issue: z.core.$ZodIssue, input: unknown): string => {
  const found = `, not ${shown(input)}`;
  switch (issue.code) {
    case "invalid_type":
      return `must be ${article(issue.expected)}${found}`;
    case "too_small":
      if (issue.origin === "string") return "must not be empty";
      return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${found}`;
    case "too_big":
      if (issue.origin === "string") return `must have at most ${issue.maximum} characters`;
      return `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${found}`;
    case "invalid_value":
      return `must be ${oneOf(issue.values.map(String))}${found}`;
    default:
      return `${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}`;
  }
};

const article = (type: string): string => {
  if (type === "int") return "a whole number";
  if (type === "boolean") return "true or false";
  if (type === "string") return "text in quotes";
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
};

const oneOf = (words: readonly string[]): string =>
  words.length === 1 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

const shown = (input: unknown): string => {
  if (typeof input === "string") return quoted(input, 60);
  if (typeof input === "object" && input !== null)
    return Array.isArray(input) ? "a list" : "a table";
  return String(input);
};
