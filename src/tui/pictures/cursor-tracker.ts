// Follows the cursor through what Ink writes, to know which cells text touched. It knows the few sequences Ink uses on the
// alternate screen; anything else is skipped as moving nothing. Pure state, no output.

import type { Touched } from "./frame-stream.ts";

// CSI sequences, other escape strings, line breaks, and runs of plain text.
const pieces =
  /\u001b\[([?>]?)([\d;]*)([A-Za-z])|\u001b[P_\]^][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[78=>cM]|\n|\r|[^\u001b\n\r]+/g;

export class CursorTracker {
  #columns: number;
  #rows: number;
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
  }

  resize(columns: number, rows: number): void {
    this.#columns = columns;
    this.#rows = rows;
    this.#clamp();
  }

  /** Moves along `text` and says which cells it touched. */
  follow(text: string): Touched[] {
    const touched: Touched[] = [];
    for (const piece of text.matchAll(pieces)) {
      const [all, mark, numbers, final] = piece;
      if (final !== undefined) {
        if (mark === "") this.#control(final, numbers ?? "", touched);
      } else if (all === "\n") {
        this.#row++;
        this.#column = 0;
      } else if (all === "\r") this.#column = 0;
      else if (!all.startsWith("\u001b")) this.#print(all, touched);
      this.#clamp();
    }
    return touched;
  }

  #print(text: string, touched: Touched[]): void {
    const width = Bun.stringWidth(text);
    touched.push({ row: this.#row, from: this.#column, to: this.#column + width });
    this.#column = Math.min(this.#columns, this.#column + width);
  }

  #control(final: string, numbers: string, touched: Touched[]): void {
    const [first, second] = numbers.split(";").map((n) => (n === "" ? undefined : Number(n)));
    const n = first ?? 1;
    switch (final) {
      case "A":
        this.#row -= n;
        break;
      case "B":
        this.#row += n;
        break;
      case "C":
        this.#column += n;
        break;
      case "D":
        this.#column -= n;
        break;
      case "E":
        this.#row += n;
        this.#column = 0;
        break;
      case "F":
        this.#row -= n;
        this.#column = 0;
        break;
      case "G":
        this.#column = n - 1;
        break;
      case "H":
        this.#row = n - 1;
        this.#column = (second ?? 1) - 1;
        break;
      case "K":
        this.#eraseLine(first ?? 0, touched);
        break;
      case "J":
        this.#eraseScreen(first ?? 0, touched);
        break;
    }
  }

  #eraseLine(how: number, touched: Touched[]): void {
    const from = how === 0 ? this.#column : 0;
    const to = how === 1 ? this.#column + 1 : this.#columns;
    touched.push({ row: this.#row, from, to });
  }

  #eraseScreen(how: number, touched: Touched[]): void {
    const from = how === 0 ? this.#row : 0;
    const to = how === 1 ? this.#row : this.#rows - 1;
    for (let row = from; row <= to; row++) touched.push({ row, from: 0, to: this.#columns });
  }

  #clamp(): void {
    this.#row = Math.max(0, Math.min(this.#rows - 1, this.#row));
    this.#column = Math.max(0, Math.min(this.#columns, this.#column));
  }
}
