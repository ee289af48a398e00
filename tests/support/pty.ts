// A program on a pseudo-terminal: answers the terminal's questions the way a chosen terminal would, keeps the screen, and
// collects every picture sent. What a test sees is what a person would.

import { inflateSync } from "node:zlib";
import xterm from "@xterm/headless";
import sharp from "sharp";
import { decode } from "sixel";

export type Profile = "kitty" | "kitty-old" | "xterm-sixel" | "foot" | "plain" | "mute";

type Answers = Readonly<{
  term: string;
  /** Primary device attributes; "" answers nothing at all. */
  attributes: string;
  name?: string;
  kitty?: boolean;
  cell?: readonly [number, number];
  synchronised?: boolean;
}>;

const profiles: Readonly<Record<Profile, Answers>> = {
  kitty: {
    term: "xterm-kitty",
    attributes: "62;",
    name: "kitty(0.41.1)",
    kitty: true,
    cell: [10, 19],
    synchronised: true,
  },
  "kitty-old": {
    term: "xterm-kitty",
    attributes: "62;",
    name: "kitty(0.26.5)",
    kitty: true,
    cell: [10, 19],
    synchronised: true,
  },
  "xterm-sixel": {
    term: "xterm",
    attributes: "63;1;2;4;6;9;15;16;22;28",
    name: "XTerm(379)",
    cell: [10, 20],
  },
  foot: {
    term: "foot",
    attributes: "62;4;22",
    name: "foot(1.13.1)",
    cell: [10, 21],
    synchronised: true,
  },
  plain: { term: "xterm-256color", attributes: "1;2" },
  mute: { term: "xterm-256color", attributes: "" },
};

export type KittyKeys = Readonly<Record<string, string>>;
export type Graphics =
  | Readonly<{
      kind: "kitty";
      keys: KittyKeys;
      payload: string;
      /** The keys of every chunk, the first included. */
      chunks: readonly KittyKeys[];
    }>
  | Readonly<{ kind: "sixel"; data: string }>
  | Readonly<{ kind: "iterm2"; payload: string }>;

