// One field of a form: its label, its text with the cursor, and under it what is wrong. Keys come from useInput while the
// field has the focus; the text belongs to whoever shows the field.

import { Box, Text, useInput, usePaste } from "ink";
import { type ReactElement, useEffect, useState } from "react";
import { printable } from "../../engine/printable.ts";
import { type Edit, editAt, editKey, insert, layOut, move } from "../compose/edit.ts";
import type { Field } from "../compose/fields.ts";
import { tone } from "../theme.ts";

export const labelWidth = 11;

export type FormFieldProps = Readonly<{
  field: Field;
  text: string;
  /** What counts when the field is left empty. */
  placeholder: string;
  focused: boolean;
  /** False while a list over the form has the keys. */
  active: boolean;
  width: number;
  rows_max: number;
  problem: string | null;
  onText: (text: string) => void;
  /** Tab in a path: completes; true when it added something. */
  onComplete?: (text: string) => string | null;
}>;

export const FormField = (props: FormFieldProps): ReactElement => {
  const { field, text, focused, problem, width } = props;
  return (
    <Box flexDirection="column">
      <Box>
        <Text {...tone(focused ? "accent" : "dim")}>
          {(focused ? "▸ " : "  ") + field.label.padEnd(labelWidth - 2)}
        </Text>
        {field.kind === "choice" ? <Choice {...props} /> : <Editable {...props} />}
      </Box>
      {problem === null || (!focused && text === "") ? null : (
        <Text {...tone("bad")} wrap="truncate">
          {`${" ".repeat(labelWidth)}${printable(problem)}`.slice(0, width)}
        </Text>
      )}
    </Box>
  );
};

const Choice = (props: FormFieldProps): ReactElement => {
  const { field, text, placeholder, focused, active, onText } = props;
  const shown = text === "" ? placeholder : text;
  useInput(
    (input, key) => {
      const by = key.rightArrow || input === " " ? 1 : key.leftArrow ? -1 : 0;
      if (by === 0) return;
      const at = field.choices.indexOf(shown);
      const next = field.choices.at((at + by) % field.choices.length);
      if (next !== undefined) onText(next);
    },
    { isActive: focused && active },
  );
  return (
    <Text {...(text === "" ? tone("dim") : {})}>
      {focused ? `‹ ${printable(shown)} ›` : printable(shown)}
    </Text>
  );
};

const Editable = (props: FormFieldProps): ReactElement => {
  const { field, text, placeholder, focused, active, width, rows_max, onText, onComplete } = props;
  const lines = field.kind === "lines";
  const [cursor, setCursor] = useState(text.length);
  // The text may change from outside (a quick prompt, a chosen file): the cursor then goes to its end.
  const [own, setOwn] = useState(text);
  useEffect(() => {
    if (own === text) return;
    setOwn(text);
    setCursor(text.length);
  }, [own, text]);
  const take = (edit: Edit): void => {
    setOwn(edit.text);
    setCursor(edit.cursor);
    if (edit.text !== text) onText(edit.text);
  };
  const edit = editAt(text, Math.min(cursor, text.length));
  useInput(
    (input, key) => {
      if (key.tab && !key.shift) {
        const completed = onComplete?.(text) ?? null;
        if (completed !== null) take(editAt(completed));
        return;
      }
      if (lines && (key.upArrow || key.downArrow)) {
        take(move(edit, key.upArrow ? "lineStart" : "lineEnd"));
        return;
      }
      const next = editKey(edit, input, key, lines);
      if (next !== null) take(next);
    },
    { isActive: focused && active },
  );
  usePaste((pasted) => take(insert(edit, pasted, lines)), { isActive: focused && active });
  const room = Math.max(8, width - labelWidth - 1);
  if (text === "" && !focused)
    return <Text {...tone("dim")}>{printable(placeholder).slice(0, room)}</Text>;
  const { rows, row, column } = layOut(edit, room);
  const height = lines ? rows_max : 1;
  const from = Math.max(0, Math.min(row - height + 1, rows.length - height));
  return (
    <Box flexDirection="column">
      {rows.slice(from, from + height).map((line, i) => (
        <Line
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place.
          key={i}
          text={line}
          cursor={focused && from + i === row ? column : null}
        />
      ))}
    </Box>
  );
};

/** A row with the cursor as an inverse cell; invisible characters made visible. */
const Line = ({
  text,
  cursor,
}: Readonly<{ text: string; cursor: number | null }>): ReactElement => {
  if (cursor === null) return <Text>{printable(text) || " "}</Text>;
  let at = 0;
  let [head, under, tail] = ["", "", ""];
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (at < cursor) head += segment;
    else if (under === "") under = segment;
    else tail += segment;
    at += Bun.stringWidth(segment);
  }
  return (
    <Text>
      {printable(head)}
      <Text inverse>{under === "" ? " " : printable(under)}</Text>
      {printable(tail)}
    </Text>
  );
};
