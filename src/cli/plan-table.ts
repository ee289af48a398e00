// A plan as text for people. Pure.

import type { Plan } from "../engine/events.ts";
import { printable } from "../engine/printable.ts";
import { count, length, size, span } from "../engine/words.ts";

export const planTable = (plan: Plan): readonly string[] => [
  `Length    ${Number(plan.askedSeconds.toFixed(2))} s asked: ${made(plan)}`,
  `Picture   ${plan.bucket.width}×${plan.bucket.height}, latents ${latent(plan)}`,
  `Order     ${order(plan)}`,
  `Steps     ${plan.steps} a section, ${plan.steps * plan.sections} in all`,
  `Tokens    ${tokens(plan)}`,
  "",
  row("Phase", ["weights", "device", "RAM"], "time"),
  ...plan.phases.map((phase) => {
    const cells = [phase.weightBytes, phase.deviceBytes, phase.ramBytes];
    return row(phase.name, cells.map(size), time(phase.ms));
  }),
  row("peak", ["", size(plan.deviceBytesPeak), size(plan.ramBytesPeak)], time(plan.ms)),
  "",
  `Disk      about ${size(plan.diskBytes)} while the video is made`,
  `Time      ${plan.ms === null ? "unknown" : `about ${span(plan.ms)}`}: ${printable(plan.basis)}`,
  ...plan.warnings.map((text) => `Note      ${printable(text)}`),
];

const row = (name: string, amounts: readonly string[], last: string): string =>
  `${[name.padEnd(9), ...amounts.map((text) => text.padStart(9))].join(" ")}  ${last}`;

const time = (ms: number | null): string => (ms === null ? "–" : span(ms));

const made = (plan: Plan): string =>
  `${count(plan.sections, "section")}, ${plan.frames} frames = ${length(plan.seconds)} ` +
  `at ${plan.fps} frames a second`;

const latent = ({ latent: { frames, height, width } }: Plan): string =>
  `${width}×${height}, ${frames} a section`;

const order = (plan: Plan): string =>
  plan.paddings === null
    ? "forward in time"
    : `the end first; windows skipped before each section: ${shorten(plan.paddings)}`;

/** A long run of equal numbers as "2 (×47)". */
const shorten = (numbers: readonly number[]): string => {
  const runs: { value: number; times: number }[] = [];
  for (const value of numbers) {
    const last = runs.at(-1);
    if (last?.value === value) last.times += 1;
    else runs.push({ value, times: 1 });
  }
  return runs
    .map(({ value, times }) =>
      times > 3 ? `${value} (×${times})` : Array(times).fill(value).join(" "),
    )
    .join(" ");
};

const tokens = ({ tokens: t }: Plan): string => {
  const parts = [
    `window ${t.noise}`,
    `history ${t.clean1x} + ${t.clean2x} + ${t.clean4x}`,
    `picture ${t.image}`,
    `prompt ${t.text}`,
  ];
  return `${t.total}: ${parts.join(", ")}`;
};
