// The pictures on the screen: one place a key, each shown in the best way the terminal has. Sends them paced, replaces them in
// place, frees them when their place goes. What a place looks like as text is `textRows`; React draws that part.

import { asciiRows, blockRows } from "./blocks.ts";
import type { Capabilities, Method } from "./capabilities.ts";
import type { FrameStream, Place } from "./frame-stream.ts";
import { iterm2Picture } from "./iterm2.ts";
import * as kitty from "./kitty.ts";
import { type Pacer, Pacer as PacerClass, type PacerOptions } from "./pacer.ts";
import { palettePng } from "./palette.ts";
import type { Picture } from "./picture.ts";
import { sixelPicture } from "./sixel.ts";

export type Box = Readonly<{ columns: number; rows: number }>;

export type GalleryOptions = Readonly<{
  capabilities: Capabilities;
  output: FrameStream;
  /** Told about pictures that the terminal keeps, to free them on leaving. */
  owns: (id: number) => void;
  freed: (id: number) => void;
  bytesPerSecond: number | null;
}>;

/** What a place is to show. */
export type Show = Readonly<{
  frames: readonly Picture[];
  box: Box;
  gap_ms: number;
  /** Where the box lies now; null when it is gone. Only methods that draw over cells ask. */
  locate: () => Place | null;
}>;

type Held = {
  id: number;
  /** What the terminal has under the id: frames it can replace one by one. */
  sent: Readonly<{ frames: number; width: number; height: number; box: Box }> | null;
  /** For methods that draw over cells: the sequence that draws the newest picture. */
  drawing: string;
  /** The same in characters, row by row. */
  rows: readonly string[] | null;
  /** What it was asked to show last. */
  shown: Show | null;
};

const question = "\u001b[5n";

export class Gallery implements Disposable {
  readonly #o: GalleryOptions;
  readonly #pacer: Pacer;
  readonly #places = new Map<string, Held>();
  // Ids are 24 bits and shared with every program in the terminal: a random start keeps them apart.
  #nextId = 0x10000 + Math.floor(Math.random() * 0xe00000);

