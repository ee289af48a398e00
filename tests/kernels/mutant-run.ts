// A process of its own: runs the cases whose names begin with the given words on the library with
// planted faults, and prints how the first wrong one shows, or null. FRAMEPACK_MUTANT names the fault.

import { cases, check, label, referencesOf, withBackend } from "./backends.ts";

const [words = ""] = process.argv.slice(2);
const references = referencesOf(cases.filter(({ name }) => name.startsWith(words)));

const findFirst = (): string | null => {
  for (const reference of references) {
    const fault = check(reference);
    if (fault !== null) return `${label(reference)}: ${fault}`;
  }
  return null;
};

console.log(
  JSON.stringify({ count: references.length, fault: withBackend("emulated", findFirst) }),
);
