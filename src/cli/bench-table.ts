// Rows of a benchmark for people and for programs. Pure.

import { version } from "../../package.json";
import type { Row } from "../engine/bench/suite.ts";
import { printable } from "../engine/printable.ts";
import { count, span } from "../engine/words.ts";
import type { LibraryInfo } from "../ffi/library.ts";
import type { FloatDtype } from "../ffi/types.ts";

export type Sum = Record<Row["type"] | "seconds", number>;

/** What was measured, and over the columns their names. */
export const head = (info: LibraryInfo, dtype: FloatDtype): readonly string[] => [
  `${deviceOf(info)}, ${dtype}`,
  cells(["part", "", "name", "ms", "rate", "", "of limit"]),
];

export const lineOf = (row: Row): string => {
  const { part, dtype, name } = row;
  if (row.type !== "measured") {
    const word = row.type === "skipped" ? "skipped" : "FAILED";
    return `${cells([part, dtype, name])} ${word}: ${printable(row.why, 300)}`;
  }
  const { ms, tflops, gbps, share } = row;
  const ofLimit = share === undefined ? "" : `${(100 * share).toFixed(0)} %`;
  return cells([part, dtype, name, digits(ms), ...rateOf(tflops, gbps), ofLimit]);
};

const rateOf = (tflops: number | undefined, gbps = 0): readonly [string, string] => {
  if (tflops === undefined) return [digits(gbps), "GB/s"];
  return tflops < 1 ? [digits(1000 * tflops), "GFLOP/s"] : [digits(tflops), "TFLOP/s"];
};

/** Four digits are more than repeats. */
export const roundedRow = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === "number" && key !== "runs" ? Number(value.toPrecision(4)) : value,
    ]),
  ) as Row;

export const sumLine = ({ measured, skipped, failed, seconds }: Sum): string => {
  const others = [
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return `${[`${count(measured, "row")} measured`, ...others].join(", ")} in ${span(seconds * 1000)}.`;
};

type Totals = Sum & Readonly<{ dtype: FloatDtype; tokens: number; seconds_max: number }>;

/** The last line: on what, with what, how much. */
export const envelope = (info: LibraryInfo, totals: Totals): Readonly<Record<string, unknown>> => {
  const { backend, device, driver, arch, cpu, threads, bytes } = info;
  const machine = { backend, device, driver, arch, cpu, threads, bytes };
  const { seconds, seconds_max, ...rest } = totals;
  const time = { seconds: Number(seconds.toFixed(1)), seconds_max, at: new Date().toISOString() };
  return { type: "benched", version, ...machine, ...rest, ...time };
};

const deviceOf = ({ backend, device, threads, arch, driver }: LibraryInfo): string => {
  const words =
    backend === "cpu" ? [device, count(threads, "thread")] : [device, arch, `driver ${driver}`];
  return [backend, ...words.map((word) => printable(word, 100))].join(", ");
};

const widths = [12, 4, 58, 10, 9, 7, 8] as const;
/** Numbers stand at the right of their column. */
const firstNumber = 3;

const cells = (texts: readonly string[]): string =>
  texts
    .map((text, i) => {
      const width = widths[i] ?? 0;
      return i >= firstNumber && i !== 5 ? text.padStart(width) : text.padEnd(width);
    })
    .join(" ")
    .trimEnd();

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toPrecision(value < 0.01 ? 1 : 3);
