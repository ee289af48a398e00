// Loads the files of a tokenizer folder and gives an encoder from text to ids without any special
// tokens of its own: what goes first, last and into the padding is decided by llama.ts and clip.ts.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { readConfig } from "../config/read.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";

export type Vocabulary = Readonly<{
  encode: (text: string) => readonly number[];
  decode: (ids: readonly number[]) => string;
  /** The id of a token by its exact text; a Failure when there is none. */
  idOf: (token: string) => number;
}>;

const tokenizer_bytes_max = 100_000_000;

// Objects and lists are only looked at, not copied: they have hundreds of thousands of entries.
const anObject = z.custom<object>((value) => typeof value === "object" && value !== null);
const modelSchema = z.looseObject({
  model: z.looseObject({
    type: z.literal("BPE", { error: "only BPE is supported" }),
    vocab: anObject,
    merges: z.custom<readonly unknown[]>((value) => Array.isArray(value)),
  }),
});

/** The encoder of a tokenizer.json. */
export const openTokenizer = (path: string): Vocabulary => {
  const parsed = modelSchema.safeParse(readBigJson(path));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw broken(path, `${issue?.path.join(".")}: ${issue?.message}`, parsed.error);
  }
  return makeTokenizer(path, parsed.data);
};

/** The encoder of a definition in tokenizer.json's form; `path` is for messages. */
export const makeTokenizer = (path: string, definition: object): Vocabulary => {
  const tokenizer = attempt(path, () => new Tokenizer(definition, {}));
  return {
    encode: (text) =>
      attempt(path, () => tokenizer.encode(text.toWellFormed(), { add_special_tokens: false }).ids),
    decode: (ids) => (ids.length === 0 ? "" : tokenizer.decode([...ids])),
    idOf: (token) => {
      const id = tokenizer.token_to_id(token);
      if (id === undefined) throw broken(path, `the token ${quoted(token)} is not in it`);
      return id;
    },
  };
};

const token = z.union([z.string(), z.object({ content: z.string() }).transform((t) => t.content)]);
const tokensSchema = z.object({
  bos_token: token.nullish(),
  eos_token: token.nullish(),
  pad_token: token.nullish(),
  unk_token: token.nullish(),
});

export type SpecialTokens = z.output<typeof tokensSchema>;

/** The special tokens that the folder's files name; tokenizer_config.json goes first. */
export const readSpecialTokens = (folder: string): SpecialTokens => {
  const files = ["special_tokens_map.json", "tokenizer_config.json"].map((n) => join(folder, n));
  const found = files
    .filter((path) => existsSync(path))
    .map((path) => readConfig(path, tokensSchema));
  return Object.assign({}, ...found);
};

/** JSON of vocabulary size: large, flat, and read once. */
export const readBigJson = (path: string): unknown => {
  const text = readBigText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw broken(path, "it is not valid JSON", error);
  }
};

export const readBigText = (path: string): string => {
  if (!existsSync(path)) {
    throw new Failure("model.missing", `${quoted(path, 300)} is missing.`, {
      hint: "The model's folder is not complete; fetch the model again.",
    });
  }
  const { size } = statSync(path);
  if (size > tokenizer_bytes_max) throw broken(path, `it is ${size} bytes long, which is too much`);
  return readFileSync(path, "utf8");
};

export const broken = (path: string, why: string, cause?: unknown): Failure =>
  new Failure("model.corrupt", `The tokenizer ${quoted(path, 300)} cannot be used: ${why}.`, {
    cause,
  });

const attempt = <T>(path: string, act: () => T): T => {
  try {
    return act();
  } catch (error) {
    throw broken(path, error instanceof Error ? error.message : String(error), error);
  }
};