const sequences =
  /\u001b_G([^;\u001b]*);?([^\u001b]*)\u001b\\|\u001bP([\d;]*)q([^\u001b]*)\u001b\\|\u001b\]1337;File=[^:]*:([^\u0007]*)\u0007|\u001b\[>0?q|\u001b\[>?c|\u001b\[16t|\u001b\[\?2026\$p|\u001b\[5n/g;

/** A colour is a number of the palette, RGB, or null for the terminal's own; "ink" and "paper" stand for those swapped. */
export type CellColour = number | readonly [number, number, number] | "ink" | "paper" | null;
export type ScreenCell = Readonly<{
  text: string;
  ink: CellColour;
  paper: CellColour;
  bold: boolean;
  dim: boolean;
}>;

const colourOf = (isRgb: boolean, isPalette: boolean, value: number): CellColour => {
  if (isRgb) return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
  return isPalette ? value : null;
};

export type PtyOptions = Readonly<{
  columns?: number;
  rows?: number;
  profile?: Profile;
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
}>;

export class Pty implements AsyncDisposable {
  readonly graphics: Graphics[] = [];
  /** Everything the program wrote. */
  raw = "";
  readonly #answers: Answers;
  readonly #screen: InstanceType<typeof xterm.Terminal>;
  readonly #process: Bun.Subprocess;
  readonly #decoder = new TextDecoder();
  #pending = "";
  #transfer: { keys: KittyKeys; payload: string; chunks: KittyKeys[] } | null = null;

  constructor(command: readonly string[], options: PtyOptions = {}) {
    const { columns = 100, rows = 30 } = options;
    this.#answers = profiles[options.profile ?? "plain"];
    this.#screen = new xterm.Terminal({
      cols: columns,
      rows,
      allowProposedApi: true,
      scrollback: 0,
    });
    this.#process = Bun.spawn([...command], {
      cwd: options.cwd ?? process.cwd(),
      env: environment(this.#answers.term, options.env ?? {}),
      terminal: {
        cols: columns,
        rows,
        data: (_terminal: unknown, bytes: Uint8Array) => this.#take(bytes),
      },
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  send(keys: string): void {
    this.#process.terminal?.write(keys);
  }

  resize(columns: number, rows: number): void {
    this.#screen.resize(columns, rows);
    this.#process.terminal?.resize(columns, rows);
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The screen as text, one line a row. */
  async screen(): Promise<string> {
    await new Promise<void>((resolve) => this.#screen.write("", resolve));
    const { active } = this.#screen.buffer;
    return Array.from(
      { length: this.#screen.rows },
      (_, y) => active.getLine(active.baseY + y)?.translateToString(true) ?? "",
    ).join("\n");
  }

  /** The screen with its colours, cell by cell, for drawing it. */
  async cells(): Promise<readonly (readonly ScreenCell[])[]> {
    await this.screen();
    const { active } = this.#screen.buffer;
    return Array.from({ length: this.#screen.rows }, (_, y) => {
      const line = active.getLine(active.baseY + y);
      return Array.from({ length: this.#screen.cols }, (__, x): ScreenCell => {
        const cell = line?.getCell(x);
        if (cell === undefined)
          return { text: " ", ink: null, paper: null, bold: false, dim: false };
        const ink = colourOf(cell.isFgRGB(), cell.isFgPalette(), cell.getFgColor());
        const paper = colourOf(cell.isBgRGB(), cell.isBgPalette(), cell.getBgColor());
        const isInverse = cell.isInverse() !== 0;
        return {
          text: cell.getWidth() === 0 ? "" : cell.getChars() || " ",
          ink: isInverse ? (paper ?? "paper") : ink,
          paper: isInverse ? (ink ?? "ink") : paper,
          bold: cell.isBold() !== 0,
          dim: cell.isDim() !== 0,
        };
      });
    });
  }

  /** Resolves when the screen shows a text or a condition holds; fails with the screen after a while. */
  async until(what: string | RegExp | (() => boolean), within_ms = 15_000): Promise<void> {
    const deadline = performance.now() + within_ms;
    for (;;) {
      const screen = await this.screen();
      if (typeof what === "function" ? what() : shows(screen, what)) return;
      if (performance.now() > deadline) {
        throw new Error(`not seen within ${within_ms} ms: ${String(what)}\n${screen}`);
      }
      await Bun.sleep(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  #take(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    this.raw += text;
    this.#screen.write(text);
    this.#pending += text;
    let end = 0;
    for (const match of this.#pending.matchAll(sequences)) {
      end = match.index + match[0].length;
      this.#meet(match);
    }
    this.#pending = this.#pending.slice(end);
    // Only a string that is still open may grow; all else is of no more interest.
    const open = this.#pending.search(/\u001b[_P\]]/);
    this.#pending = open < 0 ? this.#pending.slice(-8) : this.#pending.slice(open);
  }

  #meet(match: RegExpMatchArray): void {
    const [all, keys, payload, , sixel, iterm2] = match;
    if (keys !== undefined) this.#meetKitty(keys, payload ?? "");
    else if (sixel !== undefined) this.graphics.push({ kind: "sixel", data: all });
    else if (iterm2 !== undefined) this.graphics.push({ kind: "iterm2", payload: iterm2 });
    else this.#answer(all);
  }

  #meetKitty(text: string, payload: string): void {
    const keys = Object.fromEntries(
      text.split(",").map((pair) => pair.split("=") as [string, string]),
    );
    if (keys.a === "q") {
      if (this.#answers.kitty) this.#reply(`\u001b_Gi=${keys.i};OK\u001b\\`);
      return;
    }
    this.#transfer ??= { keys, payload: "", chunks: [] };
    this.#transfer.payload += payload;
    this.#transfer.chunks.push(keys);
    if (keys.m === "1") return;
    this.graphics.push({ kind: "kitty", ...this.#transfer });
    this.#transfer = null;
  }

  #answer(question: string): void {
    const { attributes, name, cell, synchronised } = this.#answers;
    if (attributes === "") return;
    if (question === "\u001b[c") this.#reply(`\u001b[?${attributes}c`);
    else if (question === "\u001b[>c") this.#reply("\u001b[>1;4000;41c");
    else if (/^\u001b\[>0?q$/.test(question) && name !== undefined)
      this.#reply(`\u001bP>|${name}\u001b\\`);
    else if (question === "\u001b[16t" && cell !== undefined)
      this.#reply(`\u001b[6;${cell[1]};${cell[0]}t`);
    else if (question === "\u001b[?2026$p") this.#reply(`\u001b[?2026;${synchronised ? 2 : 0}$y`);
    else if (question === "\u001b[5n") this.#reply("\u001b[0n");
  }

  #reply(text: string): void {
    this.#process.terminal?.write(text);
  }
}

const shows = (screen: string, what: string | RegExp): boolean =>
  typeof what === "string" ? screen.includes(what) : what.test(screen);

const environment = (
  term: string,
  extra: Readonly<Record<string, string | undefined>>,
): Record<string, string> => {
  const unset = {
    NODE_ENV: undefined,
    COLORTERM: undefined,
    TMUX: undefined,
    NO_COLOR: undefined,
    CI: undefined,
  };
  const all = { ...process.env, ...unset, FORCE_COLOR: undefined, TERM: term, ...extra };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
};

export type Pixels = Readonly<{ width: number; height: number; rgb: Uint8Array }>;

/** What a terminal would have after decoding a kitty transfer. */
export const kittyPixels = async (
  graphics: Extract<Graphics, { kind: "kitty" }>,
): Promise<Pixels> => {
  const bytes = Buffer.from(graphics.payload, "base64");
  if (graphics.keys.f === "100") {
    const { data, info } = await sharp(bytes)
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, rgb: new Uint8Array(data) };
  }
  const raw = graphics.keys.o === "z" ? inflateSync(bytes) : bytes;
  return {
    width: Number(graphics.keys.s),
    height: Number(graphics.keys.v),
    rgb: new Uint8Array(raw),
  };
};

export const sixelPixels = (graphics: Extract<Graphics, { kind: "sixel" }>): Pixels => {
  const { width, height, data32 } = decode(graphics.data);
  const rgba = new Uint8Array(data32.buffer, data32.byteOffset, width * height * 4);
  return { width, height, rgb: rgba.filter((_, i) => i % 4 !== 3) };
};
