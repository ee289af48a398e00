import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeLibrary, openLibrary } from "../../src/ffi/library.ts";
import { cases, check, label, referencesOf } from "./backends.ts";

// Collected before the tests run: a backend cannot be changed while one uses it.
const references = referencesOf(cases);

beforeAll(() => {
  openLibrary({ backend: "emulated" });
});

afterAll(() => {
  closeLibrary();
});

test.each(references.map((r) => [label(r), r] as const))(
  "emulated: %s",
  (_, reference) => {
    const fault = check(reference);

    expect(fault).toBeNull();
  },
  60_000,
);
