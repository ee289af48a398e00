// Runs every case on the cpu and on another backend and says how they compare. The library holds one
// backend at a time, so the cpu goes first and its answers are kept.

import { closeLibrary, loadLibrary, openLibrary } from "../../src/ffi/library.ts";
import type { Backend, FloatDtype } from "../../src/ffi/types.ts";
import { type Case, runCase } from "./case.ts";
import { convs } from "./cases/convs.ts";
import { elements } from "./cases/elements.ts";
import { norms } from "./cases/norms.ts";
import { products } from "./cases/products.ts";
import { findDifference, findFault } from "./compare.ts";

export const cases: readonly Case[] = [...products, ...norms, ...convs, ...elements];

type Results = readonly Float32Array[];
type Reference = Readonly<{ c: Case; dtype: FloatDtype; exact: Results; plain: Results }>;

/** The cpu's answers: in f32, and in the case's own precision. */
export const referencesOf = (list: readonly Case[]): readonly Reference[] => {
  loadLibrary();
  closeLibrary(); // what an earlier test file left open
  openLibrary({ backend: "cpu" });
  try {
    return list.flatMap((c) =>
      c.dtypes.map((dtype) => ({
        c,
        dtype,
        exact: runCase(c, dtype, "f32"),
        plain: runCase(c, dtype, dtype),
      })),
    );
  } finally {
    closeLibrary();
  }
};

/** Runs `use` while the backend is open. */
export const withBackend = <T>(backend: Backend, use: () => T): T => {
  openLibrary({ backend });
  try {
    return use();
  } finally {
    closeLibrary();
  }
};

/** Null when the open backend answers a case as it should, else what is wrong. */
export const check = ({ c, dtype, exact, plain }: Reference): string | null => {
  try {
    const tested = runCase(c, dtype, dtype);
    return c.isExact ? findDifference(tested, plain) : findFault(tested, plain, exact, dtype);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
};

export const label = ({ c, dtype }: Reference): string => `${c.name} in ${dtype}`;
