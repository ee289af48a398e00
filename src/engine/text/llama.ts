// The language model's tokens for a prompt: template, first token, cut on the right at the limit.
// No padding: attention is causal and padding would stand to the right, so it changes nothing.

import { join } from "node:path";
import { type PaddedTokens, padRight } from "./padding.ts";
import { fillTemplate, prompt_tokens_max, published_crop, publishedTemplate } from "./template.ts";
import { openTokenizer, readSpecialTokens, type Vocabulary } from "./tokenizer-file.ts";

export type LlamaTokens = Readonly<{
  ids: readonly number[];
  /** Rows of the hidden states from here on belong to the prompt. */
  crop: number;
  /** The end of the prompt that did not fit, or "". */
  cut: string;
}>;

export class LlamaTokenizer {
  readonly #encoder: Vocabulary;
  readonly #first: number;
  readonly #pad: number;

  /** Opens a folder with tokenizer.json. */
  constructor(folder: string) {
    this.#encoder = openTokenizer(join(folder, "tokenizer.json"));
    const { bos_token, pad_token } = readSpecialTokens(folder);
    this.#first = this.#encoder.idOf(bos_token ?? "<|begin_of_text|>");
    this.#pad = typeof pad_token === "string" ? this.#encoder.idOf(pad_token) : this.#first;
  }

  /** Ids of a text with the first token before it. */
  encode(text: string): readonly number[] {
    return [this.#first, ...this.#encoder.encode(text)];
  }

  /** Ids cut and padded on the right to exactly `tokens`. */
  padded(text: string, tokens: number): PaddedTokens {
    return padRight(this.encode(text).slice(0, tokens), tokens, this.#pad);
  }

  /** A prompt in its template; another template has another number of tokens before the prompt. */
  prompt(prompt: string, template: string = publishedTemplate): LlamaTokens {
    const crop = template === publishedTemplate ? published_crop : this.#cropOf(template);
    const all = this.encode(fillTemplate(template, prompt));
    const ids = all.slice(0, crop + prompt_tokens_max);
    return { ids, crop, cut: this.#cutText(all.slice(ids.length), template) };
  }

  #cropOf(template: string): number {
    return this.encode(template.split("{}")[0] ?? "").length;
  }

  /** Without the template's end, which is no loss that a user could mend. */
  #cutText(ids: readonly number[], template: string): string {
    // The cut may go through a character of several bytes; what is left of it decodes to no text.
    const text = this.#encoder.decode(ids).replace(/^\ufffd+/, "");
    const end = template.split("{}")[1] ?? "";
    return end !== "" && text.endsWith(end) ? text.slice(0, -end.length) : text;
  }
}