  constructor(options: GalleryOptions) {
    this.#o = options;
    const { tmux } = options.capabilities;
    const timing: Pick<PacerOptions, "now" | "after"> = {
      now: () => performance.now(),
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    };
    this.#pacer = new PacerClass({
      ...timing,
      write: (bytes) => options.output.writeGraphics(bytes),
      // tmux would answer by itself and hide how slow the link is: the question goes to the terminal outside.
      question: tmux ? kitty.throughTmux(question) : question,
      bytesPerSecond: options.bytesPerSecond,
      isOpen: kitty.isOpen,
    });
  }

  get capabilities(): Capabilities {
    return this.#o.capabilities;
  }

  /** The terminal answered a status question. */
  acknowledged(): void {
    this.#pacer.acknowledged();
  }

  /** How long a frame stays up where frames are turned by hand: characters are cheap, whole pictures are not. */
  turnPause(gap_ms: number): number {
    return isCharacters(this.#o.capabilities.method) ? Math.max(gap_ms, 250) : 1000;
  }

  /** Whether somebody must turn from frame to frame: the terminal does not do it. */
  get turnsByHand(): boolean {
    return !this.#o.capabilities.animates && this.#o.capabilities.method !== "none";
  }

  get bytesSent(): number {
    return this.#pacer.bytesSent;
  }

  /** Shows pictures at a place, replacing what it showed. */
  show(key: string, what: Show): void {
    const held = this.#hold(key);
    const before = held.shown;
    held.shown = what;
    // The same pictures come again as other objects, after a snapshot for one: they cost no byte.
    if (before !== null && sameShow(before, what)) return;
    // What was made for another box must not be drawn into this one while the new picture is made.
    if (before !== null && !sameBox(before.box, what.box)) {
      held.rows = null;
      held.drawing = "";
    }
    switch (this.#o.capabilities.method) {
      case "kitty-cells":
      case "kitty-place":
        this.#showKitty(key, held, what);
        return;
      case "iterm2":
      case "sixel":
        this.#showOver(key, held, what);
        return;
      case "blocks-24bit":
      case "blocks-256":
      case "blocks-16":
      case "ascii":
        this.#showCharacters(key, held, what);
        return;
      case "none":
        return;
    }
  }

  /** Calls back when the terminal has taken what was sent before: a turn of frames never outruns the link. */
  whenTaken(key: string, run: () => void): void {
    this.#pacer.show(`turn:${key}`, () => {
      run();
      return [""];
    });
  }

  /** Takes a place's picture away and frees it. */
  remove(key: string): void {
    const held = this.#places.get(key);
    if (held === undefined) return;
    this.#places.delete(key);
    this.#pacer.drop(key);
    this.#o.output.removeOverlay(key);
    if (held.id === 0) return;
    // In its turn: a transfer of the terminal's may be open, which nothing but its own chunks may follow.
    const { id } = held;
    this.#pacer.show(
      `free:${id}`,
      () => [this.#wrapped(kitty.deletePicture(id))],
      () => this.#o.freed(id),
    );
  }

  /** Rows of text that stand for a place: placeholders, or blanks reserved for what is drawn over them. */
  textRows(key: string, box: Box): readonly string[] {
    const { method } = this.#o.capabilities;
    switch (method) {
      case "kitty-cells": {
        const { id } = this.#hold(key);
        return Array.from({ length: box.rows }, (_, y) => kitty.placeholderRow(id, y, box.columns));
      }
      case "kitty-place":
      case "iterm2":
      case "sixel":
      case "blocks-24bit":
      case "blocks-256":
      case "blocks-16":
      case "ascii":
        // Concealed blanks: text that Ink sees change when the box moves, so that no stale pixels stay.
        return Array.from(
          { length: box.rows },
          () => `\u001b[8m${" ".repeat(box.columns)}\u001b[28m`,
        );
      case "none":
        return [];
    }
  }

  /** Sends nothing more. What the terminal holds is freed by the session, which also does it when the program crashes. */
  [Symbol.dispose](): void {
    this.#pacer[Symbol.dispose]();
    for (const key of this.#places.keys()) this.#o.output.removeOverlay(key);
    this.#places.clear();
  }

  #hold(key: string): Held {
    let held = this.#places.get(key);
    if (held === undefined) {
      const isKitty = this.#o.capabilities.method.startsWith("kitty");
      held = { id: isKitty ? this.#nextId++ : 0, sent: null, drawing: "", rows: null, shown: null };
      this.#places.set(key, held);
      if (held.id !== 0) this.#o.owns(held.id);
    }
    return held;
  }

  #showKitty(key: string, held: Held, what: Show): void {
    const { frames, box, gap_ms } = what;
    const first = frames[0];
    if (first === undefined) return;
    const cells = this.#o.capabilities.method === "kitty-cells";
    const shown = this.#o.capabilities.animates ? frames : [first];
    const now = { frames: shown.length, width: first.width, height: first.height, box };
    const make = (): string[] => {
      // Decided when it leaves: what the terminal has by then decides whether frames can be replaced in place.
      const same = held.sent !== null && sameClip(held.sent, now);
      const data = same ? replaceAll(held.id, shown) : sendAll(held.id, shown, gap_ms);
      if (cells && !same) data.push(kitty.placeVirtually(held.id, box.columns, box.rows));
      held.sent = now;
      if (!cells) data.push(this.#placeOver(key, held, what));
      return data.map((sequence) => this.#wrapped(sequence));
    };
    if (!cells) this.#overlay(key, held, what);
    this.#pacer.show(key, make);
  }

  #placeOver(key: string, held: Held, what: Show): string {
    held.drawing = kitty.placeHere(held.id, what.box.columns, what.box.rows);
    return this.#drawApart(key);
  }

  #showOver(key: string, held: Held, what: Show): void {
    const first = what.frames[0];
    if (first === undefined) return;
    this.#overlay(key, held, what);
    this.#pacer.show(key, async () => {
      const { method, cell } = this.#o.capabilities;
      const { columns, rows } = what.box;
      // 256 colours cost five times the bytes: only where nobody limits them.
      const colours = this.#o.bytesPerSecond === null ? 256 : 16;
      held.drawing =
        method === "sixel"
          ? await sixelPicture(first, columns, rows, cell, colours)
          : iterm2Picture(await palettePng(first, 256), columns, rows);
      return [this.#drawApart(key)];
    });
  }

  /**
   * Characters are drawn over blanks too: as Ink's own text every frame of every picture would stay in
   * its caches.
   */
  #showCharacters(key: string, held: Held, what: Show): void {
    const first = what.frames[0];
    if (first === undefined) return;
    this.#overlay(key, held, what);
    this.#pacer.show(key, () => {
      held.rows = characterRows(this.#o.capabilities.method, first, what.box);
      return [this.#drawApart(key)];
    });
  }

  /** Keeps a picture drawn when later frames touch its cells. */
  #overlay(key: string, held: Held, what: Show): void {
    this.#o.output.addOverlay(key, {
      locate: what.locate,
      draw: (at) => drawingAt(held, at),
      erase: () => (held.id === 0 ? "" : kitty.hidePicture(held.id)),
    });
  }

  #drawApart(key: string): string {
    const held = this.#places.get(key);
    const place = this.#o.output.drawnApart(key);
    if (place === null || held === undefined) return "";
    return `\u001b7\u001b[${place.row + 1};${place.column + 1}H${drawingAt(held, place)}\u001b8`;
  }

  #wrapped(sequence: string): string {
    return this.#o.capabilities.tmux && sequence !== "" ? kitty.throughTmux(sequence) : sequence;
  }
}

