// A list of texts to choose one from, over the form. A pure view; keys are compose/form.ts.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import { tone } from "../theme.ts";
import { fit, windowOf } from "../words.ts";

export type ChooserProps = Readonly<{
  title: string;
  rows: readonly string[];
  at: number;
  width: number;
  height: number;
}>;

export const Chooser = ({ title, rows, at, width, height }: ChooserProps): ReactElement => {
  const { from, to } = windowOf(rows.length, at, Math.max(1, height - 2));
  return (
    <Box flexDirection="column" paddingX={2}>
      <Text {...tone("strong")}>{title}</Text>
      {rows.length === 0 ? <Text {...tone("dim")}>There are none yet.</Text> : null}
      {rows.slice(from, to).map((row, i) => (
        <Text key={row} wrap="truncate" {...(from + i === at ? { inverse: true } : {})}>
          {fit(printable(row), width - 4)}
        </Text>
      ))}
    </Box>
  );
};
