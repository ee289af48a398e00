// How near a backend must come: its error against f32 is at most twice that of the plain cpu version
// in the same precision, plus a floor of half a rounding step of the largest values.

import type { FloatDtype } from "../../src/ffi/types.ts";

const steps: Readonly<Record<FloatDtype, number>> = {
  f32: 2 ** -17,
  bf16: 2 ** -8,
  f16: 2 ** -11,
};

type Results = readonly Float32Array[];

/** Null when `tested` is near enough, else what is wrong. */
export const findFault = (
  tested: Results,
  plain: Results,
  exact: Results,
  dtype: FloatDtype,
): string | null => {
  for (const [i, t] of tested.entries()) {
    const p = plain[i];
    const e = exact[i];
    if (p === undefined || e === undefined || t.length !== e.length || p.length !== e.length) {
      return `output ${i} has ${t.length} numbers, want ${e?.length}`;
    }
    const fault = findOutputFault(t, p, e, steps[dtype]);
    if (fault !== null) return `output ${i}: ${fault}`;
  }
  return null;
};

const findOutputFault = (
  t: Float32Array,
  p: Float32Array,
  e: Float32Array,
  step: number,
): string | null => {
  const most = { tested: 0, plain: 0, size: 0, at: 0 };
  const sums = { tested: 0, plain: 0, size: 0 };
  for (const [i, want] of e.entries()) {
    const got = t[i] ?? Number.NaN;
    if (!Number.isFinite(want)) continue;
    if (!Number.isFinite(got)) return `number ${i} is ${got}, want ${want}`;
    const error = Math.abs(got - want);
    const plain = Math.abs((p[i] ?? 0) - want);
    if (error > most.tested) [most.tested, most.at] = [error, i];
    most.plain = Math.max(most.plain, plain);
    most.size = Math.max(most.size, Math.abs(want));
    sums.tested += error ** 2;
    sums.plain += plain ** 2;
    sums.size += want ** 2;
  }
  const n = Math.max(1, e.length);
  const rms = (sum: number): number => Math.sqrt(sum / n);
  if (most.tested > 2 * most.plain + (step / 2) * most.size) {
    const { at } = most;
    return `number ${at} of ${n} is ${t[at]}, want ${e[at]} (plain: at most ${most.plain} off)`;
  }
  const limit = 2 * rms(sums.plain) + (step / 4) * rms(sums.size);
  if (rms(sums.tested) > limit) return `rms error ${rms(sums.tested)}, want at most ${limit}`;
  return null;
};

/** For cases defined to the bit. */
export const findDifference = (tested: Results, plain: Results): string | null => {
  for (const [i, t] of tested.entries()) {
    const p = plain[i];
    if (p?.length !== t.length) return `output ${i} has ${t.length} numbers, want ${p?.length}`;
    const at = t.findIndex((x, k) => !Object.is(x, p[k]));
    if (at >= 0) return `output ${i}: number ${at} is ${t[at]}, want ${p[at]}`;
  }
  return null;
};