/** What draws a held picture, the cursor being at its corner. */
const drawingAt = ({ drawing, rows }: Held, at: Place): string =>
  rows === null
    ? drawing
    : rows.map((row, y) => `\u001b[${at.row + y + 1};${at.column + 1}H${row}`).join("");

const isCharacters = (method: Method): boolean => /^(blocks|ascii)/.test(method);

const characterRows = (method: Method, picture: Picture, box: Box): readonly string[] => {
  const { columns, rows } = box;
  if (method === "ascii") return asciiRows(picture, columns, rows);
  const depth = method === "blocks-24bit" ? "24bit" : method === "blocks-256" ? "256" : "16";
  return blockRows(picture, columns, rows, depth);
};

const sendAll = (id: number, frames: readonly Picture[], gap_ms: number): string[] =>
  frames.flatMap((frame, i) => {
    const payload = kitty.rawPayload(frame);
    if (i === 0) return kitty.transmit(id, payload);
    const sequences = kitty.appendFrame(id, payload, gap_ms);
    return i === frames.length - 1 ? [...sequences, kitty.animate(id, gap_ms)] : sequences;
  });

const replaceAll = (id: number, frames: readonly Picture[]): string[] =>
  frames.flatMap((frame, i) => kitty.replaceFrame(id, i + 1, kitty.rawPayload(frame)));

const sameShow = (a: Show, b: Show): boolean =>
  a.gap_ms === b.gap_ms &&
  sameBox(a.box, b.box) &&
  a.frames.length === b.frames.length &&
  a.frames.every((frame, i) => samePicture(frame, b.frames[i]));

const sameBox = (a: Box, b: Box): boolean => a.columns === b.columns && a.rows === b.rows;

const samePicture = (a: Picture, b: Picture | undefined): boolean =>
  a === b ||
  (b !== undefined &&
    a.width === b.width &&
    a.height === b.height &&
    Buffer.compare(a.rgb, b.rgb) === 0);

type Sent = NonNullable<Held["sent"]>;
const sameClip = (a: Sent, b: Sent): boolean =>
  a.frames === b.frames &&
  a.width === b.width &&
  a.height === b.height &&
  a.box.columns === b.box.columns &&
  a.box.rows === b.box.rows;
