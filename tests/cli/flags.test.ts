// The flag parser that every verb shares.

import { expect, test } from "bun:test";
import { z } from "zod";
import { choice, list, number, parseFlags, text, toggle } from "../../src/cli/flags.ts";
import { HelpAsked } from "../../src/cli/help.ts";
import { Failure } from "../../src/engine/failure.ts";

const spec = {
  seconds: number("N", "length", z.number().positive("it must be above zero").max(3600)),
  promptFile: text("FILE", "where the prompt is"),
  backend: choice(["cpu", "cuda"], "where to compute"),
  json: toggle("one line of JSON an event"),
  lora: list("FILE", "may be given many times"),
};

const failureOf = (args: readonly string[]): Failure => {
  try {
    parseFlags("run", spec, args);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

test("values come after a space or an equals sign, converted", () => {
  const { flags } = parseFlags("run", spec, ["--seconds", "2.5", "--prompt-file=a=b", "--json"]);

  expect(flags).toMatchObject({ seconds: 2.5, promptFile: "a=b", json: true });
});

test("a flag that was not given is undefined and --no- turns a toggle off", () => {
  expect(parseFlags("run", spec, []).flags.json).toBeUndefined();
  expect(parseFlags("run", spec, ["--no-json"]).flags.json).toBe(false);
});

test("a repeated flag gives a list, and the last of a single flag wins", () => {
  const args = ["--lora", "a", "--lora=b", "--seconds=1", "--seconds=2"];

  const { flags } = parseFlags("run", spec, args);

  expect(flags.lora).toEqual(["a", "b"]);
  expect(flags.seconds).toBe(2);
});

test("two dashes end the flags", () => {
  const { rest } = parseFlags("run", spec, ["a", "--", "--json"], { rest_max: 2 });

  expect(rest).toEqual(["a", "--json"]);
});

test("an unknown flag suggests the nearest", () => {
  const failure = failureOf(["--secnods", "3"]);

  expect(failure.code).toBe(2);
  expect(failure.message).toContain("Did you mean --seconds?");
});

test.each(["NaN", "", "1e", "0x10", "Infinity", "five"])("%p is no number", (raw) => {
  expect(failureOf(["--seconds", raw]).message).toContain("it must be a number");
});

test.each(["0", "-1"])("a value outside its range is refused: %p", (raw) => {
  expect(failureOf(["--seconds", raw]).message).toContain("must be more than 0");
});

test("a flag without its value, a toggle with one, and a surplus word are refused", () => {
  expect(failureOf(["--seconds"]).message).toContain("needs a value");
  expect(failureOf(["--prompt-file", "--json"]).message).toContain("needs a value");
  expect(failureOf(["--json=yes"]).message).toContain("takes no value");
  expect(failureOf(["word"]).message).toContain("too much");
});

test("a choice outside the list names the list", () => {
  expect(failureOf(["--backend", "tpu"]).message).toContain("must be cpu or cuda");
});

test("a switched-off flag with a value is not a toggle", () => {
  expect(failureOf(["--no-seconds"]).id).toBe("usage.unknown-flag");
});

test("--help stops the parsing with the text of the help", () => {
  const asked = (): unknown => parseFlags("run", spec, ["--help"], { usage: "[PRESET]" });

  expect(asked).toThrow(HelpAsked);
  expect(asked).toThrow("Usage: framepack run [PRESET] [flags]");
});
