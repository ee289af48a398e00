// A list to choose one text from. Enter takes it, Escape takes none.

import { Box, Text, useInput } from "ink";
import { type ReactElement, useState } from "react";
import { printable } from "../../engine/printable.ts";
import { tone } from "../theme.ts";
import { fit } from "../words.ts";

export type ChooserProps = Readonly<{
  title: string;
  rows: readonly string[];
  width: number;
  height: number;
  onChoose: (row: string | null) => void;
}>;

export const Chooser = ({ title, rows, width, height, onChoose }: ChooserProps): ReactElement => {
  const [at, setAt] = useState(0);
  useInput((input, key) => {
    if (key.escape || (key.ctrl && input === "c")) onChoose(null);
    else if (key.return) onChoose(rows[at] ?? null);
    else if (key.downArrow) setAt(Math.min(rows.length - 1, at + 1));
    else if (key.upArrow) setAt(Math.max(0, at - 1));
  });
  const room = Math.max(1, height - 3);
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), rows.length - room));
  return (
    <Box flexDirection="column" paddingX={2}>
      <Text {...tone("strong")}>{title}</Text>
      {rows.length === 0 ? <Text {...tone("dim")}>There are none yet.</Text> : null}
      {rows.slice(from, from + room).map((row, i) => (
        <Text key={row} wrap="truncate" {...(from + i === at ? { inverse: true } : {})}>
          {fit(printable(row), width - 4)}
        </Text>
      ))}
      <Text {...tone("dim")}>Enter takes it, Esc goes back.</Text>
    </Box>
  );
};
