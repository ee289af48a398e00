// The screen where a job is written: the form at the left; at the right the crop that the bucket makes, and what the job would
// be: sections, exact length, time, memory.

import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { Box, Text, useInput } from "ink";
import { type ReactElement, useMemo, useState } from "react";
import { printable } from "../../engine/printable.ts";
import { Chooser } from "../components/chooser.tsx";
import { FileBrowser } from "../components/file-browser.tsx";
import { FormField, labelWidth } from "../components/form-field.tsx";
import { PlanSummary } from "../components/plan-summary.tsx";
import { cleanPath, completion } from "../compose/edit.ts";
import { type Field, fieldsShown, neighbour } from "../compose/fields.ts";
import { quickPrompts } from "../compose/quick-prompts.ts";
import { resolveDraft } from "../compose/resolve.ts";
import { commandOf, scopesOf } from "../keys.ts";
import type { Draft, State } from "../state.ts";
import { useTui } from "../store.ts";
import { tone } from "../theme.ts";
import { fit } from "../words.ts";

type Over = "none" | "browse" | "quick" | "history";

export const Compose = ({ state }: Readonly<{ state: State }>): ReactElement => {
  const { store } = useTui();
  const { draft, problems, inspection } = state.compose;
  const [over, setOver] = useState<Over>("none");
  const { values } = useMemo(() => resolveDraft(draft, homedir(), process.cwd()), [draft]);
  const change = (part: Partial<Draft>): void => store.dispatch({ type: "draft", draft: part });
  const active = over === "none" && state.dialog === null;

  useInput(
    (input, key) => {
      const command = commandOf(scopesOf("compose", null), input, key);
      if (key.downArrow && draft.field !== "prompt") {
        change({ field: neighbour(draft.field, 1, draft.expert) });
      } else if (key.upArrow && draft.field !== "prompt") {
        change({ field: neighbour(draft.field, -1, draft.expert) });
      } else if (key.return && !key.meta && !key.shift) {
        change({ field: neighbour(draft.field, 1, draft.expert) });
      } else if (command === "previousField") {
        change({ field: neighbour(draft.field, -1, draft.expert) });
      } else if (command === "nextField" && !completes(draft)) {
        change({ field: neighbour(draft.field, 1, draft.expert) });
      } else if (command === "browse") setOver("browse");
      else if (command === "quickPrompt") setOver("quick");
      else if (command === "history") setOver("history");
      else if (command === "expert") change({ expert: !draft.expert });
      else if (command === "clear") change(withText(draft, draft.field, ""));
    },
    { isActive: active },
  );

  const width = state.size.columns - 2;
  const formWidth = width >= 90 ? Math.floor(width * 0.58) : Math.min(width - 26, 56);
  const height = state.size.rows - 5;
  if (over === "browse") {
    const from = cleanPath(draft.image, homedir());
    return (
      <FileBrowser
        from={from === "" ? process.cwd() : dirname(from)}
        width={width}
        height={height}
        cell={state.capabilities.cell}
        onChoose={(path) => {
          if (path !== null) change({ image: path });
          setOver("none");
        }}
      />
    );
  }
  if (over !== "none") {
    return (
      <Chooser
        title={over === "quick" ? "Ready-made prompts" : "Prompts used before"}
        rows={over === "quick" ? quickPrompts : state.compose.history}
        height={height}
        width={width}
        onChoose={(prompt) => {
          if (prompt !== null) change({ prompt, field: "prompt" });
          setOver("none");
        }}
      />
    );
  }
  const fields = fieldsShown(draft.expert);
  const shown = windowed(fields, draft.field, height - 4);
  return (
    <Box paddingX={1} columnGap={2}>
      <Box flexDirection="column" width={formWidth}>
        {shown.map((field) => (
          <FormField
            key={field.id}
            field={field.id === "preset" ? presetField(field, state) : field}
            text={textOf(draft, field.id)}
            placeholder={placeholderOf(field, values)}
            focused={field.id === draft.field}
            active={active}
            width={formWidth}
            rows_max={field.id === "prompt" ? 4 : 1}
            problem={problemOf(state, field.id)}
            onText={(text) => change(withText(draft, field.id, text))}
            {...(field.kind === "path" ? { onComplete: completePath } : {})}
          />
        ))}
        {draft.expert ? null : <Text {...tone("dim")}>{"  Ctrl-E more settings"}</Text>}
        <About field={fields.find((f) => f.id === draft.field)} state={state} width={formWidth} />
      </Box>
      <PlanSummary
        inspection={inspection}
        busy={state.compose.inspecting}
        blocked={problems.length > 0}
        columns_max={width - formWidth - 3}
        rows_max={height - 9}
        cell={state.capabilities.cell}
      />
    </Box>
  );
};

/** Tab completes in a path that has choices; elsewhere it goes on to the next field. */
const completes = (draft: Draft): boolean =>
  draft.field === "image" && draft.image !== "" && completePath(draft.image) !== null;

/** The completed path, or null when nothing can be added. */
const completePath = (text: string): string | null => {
  const path = cleanPath(text, homedir());
  const folder = path.slice(0, path.lastIndexOf("/") + 1) || "./";
  try {
    const names = readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    );
    const completed = completion(path, names).path;
    return completed === path ? null : completed;
  } catch {
    // No such folder, or not ours to read: nothing to complete; the field says what is wrong with the path.
    return null;
  }
};

const textOf = (draft: Draft, id: string): string => {
  if (id === "image") return draft.image;
  if (id === "prompt") return draft.prompt;
  if (id === "preset") return draft.preset ?? "";
  return draft.changes[id] ?? "";
};

const withText = (draft: Draft, id: string, text: string): Partial<Draft> => {
  if (id === "image") return { image: text };
  if (id === "prompt") return { prompt: text };
  if (id === "preset") return { preset: text === "" || text === "none" ? null : text };
  const { [id]: _old, ...others } = draft.changes;
  return { changes: text === "" ? others : { ...others, [id]: text } };
};

const placeholderOf = (field: Field, values: Readonly<Record<string, unknown>> | null): string => {
  if (field.id === "preset") return "none";
  const value = values?.[field.id];
  if (typeof value === "boolean") return value ? "on" : "off";
  if (value === null || value === undefined || value === "")
    return field.id === "image" ? "none chosen" : "auto";
  return String(value);
};

const presetField = (field: Field, state: State): Field => ({
  ...field,
  choices: ["none", ...state.compose.presets.map((preset) => preset.name)],
});

const problemOf = (state: State, id: string): string | null => {
  const { problems, inspection } = state.compose;
  const found =
    problems.find((p) => p.field === id) ?? inspection?.problems.find((p) => p.field === id);
  return found?.message ?? null;
};

/** The fields around the one with the keys, when not all fit. */
const windowed = (fields: readonly Field[], id: string, rows: number): readonly Field[] => {
  // The prompt takes up to four rows, a problem one more.
  const room = Math.max(3, rows - 5);
  if (fields.length <= room) return fields;
  const at = fields.findIndex((field) => field.id === id);
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), fields.length - room));
  return fields.slice(from, from + room);
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
      <Text {...tone("dim")} wrap="wrap">
        {printable(words)}
      </Text>
      {field.id !== "prompt" || tokens === null ? null : (
        <Text {...tone(tokens.llama.cut === "" ? "dim" : "warn")} wrap="wrap">
          {tokenWords(tokens, width - labelWidth)}
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
