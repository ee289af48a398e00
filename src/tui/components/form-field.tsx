// One field of a form: its label, its text with the cursor, and under it what is wrong. A pure view; keys are form.ts.

import { Box, Text } from "ink";
import type { ReactElement } from "react";
import { printable } from "../../engine/printable.ts";
import { editAt, layOut } from "../compose/edit.ts";
import type { Field } from "../compose/fields.ts";
import { labelWidth } from "../compose/room.ts";
import { tone } from "../theme.ts";
import { fit, graphemes } from "../words.ts";

export type FormFieldProps = Readonly<{
  field: Field;
  text: string;
  /** What counts when the field is left empty. */
  placeholder: string;
  /** The cursor's place in the text when the field has the keys, else null. */
  cursor: number | null;
  width: number;
  rows_max: number;
  problem: string | null;
}>;

export const FormField = (props: FormFieldProps): ReactElement => {
  const { field, text, cursor, problem, width } = props;
  const focused = cursor !== null;
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Box>
        <Box width={labelWidth} flexShrink={0}>
          <Text {...tone(focused ? "accent" : "dim")} wrap="truncate">
            {(focused ? "▸ " : "  ") + field.label}
          </Text>
        </Box>
        {field.kind === "choice" ? <Choice {...props} /> : <Editable {...props} />}
      </Box>
      {problem === null || (!focused && text === "") ? null : (
        <Box width={width} paddingLeft={labelWidth}>
          <Text {...tone("bad")} wrap="wrap">
            {printable(problem)}
          </Text>
        </Box>
      )}
    </Box>
  );
};

const Choice = ({ text, placeholder, cursor }: FormFieldProps): ReactElement => {
  const shown = printable(text === "" ? placeholder : text);
  return (
    <Text wrap="truncate" {...(text === "" ? tone("dim") : {})}>
      {cursor === null ? shown : `‹ ${shown} ›`}
    </Text>
  );
};

const Editable = (props: FormFieldProps): ReactElement => {
  const { field, text, placeholder, cursor, width, rows_max } = props;
  const room = Math.max(8, width - labelWidth - 1);
  const empty = <Text {...tone("dim")}>{fit(printable(placeholder), room)}</Text>;
  if (text === "" && cursor === null) return empty;
  const { rows, row, column } = layOut(editAt(text, Math.min(cursor ?? 0, text.length)), room);
  const height = field.kind === "lines" ? rows_max : 1;
  const from = Math.max(0, Math.min(row - height + 1, rows.length - height));
  return (
    <Box flexDirection="column">
      {rows.slice(from, from + height).map((line, i) => (
        <Line
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place.
          key={i}
          text={line}
          cursor={cursor !== null && from + i === row ? column : null}
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
  if (cursor === null) return <Text wrap="truncate">{printable(text) || " "}</Text>;
  let at = 0;
  let [head, under, tail] = ["", "", ""];
  for (const { segment } of graphemes.segment(text)) {
    if (at < cursor) head += segment;
    else if (under === "") under = segment;
    else tail += segment;
    at += Bun.stringWidth(segment);
  }
  return (
    <Text wrap="truncate">
      {printable(head)}
      <Text inverse>{under === "" ? " " : printable(under)}</Text>
      {printable(tail)}
    </Text>
  );
};
