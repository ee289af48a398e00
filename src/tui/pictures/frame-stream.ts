// Ink's output with pictures in it. Ink writes a frame in several pieces; here they leave as one, with the pictures that lie
// over cells (sixel, iTerm2, kitty placements) drawn inside the same synchronised update, and only when text touched them.

import { EventEmitter } from "node:events";
import { CursorTracker } from "./cursor-tracker.ts";

/** How long after a change of size pictures are held back. */
const resizeMs = 100;

const begin = "\u001b[?2026h";
const end = "\u001b[?2026l";

/** Ink writes a frame at most this long after it was laid out. */
const settleMs = 50;

export type Place = Readonly<{ column: number; row: number; columns: number; rows: number }>;

/** A picture over cells. `locate` is asked when a frame leaves: layout may have moved it. */
export type Overlay = Readonly<{
  locate: () => Place | null;
  /**
   * The sequence that draws it at a place, the cursor being at its corner; "" while there is nothing
   * to draw yet.
   */
  draw: (at: Place) => string;
  /** The sequence that takes it away; "" where drawing text over it does. */
  erase: () => string;
}>;

type Known = { overlay: Overlay; drawn: string; at: Place | null };

export type Screen = Readonly<{
  write: (text: string, done?: () => void) => unknown;
  columns: number;
  rows: number;
  on: (event: "resize", listener: () => void) => unknown;
  off: (event: "resize", listener: () => void) => unknown;
}>;

/** Looks like process.stdout to Ink. */
export class FrameStream extends EventEmitter {
  readonly isTTY = true;
  readonly writable = true;
  readonly #screen: Screen;
  readonly #tracker: CursorTracker;
  readonly #overlays = new Map<string, Known>();
  readonly #onResize = (): void => {
    this.#tracker.resize(this.columns, this.rows);
    // Who draws clears first, so that nothing of the old size stays. Pictures wait until the layout is
    // that of the new size: drawn where they were, they would stay there.
    this.#holdPictures();
    this.emit("resizing");
    this.emit("resize");
  };
  #frame: string | null = null;
  #held: ReturnType<typeof setTimeout> | null = null;
  #soon: ReturnType<typeof setTimeout> | null = null;
  bytesWritten = 0;

  constructor(screen: Screen) {
    super();
    this.#screen = screen;
    this.#tracker = new CursorTracker(screen.columns, screen.rows);
    screen.on("resize", this.#onResize);
  }

  get columns(): number {
    return this.#screen.columns;
  }

  get rows(): number {
    return this.#screen.rows;
  }

  write(text: string, encodingOrDone?: unknown, maybeDone?: unknown): boolean {
    const done = [encodingOrDone, maybeDone].find((f) => typeof f === "function") as
      | (() => void)
      | undefined;
    if (text === begin) {
      this.#frame = "";
      done?.();
    } else if (text === end && this.#frame !== null) {
      const frame = this.#frame;
      this.#frame = null;
      this.#send(frame, done);
    } else if (this.#frame !== null) {
      this.#frame += text;
      done?.();
    } else {
      this.#send(text, done);
    }
    return true;
  }

  /** Where an overlay is now, to draw it paced and outside a frame; it then counts as drawn there. */
  drawnApart(key: string): Place | null {
    const known = this.#overlays.get(key);
    if (known === undefined || this.#held !== null) return null;
    const place = known.overlay.locate();
    // Laid out, but perhaps in a frame that Ink still holds back, or never writes: then nothing would take the picture away.
    if (place === null || !samePlace(place, known.at)) {
      this.#soon ??= setTimeout(() => {
        this.#soon = null;
        this.#send("");
      }, settleMs);
      return null;
    }
    known.drawn = known.overlay.draw(place);
    return place;
  }

  /** Adds what later frames keep drawn, without drawing it now. */
  addOverlay(key: string, overlay: Overlay): void {
    const known = this.#overlays.get(key);
    if (known === undefined) this.#overlays.set(key, { overlay, drawn: "", at: null });
    else known.overlay = overlay;
  }

  removeOverlay(key: string): void {
    const known = this.#overlays.get(key);
    if (known === undefined) return;
    this.#overlays.delete(key);
    if (known.at !== null) this.#put(known.overlay.erase());
  }

  /** An empty screen with the cursor at its corner; every picture over cells is drawn anew with the next frame. */
  clear(): void {
    let erasing = "";
    for (const known of this.#overlays.values()) {
      if (known.at !== null) erasing += known.overlay.erase();
      known.at = null;
    }
    this.#put(`${erasing}\u001b[2J\u001b[H`);
    this.#tracker.follow("\u001b[H");
  }

  /** For pictures' data, which moves no cursor: goes straight out between frames. */
  writeGraphics(sequences: string): void {
    this.#put(sequences);
  }

  close(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
    if (this.#held !== null) clearTimeout(this.#held);
    this.#screen.off("resize", this.#onResize);
  }

  #holdPictures(): void {
    if (this.#held !== null) clearTimeout(this.#held);
    this.#held = setTimeout(() => {
      this.#held = null;
      this.#send("");
    }, resizeMs);
  }

  #send(text: string, done?: () => void): void {
    const touched = this.#tracker.follow(text);
    let drawing = "";
    const overlays = this.#held === null ? this.#overlays.values() : [];
    for (const known of overlays) {
      const place = known.overlay.locate();
      const picture = place === null ? "" : known.overlay.draw(place);
      const moved = !samePlace(place, known.at);
      if (known.at !== null && (place === null || moved)) drawing += known.overlay.erase();
      const spoiled = place !== null && touched.some((t) => overlaps(t, place));
      if (place !== null && picture !== "" && (moved || spoiled || picture !== known.drawn)) {
        drawing += `\u001b[${place.row + 1};${place.column + 1}H${picture}`;
        known.drawn = picture;
      }
      known.at = picture === "" ? null : place;
    }
    const all = drawing === "" ? text : `${text}\u001b7${drawing}\u001b8`;
    if (all === "") {
      done?.();
      return;
    }
    this.#put(all.length > text.length || text.length > 64 ? begin + all + end : all, done);
  }

  #put(text: string, done?: () => void): void {
    if (text === "") return;
    this.bytesWritten += text.length;
    this.#screen.write(text, done);
  }
}

/** Cells that text was written to or erased: one row, columns [from, to). */
export type Touched = Readonly<{ row: number; from: number; to: number }>;

const overlaps = (touched: Touched, place: Place): boolean =>
  touched.row >= place.row &&
  touched.row < place.row + place.rows &&
  touched.from < place.column + place.columns &&
  touched.to > place.column;

const samePlace = (a: Place | null, b: Place | null): boolean =>
  a !== null &&
  b !== null &&
  a.column === b.column &&
  a.row === b.row &&
  a.columns === b.columns &&
  a.rows === b.rows;
