// A process of its own: runs the cases whose names begin with the given words on a backend of the
// library that FRAMEPACK_LIBRARY names, and prints how the first wrong one shows, or null.

import type { Backend } from "../../src/ffi/types.ts";
import { cases, check, label, referencesOf, withBackend } from "./backends.ts";

const [backend = "emulated", ...words] = process.argv.slice(2);
const references = referencesOf(cases.filter(({ name }) => words.some((w) => name.startsWith(w))));

const findFirst = (): string | null => {
  for (const reference of references) {
    const fault = check(reference);
    if (fault !== null) return `${label(reference)}: ${fault}`;
  }
  return null;
};

try {
  const fault = withBackend(backend as Backend, findFirst);
  console.log(JSON.stringify({ count: references.length, fault }));
} catch (cause) {
  // The backend did not start.
  const refusal = cause instanceof Error ? cause.message : String(cause);
  console.log(JSON.stringify({ count: 0, refusal }));
}
