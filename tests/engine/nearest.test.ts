// Suggestions for mistyped words.

import { expect, test } from "bun:test";
import { didYouMean, nearest } from "../../src/engine/nearest.ts";

const verbs = ["run", "resume", "presets", "plan", "cancel"];

test.each([
  ["rnu", "run"],
  ["Preset", "presets"],
  ["pla", "plan"],
  ["cancle", "cancel"],
])("%p means %p", (word, meant) => {
  expect(nearest(word, verbs)).toBe(meant);
});

test("a word like no known one gets no suggestion", () => {
  expect(nearest("xylophone", verbs)).toBeUndefined();
  expect(didYouMean("xylophone", verbs)).toBe("");
});
