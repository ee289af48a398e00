// Token ids, exact, for awkward texts; what a prompt becomes; what is said when it is cut.

import { expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { ClipTokenizer } from "../../../src/engine/text/clip.ts";
import { LlamaTokenizer } from "../../../src/engine/text/llama.ts";
import { cutWarnings, PromptTokenizer } from "../../../src/engine/text/prompt.ts";
import { fillTemplate, publishedTemplate } from "../../../src/engine/text/template.ts";
import encodePrompt from "../../golden/encode-prompt/case.json";
import expected from "../../golden/tokenizers/expected.json";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const golden = `${import.meta.dir}/../../golden`;
const llama = new LlamaTokenizer(`${golden}/tokenizers/tokenizer`);
const clip = new ClipTokenizer(`${golden}/tokenizers/tokenizer_2`);
const original = new ClipTokenizer(`${golden}/tokenizers/tokenizer_2`, "vocab.json");

const short = (text: string): string => JSON.stringify(text).slice(0, 40);

test.each(expected.llama.rows.map((row) => [short(row.text), row] as const))(
  "the language model's ids of %s",
  (_, row) => {
    const padded = llama.padded(row.text, expected.llama.max_length);

    expect(llama.encode(row.text)).toEqual(row.ids);
    expect(padded).toEqual({ ids: row.padded_ids, length: row.length });
  },
);

test.each(expected.llama_template.rows.map((row) => [row.ids.length, row] as const))(
  "the language model's ids of a prompt in its template, %d of them",
  (_, row) => {
    expect(expected.llama_template.template).toBe(publishedTemplate);
    expect(llama.encode(row.text)).toEqual(row.ids);
    expect(llama.padded(row.text, expected.llama_template.max_length).ids).toEqual(row.padded_ids);
  },
);

test.each(expected.clip.rows.map((row) => [short(row.text), row] as const))(
  "the pooled encoder's ids of %s",
  (_, row) => {
    expect(clip.encode(row.text)).toEqual(row.ids);
    expect(clip.prompt(row.text)).toMatchObject({ ids: row.padded_ids, length: row.length });
  },
);

test.each(expected.clip.rows.map((row) => [short(row.text), row] as const))(
  "the pooled encoder's ids of %s without tokenizer.json, as the original program has them",
  (_, row) => {
    expect(original.encode(row.text)).toEqual(row.slow_ids);
  },
);

test("a folder with vocab.json and merges.txt alone needs nothing else", () => {
  using folder = new ScratchFolder();
  cpSync(`${golden}/tokenizers/tokenizer_2`, folder.path, { recursive: true });
  rmSync(`${folder.path}/tokenizer.json`);
  rmSync(`${folder.path}/special_tokens_map.json`);

  const tokenizer = new ClipTokenizer(folder.path);

  expect(tokenizer.prompt("a")).toEqual(original.prompt("a"));
});

test.each(encodePrompt.prompts.map((text, i) => [i, text] as const))(
  "prompt %d leaves as many rows as the reference has",
  (i, text) => {
    const folder = `${golden}/encode-prompt`;
    const parts = { tokenizer: `${folder}/tokenizer`, tokenizer_2: `${folder}/tokenizer_2` };

    const tokens = new PromptTokenizer(parts).encode(text);

    expect(tokens.llama.ids.length - tokens.llama.crop).toBe(encodePrompt.lengths[i] ?? -1);
  },
);

test("another template is cropped where its prompt begins", () => {
  const template = "<|start_header_id|>\n\n{}<|eot_id|>";

  const tokens = llama.prompt("a", template);

  expect(tokens.crop).toBe(llama.encode("<|start_header_id|>\n\n").length);
  expect(tokens.ids).toEqual(llama.encode("<|start_header_id|>\n\na<|eot_id|>"));
});

test("a prompt with replacement patterns goes into the template as it is", () => {
  expect(fillTemplate("<{}>", "$& $1 {}")).toBe("<$& $1 {}>");
});

test("what a long prompt loses is reported as the user wrote it", () => {
  const parts = {
    tokenizer: `${golden}/tokenizers/tokenizer`,
    tokenizer_2: `${golden}/tokenizers/tokenizer_2`,
  };
  const prompt = `${"The Girl dances. ".repeat(80)}THE VERY END, Élan`;

  const tokens = new PromptTokenizer(parts).encode(prompt);

  expect(prompt).toEndWith(tokens.llama.cut);
  expect(prompt).toEndWith(tokens.clip.cut);
  expect(tokens.llama.cut).toContain("THE VERY END, Élan");
  expect(tokens.clip.cut.length).toBeGreaterThan(tokens.llama.cut.length);
  expect(cutWarnings(tokens)).toHaveLength(2);
});

test("a prompt that fits is reported as nothing", () => {
  expect(clip.prompt("a girl").cut).toBe("");
  expect(original.prompt("a girl").cut).toBe("");
});

test("broken surrogates and ten thousand characters without a space are no trouble", () => {
  expect(llama.encode("\ud83d broken").length).toBeGreaterThan(1);
  expect(clip.prompt("x".repeat(10_000)).ids).toHaveLength(77);
});

test.each([
  ["{", "not valid JSON"],
  ['{"model":{"type":"Unigram","vocab":{},"merges":[]}}', "only BPE is supported"],
  ["{}", "model"],
])("the tokenizer.json %p is refused with its path", (content, why) => {
  using folder = new ScratchFolder();
  folder.write("tokenizer.json", content);

  expect(() => new LlamaTokenizer(folder.path)).toThrow(why);
  expect(() => new LlamaTokenizer(folder.path)).toThrow(folder.path);
});

test("a folder without any tokenizer file names the missing one", () => {
  using folder = new ScratchFolder();

  expect(() => new LlamaTokenizer(folder.path)).toThrow('tokenizer.json" is missing');
  expect(() => new ClipTokenizer(folder.path)).toThrow('vocab.json" is missing');
});
