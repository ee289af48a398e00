// What every kind of case has in common: how it is run and how intermediates are compared.

import type { FloatDtype } from "../../ffi/types.ts";
import type { Tap } from "../models/breathe.ts";
import type { LoadOptions } from "../models/load.ts";
import type { Case } from "./case.ts";
import { type Judge, valuesOf } from "./measure.ts";
import type { ReferenceFile } from "./tensors.ts";

export interface CaseRun {
  readonly case: Case;
  readonly variant: string;
  readonly judge: Judge;
  readonly load: LoadOptions;
}

export interface CaseKind {
  /** Dtypes that say anything about this kind. */
  readonly dtypes: readonly FloatDtype[];
  /** Whether the input/output pairs of a folder are run one by one. */
  readonly perVariant: boolean;
  readonly run: (run: CaseRun) => Promise<void>;
}

export const allDtypes: readonly FloatDtype[] = ["f32", "bf16", "f16"];

/** Compares every intermediate that the case has a tensor for, `prefix` before its name. */
export const tapInto =
  (judge: Judge, outputs: ReferenceFile, prefix = ""): Tap =>
  (name, tensor) => {
    const want = outputs.find(prefix + name);
    if (want === undefined) return;
    const got = valuesOf(tensor);
    // Rows behind a text's end are in some references and mean nothing.
    const comparable =
      want.data.length > got.length ? want.data.subarray(0, got.length) : want.data;
    judge.compare(prefix + name, got, comparable);
  };

/** Numbers collected under names, in the order they come. */
export class Series {
  readonly #values = new Map<string, number[]>();

  push(name: string, values: Iterable<number>): void {
    const all = this.#values.get(name) ?? [];
    for (const value of values) all.push(value);
    this.#values.set(name, all);
  }

  compare(outputs: ReferenceFile, judge: Judge): void {
    for (const [name, values] of this.#values) {
      const want = outputs.find(name);
      if (want === undefined) continue;
      if (want.data instanceof Float32Array) judge.compare(name, values, want.data);
      else judge.whole(name, values, want.data);
    }
  }
}
