// Beside the form: the crop that will be used, and what the job would be, before it is started.

import { Box, Text } from "ink";
import { type ReactElement, useMemo } from "react";
import { printable } from "../../engine/printable.ts";
import type { Inspection } from "../../engine/protocol.ts";
import { fitCells, splitFrames } from "../pictures/picture.ts";
import { type Tone, tone } from "../theme.ts";
import { bytes, duration, plural, wrapWords } from "../words.ts";
import { PictureView } from "./picture-view.tsx";

export type PlanSummaryProps = Readonly<{
  inspection: Inspection | null;
  busy: boolean;
  blocked: boolean;
  columns_max: number;
  rows_max: number;
  cell: Readonly<{ width: number; height: number }>;
}>;

export const PlanSummary = (props: PlanSummaryProps): ReactElement => {
  const { inspection, busy, blocked, columns_max, rows_max, cell } = props;
  const crop = inspection?.crop ?? null;
  const frames = useMemo(() => (crop === null ? [] : splitFrames(crop)), [crop]);
  const first = frames[0];
  const plan = inspection?.plan ?? null;
  const lines = plan === null ? [] : planLines(plan, inspection?.picture ?? null, columns_max);
  const left = rows_max - lines.length - 1;
  const box = first === undefined ? null : fitCells(first, columns_max, Math.max(3, left), cell);
  return (
    <Box flexDirection="column" width={columns_max} flexShrink={0}>
      {box === null ? (
        <Text {...tone("dim")} wrap="wrap">
          {blocked ? "The crop of the picture shows here." : busy ? "Looking…" : ""}
        </Text>
      ) : (
        <PictureView name="crop" frames={frames} columns={box.columns} rows={box.rows} />
      )}
      <Box flexDirection="column" marginTop={1}>
        {lines.map(({ text, name }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place.
          <Text key={i} {...tone(name)} wrap="truncate">
            {text}
          </Text>
        ))}
      </Box>
    </Box>
  );
};

type Plan = NonNullable<Inspection["plan"]>;
type Line = Readonly<{ text: string; name: Tone }>;

/** What the job would be, broken into lines of a width: short words where it is narrow. */
export const planLines = (
  plan: Plan,
  picture: Inspection["picture"],
  width: number,
): readonly Line[] => {
  const { bucket } = plan;
  const from = picture === null ? "" : `${picture.width}×${picture.height} → `;
  const memory = [
    `device ${bytes(plan.deviceBytesPeak)}`,
    `RAM ${bytes(plan.ramBytesPeak)}`,
    `disk ${bytes(plan.diskBytes)}`,
  ];
  const time = plan.ms === null ? plan.basis : `about ${duration(plan.ms)}, ${plan.basis}`;
  const plain = [
    `${from}${bucket.width}×${bucket.height}`,
    `${plan.frames} frames, ${plan.seconds.toFixed(2)} s`,
    `${plural(plan.sections, "section")} × ${plural(plan.steps, "step")}`,
    `${plan.tokens.total} tokens a step`,
    `time: ${time}`,
    ...(width >= 40 ? [memory.join(" · ")] : memory),
  ];
  return [
    ...plain.flatMap((text) => wrapped(printable(text), width, "plain")),
    ...plan.warnings.flatMap((text) => wrapped(printable(text), width, "warn")),
  ];
};

const wrapped = (text: string, width: number, name: Tone): readonly Line[] =>
  wrapWords(text, width).map((line) => ({ text: line, name }));
