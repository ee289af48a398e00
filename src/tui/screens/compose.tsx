// The screen where a job is written: at the left the crop that the bucket makes and what the job would be, then the form. The
// picture is at the left since text left of it would have it drawn again at every key.

import { homedir } from "node:os";
import { Box, Text } from "ink";
import { type ReactElement, useMemo } from "react";
import { printable } from "../../engine/printable.ts";
import { Chooser } from "../components/chooser.tsx";
import { FileBrowser } from "../components/file-browser.tsx";
import { FormField } from "../components/form-field.tsx";
import { PlanSummary } from "../components/plan-summary.tsx";
import { type Field, fieldsShown, presetNames } from "../compose/fields.ts";
import { rowsOver, textOf } from "../compose/form.ts";
import { resolveDraft } from "../compose/resolve.ts";
import { formWidthOf, labelWidth } from "../compose/room.ts";
import type { Over, State } from "../state.ts";
import { tone } from "../theme.ts";
import { fit, windowOf, wrapWords } from "../words.ts";

export const Compose = ({ state }: Readonly<{ state: State }>): ReactElement =>
  state.compose.over === null ? (
    <Form state={state} />
  ) : (
    <ListOver state={state} over={state.compose.over} />
  );

/** Header, footer and a notice take the other rows. */
const heightOf = (state: State): number => state.size.rows - 4;

const ListOver = ({ state, over }: Readonly<{ state: State; over: Over }>): ReactElement => {
  const size = { width: state.size.columns - 2, height: heightOf(state) };
  if (over.kind === "browse") {
    return <FileBrowser over={over} {...size} cell={state.capabilities.cell} />;
  }
  const title = over.kind === "quick" ? "Ready-made prompts" : "Prompts used before";
  return <Chooser title={title} rows={rowsOver(state.compose, over.kind)} at={over.at} {...size} />;
};

const Form = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const { draft, problems, inspection } = state.compose;
  const { values } = useMemo(() => resolveDraft(draft, homedir(), process.cwd()), [draft]);
  const formWidth = formWidthOf(state.size);
  const height = heightOf(state);
  const fields = fieldsShown(draft.expert);
  const at = fields.findIndex((field) => field.id === draft.field);
  // The prompt may take three rows more than the others; problems and the explanation below take the rest.
  const { from, to } = windowOf(fields.length, at, Math.max(3, height - 8));
  return (
    <Box paddingX={1} columnGap={2}>
      <PlanSummary
        inspection={inspection}
        busy={state.compose.inspecting}
        blocked={problems.length > 0}
        columns_max={Math.min(60, state.size.columns - 5 - formWidth)}
        rows_max={height}
        cell={state.capabilities.cell}
      />
      <Box flexDirection="column" width={formWidth}>
        {fields.slice(from, to).map((field) => (
          <FormField
            key={field.id}
            field={field.id === "preset" ? presetField(field, state) : field}
            text={textOf(draft, field.id)}
            placeholder={placeholderOf(field, values)}
            cursor={field.id === draft.field ? draft.cursor : null}
            width={formWidth}
            rows_max={field.id === "prompt" ? Math.max(3, Math.min(8, height - 16)) : 1}
            problem={problemOf(state, field.id)}
          />
        ))}
        <Text {...tone("dim")}>{moreWords(from, fields.length - to, draft.expert)}</Text>
        <About field={fields[at]} state={state} width={formWidth} />
      </Box>
    </Box>
  );
};

/** What lies beyond the fields that are shown. */
const moreWords = (above: number, below: number, expert: boolean): string => {
  if (!expert) return "  Ctrl-E more settings";
  const parts = [above > 0 ? `${above} above` : "", below > 0 ? `${below} below` : ""];
  const shown = parts.filter((part) => part !== "").join(", ");
  return `  ${shown === "" ? "" : `${shown}; `}Ctrl-E fewer settings`;
};

const emptyWords: Readonly<Record<string, string>> = {
  image: "none chosen",
  prompt: "what moves, and how",
  negativePrompt: "none",
};

const placeholderOf = (field: Field, values: Readonly<Record<string, unknown>> | null): string => {
  if (field.id === "preset") return "none";
  const value = values?.[field.id];
  if (typeof value === "boolean") return value ? "on" : "off";
  if (value === null || value === undefined || value === "") return emptyWords[field.id] ?? "auto";
  return String(value);
};

const presetField = (field: Field, state: State): Field => ({
  ...field,
  choices: presetNames(state.compose.presets),
});

const problemOf = (state: State, id: string): string | null => {
  const { problems, inspection } = state.compose;
  const found =
    problems.find((p) => p.field === id) ?? inspection?.problems.find((p) => p.field === id);
  return found?.message ?? null;
};

type AboutProps = Readonly<{ field: Field | undefined; state: State; width: number }>;

/** What the field with the keys means; for the prompt, how much of it fits. */
const About = ({ field, state, width }: AboutProps): ReactElement | null => {
  if (field === undefined) return null;
  const { draft, inspection, presets } = state.compose;
  const preset = presets.find((one) => one.name === draft.preset);
  const words =
    field.id === "preset" && preset !== undefined
      ? `${preset.description}${preset.picture === "" ? "" : ` (picture: ${preset.picture})`}`
      : `${field.about}${field.range === "" ? "" : ` (${field.range})`}`;
  const tokens = inspection?.tokens ?? null;
  return (
    <Box flexDirection="column" marginTop={1} paddingLeft={2} width={width}>
      <Text {...tone("dim")}>{wrapWords(printable(words), width - 2).join("\n")}</Text>
      {field.id !== "prompt" || tokens === null ? null : (
        <Text {...tone(tokens.llama.cut === "" ? "dim" : "warn")}>
          {wrapWords(tokenWords(tokens, width - labelWidth), width - 2).join("\n")}
        </Text>
      )}
    </Box>
  );
};

type Tokens = NonNullable<NonNullable<State["compose"]["inspection"]>["tokens"]>;

const tokenWords = ({ llama, clip }: Tokens, width: number): string => {
  const counts = `${llama.used} of ${llama.max} tokens, ${clip.used} of ${clip.max} in the second encoder`;
  if (llama.cut !== "") return `${counts}; cut off: "${fit(printable(llama.cut), width)}"`;
  if (clip.cut !== "") return `${counts}; the second misses: "${fit(printable(clip.cut), width)}"`;
  return counts;
};
