// Questions and help over the screen. The answers are keys of the key table's dialog scope.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import { type Binding, bindingsOf, scopesOf } from "../keys.ts";
import type { State } from "../state.ts";
import { tone } from "../theme.ts";
import { bytes, fit } from "../words.ts";

export const Dialogs = ({ state }: Readonly<{ state: State }>): ReactElement | null => {
  const { dialog } = state;
  if (dialog === null) return null;
  switch (dialog.kind) {
    case "help":
      return <Help state={state} from={dialog.from} />;
    case "cancelJob": {
      const job = state.jobs.find((j) => j.id === dialog.job);
      const text = "It stops after the running block. What is finished stays as a playable file.";
      const prompt = fit(printable(job?.recipe.prompt ?? ""), state.size.columns - 6);
      return <Question title="Cancel this job?" about={prompt} text={text} />;
    }
    case "pullModel": {
      const model = state.models?.find((m) => m.name === dialog.model);
      const licence = model === undefined ? "" : ` Licence: ${model.licence}`;
      const size = model === undefined ? "" : bytes(model.bytesTotal - model.bytesPresent);
      const title = `Download ${dialog.model}?`;
      return <Question title={title} about={model?.title ?? ""} text={`${size}.${licence}`} />;
    }
    case "recipe": {
      const job = state.jobs.find((j) => j.id === dialog.job);
      return <Recipe recipe={job?.recipe ?? {}} state={state} from={dialog.from} />;
    }
  }
};

type QuestionProps = Readonly<{ title: string; about: string; text: string }>;

const Question = ({ title, about, text }: QuestionProps): ReactElement => (
  <Box flexDirection="column" paddingX={2} paddingY={1}>
    <Text {...tone("strong")}>{printable(title)}</Text>
    <Text {...tone("dim")}>{about}</Text>
    <Text wrap="wrap">{printable(text)}</Text>
    <Box marginTop={1} columnGap={3}>
      {bindingsOf(["question"]).map(({ shown, about: word }) => (
        <Text key={shown}>
          <Text {...tone("accent")}>{shown}</Text> {word}
        </Text>
      ))}
    </Box>
  </Box>
);

/** Header, footer and one row to spare. */
const pageRows = (state: State): number => Math.max(1, state.size.rows - 4);

type RecipeProps = Readonly<{
  recipe: Readonly<Record<string, unknown>>;
  state: State;
  from: number;
}>;

const Recipe = ({ recipe, state, from }: RecipeProps): ReactElement => {
  const entries = Object.entries(recipe);
  const rows = pageRows(state);
  const first = Math.min(from, Math.max(0, entries.length - rows));
  return (
    <Box flexDirection="column" paddingX={2}>
      {entries.slice(first, first + rows).map(([key, value]) => (
        <Text key={key} wrap="truncate">
          <Text {...tone("dim")}>{key.padEnd(18)}</Text>
          {value === null ? "as the model or the machine has it" : printable(String(value))}
        </Text>
      ))}
    </Box>
  );
};

/** Made from the same table that handles the keys. */
const Help = ({ state, from }: Readonly<{ state: State; from: number }>): ReactElement => {
  const bindings = bindingsOf(scopesOf({ ...state, dialog: null }));
  const two = state.size.columns >= 76;
  const rows = pageRows(state) * (two ? 2 : 1);
  const first = Math.min(from, Math.max(0, bindings.length - rows));
  const shown = bindings.slice(first, first + rows);
  const half = two ? Math.ceil(shown.length / 2) : shown.length;
  const columns = [shown.slice(0, half), shown.slice(half)].filter((c) => c.length > 0);
  const width = Math.floor((state.size.columns - 4) / columns.length) - 2;
  return (
    <Box paddingX={2} columnGap={2}>
      {columns.map((column) => (
        <Column key={column[0]?.shown ?? ""} bindings={column} width={width} />
      ))}
    </Box>
  );
};

type ColumnProps = Readonly<{ bindings: readonly Binding[]; width: number }>;

const Column = ({ bindings, width }: ColumnProps): ReactElement => {
  const widest = Math.max(...bindings.map(({ shown }) => shown.length));
  return (
    <Box flexDirection="column" width={width}>
      {bindings.map(({ shown, about }) => (
        <Text key={shown} wrap="truncate">
          <Text {...tone("accent")}>{shown.padEnd(widest)}</Text>
          {`  ${about}`}
        </Text>
      ))}
    </Box>
  );
};
