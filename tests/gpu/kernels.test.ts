// Every op case on a real GPU against the cpu. Asked for with `framepack test --gpu`; elsewhere
// these say skipped.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeLibrary, openLibrary } from "../../src/ffi/library.ts";
import { cases, check, label, referencesOf } from "../kernels/backends.ts";

const isAsked = process.env.FRAMEPACK_TEST_GPU === "1";
const references = isAsked ? referencesOf(cases) : [];

beforeAll(() => {
  if (isAsked) openLibrary({ backend: "cuda" });
});

afterAll(() => {
  if (isAsked) closeLibrary();
});

test.skipIf(!isAsked)("the cpu answered every case", () => {
  expect(references.length).toBeGreaterThan(cases.length - 1);
});

test.each(references.map((r) => [label(r), r] as const))("cuda: %s", (_, reference) => {
  const fault = check(reference);

  expect(fault).toBeNull();
});
