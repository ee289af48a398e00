// Questions and help over the screen. The answers are keys of the key table's dialog scope.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import { type Binding, bindingsOf, scopesOf } from "../keys.ts";
import type { State } from "../state.ts";
import { tone } from "../theme.ts";

export const Dialogs = ({ state }: Readonly<{ state: State }>): ReactElement | null => {
  const { dialog } = state;
  if (dialog === null) return null;
  switch (dialog.kind) {
    case "help":
      return <Help state={state} />;
    case "cancelJob":
      return (
        <Question
          title="Cancel this job?"
          text="It stops after the running block. What is finished stays as a playable file."
        />
      );
    case "pullModel": {
      const model = state.models?.find((m) => m.name === dialog.model);
      const licence = model === undefined ? "" : ` Licence: ${model.licence}`;
      return <Question title={`Download ${dialog.model}?`} text={`It is large.${licence}`} />;
    }
    case "recipe": {
      const job = state.jobs.find((j) => j.id === dialog.job);
      return <Recipe recipe={job?.recipe ?? {}} />;
    }
  }
};

const Question = ({ title, text }: Readonly<{ title: string; text: string }>): ReactElement => (
  <Box flexDirection="column" paddingX={2} paddingY={1}>
    <Text {...tone("strong")}>{printable(title)}</Text>
    <Text wrap="wrap">{printable(text)}</Text>
    <Box marginTop={1}>
      <Text>y yes n no</Text>
    </Box>
  </Box>
);

const Recipe = ({
  recipe,
}: Readonly<{ recipe: Readonly<Record<string, unknown>> }>): ReactElement => (
  <Box flexDirection="column" paddingX={2}>
    {Object.entries(recipe).map(([key, value]) => (
      <Text key={key} wrap="truncate">
        <Text {...tone("dim")}>{key.padEnd(18)}</Text>
        {printable(String(value))}
      </Text>
    ))}
  </Box>
);

/** Made from the same table that handles the keys. */
const Help = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const bindings = bindingsOf(scopesOf(state.screen, null));
  const half = Math.ceil(bindings.length / 2);
  const twoColumns = state.size.columns >= 90;
  const columns = twoColumns ? [bindings.slice(0, half), bindings.slice(half)] : [bindings];
  return (
    <Box paddingX={2} columnGap={4}>
      {columns.map((column) => (
        <Box key={column[0]?.shown ?? ""} flexDirection="column">
          {column.map((binding) => (
            <Line key={binding.shown} binding={binding} />
          ))}
        </Box>
      ))}
    </Box>
  );
};

const Line = ({ binding }: Readonly<{ binding: Binding }>): ReactElement => (
  <Text wrap="truncate">
    <Text {...tone("accent")}>{binding.shown.padEnd(10)}</Text> {binding.about}
  </Text>
);
