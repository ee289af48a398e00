// Beside the form: the crop that will be used, and what the job would be, before it is started.

import { Box, Text } from "ink";
import { type ReactElement, useMemo } from "react";
import { printable } from "../../engine/printable.ts";
import type { Inspection } from "../../engine/protocol.ts";
import { fitCells, splitFrames } from "../pictures/picture.ts";
import { tone } from "../theme.ts";
import { bytes, duration, plural } from "../words.ts";
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
  const box =
    first === undefined ? null : fitCells(first, columns_max, Math.max(3, rows_max), cell);
  const plan = inspection?.plan ?? null;
  return (
    <Box flexDirection="column" width={columns_max} flexShrink={0}>
      {box === null ? (
        <Text {...tone("dim")} wrap="wrap">
          {blocked ? "The crop of the picture shows here." : busy ? "Looking…" : ""}
        </Text>
      ) : (
        <PictureView name="crop" frames={frames} columns={box.columns} rows={box.rows} />
      )}
      {plan === null ? null : <Plan plan={plan} picture={inspection?.picture ?? null} />}
    </Box>
  );
};

type Plan = NonNullable<Inspection["plan"]>;

const Plan = (props: Readonly<{ plan: Plan; picture: Inspection["picture"] }>): ReactElement => {
  const { plan, picture } = props;
  const { bucket } = plan;
  const lines = [
    `${picture === null ? "" : `${picture.width}×${picture.height} → `}${bucket.width}×${bucket.height}`,
    `${plan.askedSeconds} s asked → ${plan.frames} frames, ${plan.seconds.toFixed(2)} s`,
    `${plural(plan.sections, "section")} of ${plan.steps} steps, ${plan.tokens.total} tokens`,
    plan.ms === null ? `time: ${plan.basis}` : `about ${duration(plan.ms)} (${plan.basis})`,
    `device ${bytes(plan.deviceBytesPeak)} · RAM ${bytes(plan.ramBytesPeak)} · disk ${bytes(plan.diskBytes)}`,
  ];
  return (
    <Box flexDirection="column" marginTop={1}>
      {lines.map((line) => (
        <Text key={line} wrap="wrap">
          {printable(line)}
        </Text>
      ))}
      {plan.warnings.map((warning) => (
        <Text key={warning} {...tone("warn")} wrap="wrap">
          {printable(warning)}
        </Text>
      ))}
    </Box>
  );
};
