// A few lines at the bottom of a terminal that are written over in place, with ordinary lines
// passing above them. No alternate screen, no hidden cursor: killed at any moment it leaves a
// usable terminal.

export type Terminal = Readonly<{
  write(text: string): unknown;
  columns?: number | undefined;
}>;

/** Not more than ten times a second: a slow link gets no queue of stale frames. */
const redraw_ms = 100;

export class LiveBlock implements Disposable {
  readonly #terminal: Terminal;
  readonly #render: (columns: number) => readonly string[];
  readonly #now: () => number;
  #drawn: readonly string[] = [];
  #drawnAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    terminal: Terminal,
    render: (columns: number) => readonly string[],
    now: () => number = () => performance.now(),
  ) {
    this.#terminal = terminal;
    this.#render = render;
    this.#now = now;
  }

  /** Something changed: draws now or soon. */
  refresh(): void {
    const wait = this.#drawnAt + redraw_ms - this.#now();
    if (wait <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), wait);
  }

  /** A line that stays, above the block. */
  say(line: string): void {
    this.#terminal.write(`${this.#erase()}${line}\n`);
    this.#drawn = [];
    this.#draw();
  }

  /** Takes the block away. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#terminal.write(this.#erase());
    this.#drawn = [];
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#render(this.#columns());
    // Synchronised output where the terminal knows it; others ignore the two modes.
    this.#terminal.write(
      `\x1b[?2026h${this.#erase()}${lines.map((l) => `${l}\n`).join("")}\x1b[?2026l`,
    );
    this.#drawn = lines;
    this.#drawnAt = this.#now();
  }

  /** Back to the block's first row, clearing it; counts the rows lines take at today's width. */
  #erase(): string {
    const columns = this.#columns();
    const rows = this.#drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(Bun.stringWidth(line) / columns)),
      0,
    );
    return rows === 0 ? "" : `\x1b[${rows}A\r\x1b[J`;
  }

  #columns(): number {
    return this.#terminal.columns || 80;
  }
}
