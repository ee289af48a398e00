// Keys for Ink, answers for us. The terminal's replies come in on the same stream as what is typed; here they are taken out
// before Ink would show them as keys. Bun: stdin is never paused, a paused stdin does not become readable again.

import { EventEmitter } from "node:events";

/** A complete answer: device attributes and reports (CSI), DCS, APC or OSC strings. */
const answer =
  /\u001b\[\?[\d;]*[cS]|\u001b\[\?[\d;]*\$y|\u001b\[[46];\d+;\d+t|\u001b\[0n|\u001b[P_\]][^\u0007\u001b]*(?:\u001b\\|\u0007)/;
/** What may still become an answer when more arrives. */
const beginning =
  /\u001b(?:$|\[(?:$|\?[\d;]*\$?$|[46]?$|[46];[\d;]*$|0$)|[P_\]][^\u0007\u001b]*(?:\u001b)?$)/;

/** A lone escape, or the start of an answer that never ends, is given to Ink after this long. */
const holdMs = 15;
const answerBytesMax = 4096;

export type Source = Readonly<{
  on: (event: "data" | "end", listener: (chunk: Buffer | string) => void) => unknown;
  off: (event: "data" | "end", listener: (chunk: Buffer | string) => void) => unknown;
  setRawMode?: (raw: boolean) => unknown;
  ref?: () => unknown;
  unref?: () => unknown;
  isTTY?: boolean;
}>;

/** Splits what arrived into answers, keys, and a rest that cannot be told yet. Pure. */
export const separate = (
  text: string,
): Readonly<{ answers: readonly string[]; keys: string; rest: string }> => {
  const answers: string[] = [];
  let keys = "";
  let left = text;
  for (;;) {
    const found = answer.exec(left);
    if (found === null) break;
    keys += left.slice(0, found.index);
    answers.push(found[0]);
    left = left.slice(found.index + found[0].length);
  }
  const open = beginning.exec(left);
  if (open === null || left.length - open.index > answerBytesMax) {
    return { answers, keys: keys + left, rest: "" };
  }
  return { answers, keys: keys + left.slice(0, open.index), rest: left.slice(open.index) };
};

/** Function keys as the Alt keys that the key table knows; Ink hands no function key on. */
const functionKeys: readonly (readonly [sequences: RegExp, key: string])[] = [
  [/\u001b(?:OP|\[11~|\[\[A)/g, "\u001b?"],
  [/\u001b(?:OQ|\[12~|\[\[B)/g, "\u001b1"],
  [/\u001b(?:OR|\[13~|\[\[C)/g, "\u001b2"],
  [/\u001b(?:OS|\[14~|\[\[D)/g, "\u001b3"],
  [/\u001b(?:\[15~|\[\[E)/g, "\u001b4"],
  [/\u001b\[17~/g, "\u001b5"],
];

const pieces = /[\u0000-\u001a\u001c-\u001f\u007f]|[^\u0000-\u001a\u001c-\u001f\u007f]+/g;

/** Keys as Ink takes them: each control character by itself, since several in one text are no key to it. */
export const keyPieces = (keys: string): readonly string[] => {
  const mapped = functionKeys.reduce((text, [found, key]) => text.replace(found, key), keys);
  return mapped.match(pieces) ?? [];
};

/** Looks like process.stdin to Ink: readable, setRawMode, isTTY. */
export class TerminalInput extends EventEmitter {
  readonly isTTY = true;
  readonly #source: Source;
  readonly #onAnswer: (answer: string) => void;
  readonly #decoder = new TextDecoder("utf-8", { fatal: false });
  readonly #onData = (chunk: Buffer | string): void => this.#take(chunk);
  readonly #onEnd = (): void => {
    this.emit("end");
  };
  #keys: string[] = [];
  #rest = "";
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(source: Source, onAnswer: (answer: string) => void) {
    super();
    this.#source = source;
    this.#onAnswer = onAnswer;
    source.on("data", this.#onData);
    source.on("end", this.#onEnd);
  }

  /** Ink reads strings until null. */
  read(): string | null {
    return this.#keys.shift() ?? null;
  }

  setEncoding(): this {
    return this;
  }

  /** Raw mode belongs to the session, which turned it on before the first question and ends it last. */
  setRawMode(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  pause(): this {
    return this;
  }

  resume(): this {
    return this;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#source.off("data", this.#onData);
    this.#source.off("end", this.#onEnd);
  }

  #take(chunk: Buffer | string): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const text = typeof chunk === "string" ? chunk : this.#decoder.decode(chunk, { stream: true });
    const { answers, keys, rest } = separate(this.#rest + text);
    this.#rest = rest;
    for (const one of answers) this.#onAnswer(one);
    this.#give(keys);
    if (rest === "") return;
    this.#timer = setTimeout(() => {
      const held = this.#rest;
      this.#rest = "";
      this.#give(held);
    }, holdMs);
  }

  #give(keys: string): void {
    if (keys === "") return;
    this.#keys.push(...keyPieces(keys));
    this.emit("readable");
  }
}
