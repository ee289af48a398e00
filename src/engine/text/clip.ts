// The pooled encoder's tokens for a prompt: 77 ids, the first and last token always kept.
// A folder with tokenizer.json is taken at its word. One with vocab.json and merges.txt only, as
// published, gets the text treatment of the original program (original-text.ts).

import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { prepareLikeOriginal } from "./original-text.ts";
import { type PaddedTokens, padRight } from "./padding.ts";
import { clip_tokens_max } from "./template.ts";
import {
  broken,
  makeTokenizer,
  openTokenizer,
  readBigJson,
  readBigText,
  readSpecialTokens,
  type Vocabulary,
} from "./tokenizer-file.ts";

/** 77 ids. */
export type ClipTokens = PaddedTokens &
  Readonly<{
    /** The end of the prompt that did not fit, or "". */
    cut: string;
  }>;

/** Which files of a folder are used: tokenizer.json if it is there, or never. */
export type ClipFiles = "tokenizer.json" | "vocab.json";

export class ClipTokenizer {
  readonly #encoder: Vocabulary;
  readonly #prepare: (text: string) => string;
  readonly #first: number;
  readonly #last: number;
  readonly #pad: number;

  /** Opens a folder with tokenizer.json, or with vocab.json and merges.txt. */
  constructor(folder: string, files: ClipFiles = "tokenizer.json") {
    const whole = join(folder, "tokenizer.json");
    const special = readSpecialTokens(folder);
    const first = special.bos_token ?? "<|startoftext|>";
    const last = special.eos_token ?? "<|endoftext|>";
    if (files === "tokenizer.json" && existsSync(whole)) {
      this.#encoder = openTokenizer(whole);
      this.#prepare = lowerSigma;
    } else {
      this.#encoder = fromVocabulary(folder, [first, last]);
      this.#prepare = (text) => prepareLikeOriginal(text, [first, last]);
    }
    this.#first = this.#encoder.idOf(first);
    this.#last = this.#encoder.idOf(last);
    this.#pad = this.#encoder.idOf(special.pad_token ?? last);
  }

  /** Ids of a text between the first and the last token, without limit or padding. */
  encode(text: string): readonly number[] {
    return [this.#first, ...this.#encoder.encode(this.#prepare(text)), this.#last];
  }

  /** Ids cut so that the last token stays, and padded to exactly `tokens`. */
  padded(text: string, tokens: number): PaddedTokens {
    const all = this.encode(text);
    const ids = all.length <= tokens ? all : [...all.slice(0, tokens - 1), this.#last];
    return padRight(ids, tokens, this.#pad);
  }

  prompt(prompt: string): ClipTokens {
    const beyond = this.encode(prompt).slice(clip_tokens_max - 1, -1);
    const cut = tailOf(prompt, this.#encoder.decode(beyond));
    return { ...this.padded(prompt, clip_tokens_max), cut };
  }
}

/**
 * A tokenizer.json lower-cases letter by letter; JavaScript turns a sigma at a word's end into its
 * final form. That is the only letter whose lower case depends on its neighbours.
 */
const lowerSigma = (text: string): string => text.replaceAll("Σ", "σ");

/** The end of the prompt as the user wrote it, as long as the cut tokens say. */
const tailOf = (prompt: string, cut: string): string => {
  let left = visibleCount(cut);
  if (left === 0) return "";
  const chars = [...prompt];
  let from = chars.length;
  while (from > 0 && left > 0) {
    from--;
    left -= visibleCount((chars[from] ?? "").toLowerCase());
  }
  return chars.slice(from).join("");
};

const visibleCount = (text: string): number =>
  [...text.normalize("NFC").replace(/[\s\p{C}]/gu, "")].length;

const vocabularySchema = z.record(z.string(), z.int().nonnegative());

/** Entries of merges.txt that count: more were never used with these vocabularies. */
const merges_max = 49152 - 256 - 2;

/** The same tokens from the two files of the older form: one line a merge after a version line. */
const fromVocabulary = (folder: string, special: readonly string[]): Vocabulary => {
  const path = join(folder, "vocab.json");
  const vocabulary = vocabularySchema.safeParse(readBigJson(path));
  if (!vocabulary.success) throw broken(path, "it does not map tokens to numbers");
  const lines = readBigText(join(folder, "merges.txt")).trim().split("\n");
  const merges = lines.slice(1, 1 + merges_max).map((line) => line.trimEnd().split(" "));
  if (merges.some((pair) => pair.length !== 2)) {
    throw broken(join(folder, "merges.txt"), "a line of it is no pair of tokens");
  }
  const vocab = vocabulary.data;
  return makeTokenizer(path, {
    version: "1.0",
    added_tokens: special.map((content) => ({ ...plainToken, id: vocab[content] ?? -1, content })),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      unk_token: special.at(-1),
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  });
};

const plainToken = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
} as const;

const preTokenizer = {
  type: "Sequence",
  pretokenizers: [
    {
      type: "Split",
      pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
      behavior: "Removed",
      invert: true,
    },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
} as const;
