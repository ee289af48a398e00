// From a prompt to the tokens of both text encoders, with a report of what did not fit.

import { ClipTokenizer, type ClipTokens } from "./clip.ts";
import { LlamaTokenizer, type LlamaTokens } from "./llama.ts";

export type PromptTokens = Readonly<{
  llama: LlamaTokens;
  clip: ClipTokens;
}>;

export class PromptTokenizer {
  readonly #llama: LlamaTokenizer;
  readonly #clip: ClipTokenizer;
  readonly #template: string | undefined;

  /** The two tokenizer folders of a model, and its template where it brings one. */
  constructor(parts: Readonly<{ tokenizer: string; tokenizer_2: string }>, template?: string) {
    this.#llama = new LlamaTokenizer(parts.tokenizer);
    this.#clip = new ClipTokenizer(parts.tokenizer_2);
    this.#template = template;
  }

  encode(prompt: string): PromptTokens {
    return { llama: this.#llama.prompt(prompt, this.#template), clip: this.#clip.prompt(prompt) };
  }
}

/**
 * What a user should know about a prompt that is too long, a sentence each. The text that was cut
 * comes back in quotes and needs `printable` before it is shown.
 */
export const cutWarnings = ({ llama, clip }: PromptTokens): readonly string[] => {
  const warnings: string[] = [];
  if (llama.cut !== "") {
    warnings.push(`The prompt is too long; this end of it is not used at all: "${llama.cut}"`);
  }
  if (clip.cut !== "") {
    warnings.push(`The second text encoder has room for 75 tokens only and misses: "${clip.cut}"`);
  }
  return warnings;
};
