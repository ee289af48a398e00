// Errors against a reference, each held against its limit.

import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import type { Limit } from "./case.ts";
import type { Reference } from "./tensors.ts";

export type Metric = "rel_l2" | "max_abs" | "exact";

/** One compared tensor or table. */
export interface Check {
  readonly case: string;
  readonly variant: string;
  readonly tensor: string;
  readonly dtype: FloatDtype;
  readonly metric: Metric;
  readonly error: number;
  readonly limit: number;
  readonly pass: boolean;
  /** Whether it is the output that counts most. */
  readonly final: boolean;
}

export type Values = ArrayLike<number>;

/** ‖got − want‖ / ‖want‖; infinite where lengths differ or a value is no number. */
export const relL2 = (got: Values, want: Values): number => {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let off = 0;
  let all = 0;
  for (let i = 0; i < want.length; i++) {
    const w = want[i] ?? 0;
    off += ((got[i] ?? Number.NaN) - w) ** 2;
    all += w * w;
  }
  if (Number.isNaN(off)) return Number.POSITIVE_INFINITY;
  return all === 0 ? Math.sqrt(off) : Math.sqrt(off / all);
};

export const maxAbs = (got: Values, want: Values): number => {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < want.length; i++) {
    const off = Math.abs((got[i] ?? Number.NaN) - (want[i] ?? 0));
    if (Number.isNaN(off)) return Number.POSITIVE_INFINITY;
    most = Math.max(most, off);
  }
  return most;
};

/** What is judged, as far as a check names it. */
export interface Judged {
  readonly name: string;
  isFinal(tensor: string): boolean;
}

/** Collects the checks of one variant in one dtype. */
export class Judge {
  readonly checks: Check[] = [];
  readonly dtype: FloatDtype;
  readonly #subject: Judged;
  readonly #variant: string;
  readonly #limit: Limit;

  constructor(subject: Judged, variant: string, dtype: FloatDtype, limit: Limit) {
    this.dtype = dtype;
    this.#subject = subject;
    this.#variant = variant;
    this.#limit = limit;
  }

  /** Compares by the case's own measure and limit. */
  compare(tensor: string, got: Values, want: Values, limit: Limit = this.#limit): void {
    const error = limit.metric === "rel_l2" ? relL2(got, want) : maxAbs(got, want);
    this.#add(tensor, limit.metric, error, limit.value);
  }

  /** The largest difference of whole numbers, held against a limit; 0 means equal. */
  whole(tensor: string, got: Values, want: Values, limit = 0): void {
    this.#add(tensor, limit === 0 ? "exact" : "max_abs", maxAbs(got, want), limit);
  }

  /** Tables and ids: how many places differ. */
  equal(tensor: string, differences: number): void {
    this.#add(tensor, "exact", differences, 0);
  }

  #add(tensor: string, metric: Metric, error: number, limit: number): void {
    this.checks.push({
      case: this.#subject.name,
      variant: this.#variant,
      tensor,
      dtype: this.dtype,
      metric,
      error,
      limit,
      pass: error <= limit,
      final: this.#subject.isFinal(tensor),
    });
  }
}

/** A tensor's values, copied out in the order of its dimensions. */
export const valuesOf = (tensor: Tensor): Float32Array => {
  using plain = tensor.contiguous();
  return plain.f32();
};

/** Channels-last [T, H, W, C] as the reference's [C, T, H, W]. */
export const channelsFirst = (tensor: Tensor): Float32Array => {
  using turned = tensor.permute([3, 0, 1, 2]);
  return valuesOf(turned);
};

/** The first rows of [1, rows, C] reference values. */
export const firstRows = ({ dims, data }: Reference, rows: number): Values => {
  const width = dims.at(-1) ?? 1;
  return data.subarray(0, rows * width);
};
