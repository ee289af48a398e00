// Cases of both tokenizers: texts with the ids they have to become, exactly.

import { z } from "zod";
import { ClipTokenizer } from "../text/clip.ts";
import { LlamaTokenizer } from "../text/llama.ts";
import { fillTemplate } from "../text/template.ts";
import type { CaseKind, CaseRun } from "./runner.ts";

const ids = z.array(z.int());
const tableSchema = z.object({
  max_length: z.int().positive(),
  pad_id: z.int(),
  template: z.string().optional(),
  empty_template_length: z.int().optional(),
  rows: z.array(
    z.object({
      text: z.string(),
      ids,
      padded_ids: ids.optional(),
      length: z.int().optional(),
      slow_ids: ids.optional(),
    }),
  ),
});
type Table = z.output<typeof tableSchema>;
type Row = Table["rows"][number];

interface Encoder {
  encode(text: string): readonly number[];
  padded(text: string, tokens: number): Readonly<{ ids: readonly number[]; length: number }>;
}

const run = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const expected = z.record(z.string(), tableSchema).parse(of.json("expected.json"));
  for (const [name, table] of Object.entries(expected)) {
    const isClip = name.startsWith("clip");
    const encoder = isClip
      ? new ClipTokenizer(of.path("tokenizer_2"))
      : new LlamaTokenizer(of.path("tokenizer"));
    judge.equal(
      name,
      count(table.rows, (row) => matches(encoder, row, table)),
    );
    const rows = table.rows.filter((row) => row.slow_ids !== undefined);
    if (rows.length > 0) {
      const original = new ClipTokenizer(of.path("tokenizer_2"), "vocab.json");
      judge.equal(
        `${name} as the original`,
        count(rows, (row) => same(original.encode(row.text), row.slow_ids)),
      );
    }
    if (table.template !== undefined && table.empty_template_length !== undefined) {
      const { length } = encoder.encode(fillTemplate(table.template, ""));
      judge.whole(`${name} empty`, [length], [table.empty_template_length]);
    }
  }
};

export const tokenizers: CaseKind = { dtypes: ["f32"], perVariant: false, run };

const matches = (encoder: Encoder, row: Row, { max_length }: Table): boolean => {
  if (!same(encoder.encode(row.text), row.ids)) return false;
  const padded = encoder.padded(row.text, max_length);
  return (
    (row.padded_ids === undefined || same(padded.ids, row.padded_ids)) &&
    (row.length === undefined || padded.length === row.length)
  );
};

/** How many rows do not match. */
const count = (rows: readonly Row[], match: (row: Row) => boolean): number =>
  rows.filter((row) => !match(row)).length;

const same = (a: readonly number[], b: readonly number[] | undefined): boolean =>
  b !== undefined && a.length === b.length && a.every((id, i) => id === b[i]);
