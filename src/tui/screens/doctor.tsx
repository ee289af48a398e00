// What this machine can do, one line a thing, and what to do about what is wrong.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import type { State } from "../state.ts";
import { tone } from "../theme.ts";

const marks = { ok: "✓", warn: "!", fail: "✗", info: "·" } as const;
const tones = { ok: "good", warn: "warn", fail: "bad", info: "dim" } as const;

export const Doctor = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const { capabilities, checks } = state;
  const { method, cell, name, tmux, animates } = capabilities;
  const terminal = `${method}${animates ? ", runs loops" : ""}${tmux ? ", through tmux" : ""}, cells ${cell.width}×${cell.height}, ${name}`;
  return (
    <Box flexDirection="column" paddingX={1}>
      <Text>
        <Text {...tone("good")}>✓</Text> {"pictures".padEnd(12)} {printable(terminal)}
      </Text>
      {checks === null ? <Text {...tone("dim")}>Checking…</Text> : null}
      {(checks ?? []).map((check) => (
        <Box key={check.id} flexDirection="column">
          <Text wrap="truncate">
            <Text {...tone(tones[check.state])}>{marks[check.state]}</Text>{" "}
            {printable(check.label).padEnd(12)} {printable(check.text)}
          </Text>
          {check.advice === null ? null : (
            <Text
              {...tone("dim")}
              wrap="truncate"
            >{`${" ".repeat(15)}${printable(check.advice)}`}</Text>
          )}
        </Box>
      ))}
    </Box>
  );
};
