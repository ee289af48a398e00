// The terminal while the interface has it: raw mode, alternate screen, and everything put back however the program ends.
// Leaving is one string written at once, so that it also works from an exit handler or a signal.

import { writeSync } from "node:fs";
import type { Capabilities } from "./pictures/capabilities.ts";
import { detect, surroundings } from "./pictures/detect.ts";
import { FrameStream } from "./pictures/frame-stream.ts";
import { deletePicture, throughTmux } from "./pictures/kitty.ts";
import { TerminalInput } from "./pictures/terminal-input.ts";

const enter = "\u001b[?1049h\u001b[2J\u001b[H\u001b[?25l";
// Ends a cut-off escape string first; then synchronised update, paste mode, cursor and colours.
const leave = "\u001b\\\u001b[?2026l\u001b[?2004l\u001b[?25h\u001b[m";
const leaveAlternate = "\u001b[?1049l";

/** Why the program leaves by itself; null for an ordinary end. */
export type Ending = Readonly<{ signal: NodeJS.Signals } | { error: unknown }>;

export type SessionOptions = Readonly<{
  /** Called once when a signal or an error ends the program; the terminal is restored already. */
  onEnding: (ending: Ending) => void;
  alternateScreen: boolean;
}>;

export class TerminalSession implements Disposable {
  readonly input: TerminalInput;
  readonly output: FrameStream;
  readonly #listeners = new Set<(answer: string) => void>();
  readonly #pictures = new Set<number>();
  readonly #cleanups: (() => void)[] = [];
  #tmux = false;
  #left = false;
  readonly #alternate: boolean;

  private constructor(options: SessionOptions) {
    this.#alternate = options.alternateScreen;
    process.stdin.setRawMode(true);
    this.input = new TerminalInput(process.stdin, (answer) => {
      for (const listener of this.#listeners) listener(answer);
    });
    this.output = new FrameStream(process.stdout);
    this.#watchEndings(options.onEnding);
  }

  /** Takes the terminal: raw mode and the alternate screen; a screen reader keeps its own lines. */
  static open(options: SessionOptions): TerminalSession {
    const session = new TerminalSession(options);
    if (options.alternateScreen) process.stdout.write(enter);
    return session;
  }

  /** Finds out what the terminal can show. Keys typed meanwhile stay keys. */
  async ask(): Promise<Capabilities> {
    const size = { columns: process.stdout.columns, rows: process.stdout.rows };
    const around = surroundings(process.env, size);
    this.#tmux = around.insideTmux;
    return detect({
      write: (text) => process.stdout.write(text),
      listen: (listener) => this.listen(listener),
      around,
    });
  }

  /** Hands every answer of the terminal to a listener until called back. */
  listen(listener: (answer: string) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Runs before the terminal is given back. */
  atEnd(run: () => void): void {
    this.#cleanups.push(run);
  }

  /** Pictures held by the terminal, to be freed on leaving. */
  owns(picture: number): void {
    this.#pictures.add(picture);
  }

  freed(picture: number): void {
    this.#pictures.delete(picture);
  }

  /** Restores the terminal; safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#left) return;
    this.#left = true;
    for (const cleanup of this.#cleanups) cleanup();
    this.input.close();
    this.output.close();
    this.#restore();
  }

  #restore(): void {
    const deletions = [...this.#pictures].map((id) => {
      const sequence = deletePicture(id);
      return this.#tmux ? throughTmux(sequence) : sequence;
    });
    try {
      // Straight to the file descriptor: a stream's buffer is lost when the process ends now.
      writeSync(1, deletions.join("") + leave + (this.#alternate ? leaveAlternate : ""));
      process.stdin.setRawMode(false);
    } catch (error) {
      // The terminal is gone (its link dropped): there is nothing left to restore and nobody to tell.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }

  #watchEndings(onEnding: (ending: Ending) => void): void {
    const end = (ending: Ending): void => {
      if (this.#left) return;
      this[Symbol.dispose]();
      onEnding(ending);
    };
    const signals = ["SIGTERM", "SIGHUP", "SIGINT"] as const;
    for (const signal of signals) {
      const handler = (): void => end({ signal });
      process.on(signal, handler);
      this.#cleanups.push(() => process.off(signal, handler));
    }
    const crash = (error: unknown): void => end({ error });
    process.on("uncaughtException", crash);
    process.on("unhandledRejection", crash);
    const hangUp = (): void => end({ signal: "SIGHUP" });
    process.stdin.on("end", hangUp);
    const exit = (): void => this[Symbol.dispose]();
    process.on("exit", exit);
    this.#cleanups.push(
      () => process.off("uncaughtException", crash),
      () => process.off("unhandledRejection", crash),
      () => process.stdin.off("end", hangUp),
      () => process.off("exit", exit),
    );
  }
}
