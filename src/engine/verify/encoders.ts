// Cases of the encoders: both text encoders, the image encoder, and prompts from end to end.

import { z } from "zod";
import { holdBreath } from "../models/breathe.ts";
import { loadClip, loadLlama, loadSiglip } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import { embedPrompt } from "../run/conditioning.ts";
import { PromptTokenizer } from "../text/prompt.ts";
import { type Judge, type Values, valuesOf } from "./measure.ts";
import { allDtypes, type CaseKind, type CaseRun, tapInto } from "./runner.ts";
import type { Reference, ReferenceFile } from "./tensors.ts";

const llamaSchema = z.object({ crop_start: z.int().nonnegative().default(0) });

const runLlama = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  using loaded = loadLlama(of.folder, load);
  const inputs = of.inputs(variant);
  const outputs = of.outputs(variant);
  const { crop_start: crop } = llamaSchema.parse(of.raw);
  const tap = tapInto(judge, outputs);
  const length = inputs.numbers("attention_mask").reduce((a, b) => a + b, 0);
  const ids = inputs.numbers("input_ids").slice(0, length);
  using held = new Bag();
  held.add(await loaded.network.hidden(ids, { tap }));
  const hidden = held.add(await loaded.network.hidden(ids));
  tap("hidden_states_m3", hidden);
  if (crop < length) tap("cropped", held.add(hidden.rows(crop, length)));
};

export const llama: CaseKind = { dtypes: allDtypes, perVariant: true, run: runLlama };

/** Sequences of a batch are run one by one and compared together. */
const runClip = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  using loaded = loadClip(of.folder, load);
  const outputs = of.outputs(variant);
  const sequences = rowsOf(of.inputs(variant).get("input_ids"));
  const seen = new Map<string, number[]>();
  const note = (name: string, values: Values): void => {
    const all = seen.get(name) ?? [];
    for (let i = 0; i < values.length; i++) all.push(values[i] ?? 0);
    seen.set(name, all);
  };
  for (const ids of sequences) {
    using watched = await loaded.network.pooled(ids, {
      tap: (name, tensor) => note(name, valuesOf(tensor)),
    });
    void watched;
    using pooled = await loaded.network.pooled(ids);
    note("pooler_output", valuesOf(pooled));
  }
  compareAll(judge, outputs, seen);
};

export const clip: CaseKind = { dtypes: allDtypes, perVariant: true, run: runClip };

const runSiglip = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  using loaded = loadSiglip(of.folder, load);
  const tap = tapInto(judge, of.outputs(variant));
  using pixels = of.inputs(variant).tensor("pixel_values");
  using hidden = await loaded.network.encode(pixels, { tap });
  tap("last_hidden_state", hidden);
};

export const siglip: CaseKind = { dtypes: allDtypes, perVariant: true, run: runSiglip };

const promptsSchema = z.object({ prompts: z.array(z.string()) });

const runPrompts = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  const { prompts } = promptsSchema.parse(of.raw);
  const outputs = of.outputs(variant);
  const tokenizer = new PromptTokenizer({
    tokenizer: of.path("tokenizer"),
    tokenizer_2: of.path("tokenizer_2"),
  });
  using llama = loadLlama(of.path("text_encoder"), load);
  using clip = loadClip(of.path("text_encoder_2"), load);
  const encoders = { llama: llama.network, clip: clip.network };
  for (const [i, prompt] of prompts.entries()) {
    const tap = tapInto(judge, outputs, `${i}.`);
    using embedding = await embedPrompt(encoders, tokenizer.encode(prompt), holdBreath);
    const { text, pooled } = embedding;
    tap("llama_vec", text);
    tap("clip_l_pooler", pooled);
    const sum = outputs.find(`${i}.mask_sum`);
    if (sum !== undefined) judge.whole(`${i}.mask_sum`, [text.dims[0] ?? 0], sum.data);
  }
};

export const prompts: CaseKind = { dtypes: allDtypes, perVariant: true, run: runPrompts };

const rowsOf = ({ dims, data }: Reference): readonly (readonly number[])[] => {
  const width = dims.at(-1) ?? 1;
  const count = data.length / width;
  return Array.from({ length: count }, (_, i) => [...data.slice(i * width, (i + 1) * width)]);
};

const compareAll = (
  judge: Judge,
  outputs: ReferenceFile,
  seen: ReadonlyMap<string, Values>,
): void => {
  for (const [name, values] of seen) {
    const want = outputs.find(name);
    if (want !== undefined) judge.compare(name, values, want.data);
  }
};
