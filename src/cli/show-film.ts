// A small film on the terminal, after a job, its pixels enlarged and sharp: kitty loops it by
// itself, other graphics get a strip of frames, and characters play it once in place.

import type { Picture } from "../engine/picture.ts";
import { asciiRows, blockRows } from "../tui/pictures/blocks.ts";
import type { Capabilities, Method } from "../tui/pictures/capabilities.ts";
import { iterm2Picture } from "../tui/pictures/iterm2.ts";
import * as kitty from "../tui/pictures/kitty.ts";
import { palettePng } from "../tui/pictures/palette.ts";
import { scale } from "../tui/pictures/picture.ts";
import { sixelPicture } from "../tui/pictures/sixel.ts";
import type { Terminal } from "./live-block.ts";

export type Screen = Terminal & Readonly<{ rows?: number | undefined }>;
export type Film = Readonly<{ frames: readonly Picture[]; frame_ms: number }>;
type Size = Readonly<{ width: number; height: number }>;
type Cells = Readonly<{ columns: number; rows: number }>;

export const showFilm = async (
  film: Film,
  screen: Screen,
  capabilities: Capabilities,
): Promise<void> => {
  const room = { columns: (screen.columns ?? 80) - 1, rows: Math.max(4, (screen.rows ?? 24) - 4) };
  const { method, cell, animates } = capabilities;
  const [first] = film.frames;
  if (first === undefined || method === "none") return;
  const draw = characters(method);
  if (draw !== null) return await play(film, screen, draw, characterCells(first, room));
  if (animates) return await loop(film, screen, capabilities, room);
  const sheet = strip(film.frames, room, cell);
  const cells = cellsOf(sheet, cell);
  await drawHere(screen, cells, await graphics(sheet, cells, capabilities));
};

// Characters: every frame over the one before.

type Draw = (picture: Picture, columns: number, rows: number) => readonly string[];

const characters = (method: Method): Draw | null => {
  switch (method) {
    case "blocks-24bit":
      return (picture, columns, rows) => blockRows(picture, columns, rows, "24bit");
    case "blocks-256":
      return (picture, columns, rows) => blockRows(picture, columns, rows, "256");
    case "blocks-16":
      return (picture, columns, rows) => blockRows(picture, columns, rows, "16");
    case "ascii":
      return asciiRows;
    default:
      return null;
  }
};

/** Whole multiples of the pixels where they fit; two pixels a cell in height. */
export const characterCells = (picture: Size, room: Cells): Cells => {
  const most = Math.min(room.columns / picture.width, (2 * room.rows) / picture.height);
  const times = most >= 1 ? Math.floor(most) : most;
  return {
    columns: Math.max(1, Math.floor(picture.width * times)),
    rows: Math.max(1, Math.floor((picture.height * times) / 2)),
  };
};

/** Plays once and leaves the last frame. Frames that come too late are dropped, never queued. */
const play = async (
  { frames, frame_ms }: Film,
  screen: Screen,
  draw: Draw,
  { columns, rows }: Cells,
): Promise<void> => {
  const started = performance.now();
  const last = frames.length - 1;
  for (let i = 0; i <= last; ) {
    const frame = frames[i];
    if (frame === undefined) return;
    const back = i === 0 ? "" : `\x1b[${rows}A\r`;
    const text = draw(frame, columns, rows).join("\n");
    await written(screen, `\x1b[?2026h${back}${text}\n\x1b[?2026l`);
    const due = Math.floor((performance.now() - started) / frame_ms);
    i = i === last ? last + 1 : Math.min(last, Math.max(i + 1, due));
    if (i <= last) await Bun.sleep(Math.max(0, started + i * frame_ms - performance.now()));
  }
};

// Pixels.

/** kitty keeps the frames and loops them for as long as the picture is on the screen. */
const loop = async (
  { frames, frame_ms }: Film,
  screen: Screen,
  capabilities: Capabilities,
  room: Cells,
): Promise<void> => {
  const step = Math.ceil(frames.length / loopFrames);
  const gap = Math.round(frame_ms * step);
  const id = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
  const key = (id & 0xffffff) | 1;
  let cells: Cells | undefined;
  for (let i = 0; i < frames.length; i += step) {
    const frame = frames[i];
    if (frame === undefined) break;
    const large = enlarged(frame, room, capabilities.cell);
    const payload = kitty.pngPayload(await palettePng(large, 256));
    const parts = i === 0 ? kitty.transmit(key, payload) : kitty.appendFrame(key, payload, gap);
    cells ??= cellsOf(large, capabilities.cell);
    await written(screen, wrapped(parts, capabilities));
  }
  if (cells === undefined) return;
  await drawHere(screen, cells, placement(key, cells, capabilities));
  await written(screen, wrapped([kitty.animate(key, gap)], capabilities));
};

/** As many as the eye needs; each costs some kilobytes. */
const loopFrames = 24;

type Drawing = Readonly<{ before: string; rows: readonly string[] | null }>;

const placement = (key: number, { columns, rows }: Cells, capabilities: Capabilities): Drawing => {
  if (capabilities.method !== "kitty-cells") {
    return { before: kitty.placeHere(key, columns, rows), rows: null };
  }
  const lines = Array.from({ length: rows }, (_, row) => kitty.placeholderRow(key, row, columns));
  return { before: wrapped([kitty.placeVirtually(key, columns, rows)], capabilities), rows: lines };
};

const graphics = async (
  picture: Picture,
  cells: Cells,
  capabilities: Capabilities,
): Promise<Drawing> => {
  const { method, cell } = capabilities;
  if (method === "sixel") {
    const text = await sixelPicture(picture, cells.columns, cells.rows, cell, 256);
    return { before: text, rows: null };
  }
  const png = await palettePng(picture, 256);
  if (method === "iterm2") {
    return { before: iterm2Picture(png, cells.columns, cells.rows), rows: null };
  }
  const key = ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 1) & 0xffffff) | 1;
  const sent = wrapped(kitty.transmit(key, kitty.pngPayload(png)), capabilities);
  const placed = placement(key, cells, capabilities);
  return { ...placed, before: sent + placed.before };
};

/** Makes room below, draws into it from its first row, and leaves the cursor under it. */
const drawHere = (screen: Screen, { rows }: Cells, drawing: Drawing): Promise<void> => {
  if (drawing.rows !== null)
    return written(screen, `${drawing.before}${drawing.rows.join("\n")}\n`);
  const room = `${"\n".repeat(rows)}\x1b[${rows}A`;
  return written(screen, `${room}\x1b7${drawing.before}\x1b8\x1b[${rows}B\r`);
};

const wrapped = (parts: readonly string[], { tmux }: Capabilities): string =>
  (tmux ? parts.map(kitty.throughTmux) : parts).join("");

/** The largest whole multiple that fits; terminals would blur what they enlarge themselves. */
const enlarged = (picture: Picture, room: Cells, cell: Size): Picture => {
  const times = Math.max(
    1,
    Math.floor(
      Math.min(
        sideMax / Math.max(picture.width, picture.height),
        (room.columns * cell.width) / picture.width,
        (room.rows * cell.height) / picture.height,
      ),
    ),
  );
  return scale(picture, picture.width * times, picture.height * times);
};

/** Pixels; larger shows nothing more and takes longer to send. */
const sideMax = 480;

/** Frames from the whole film side by side, as many as fit at three times their size or less. */
const strip = (frames: readonly Picture[], room: Cells, cell: Size): Picture => {
  const [first] = frames;
  if (first === undefined) throw new Error("a film without frames has no strip");
  const area = { width: room.columns * cell.width, height: room.rows * cell.height };
  const times = Math.max(1, Math.min(3, Math.floor(area.height / first.height)));
  const fits = Math.max(1, Math.floor(area.width / ((first.width + gapPixels) * times)));
  const count = Math.min(fits, frames.length, 6);
  const width = count * (first.width + gapPixels) - gapPixels;
  const rgb = new Uint8Array(width * first.height * 3);
  for (let k = 0; k < count; k++) {
    const index =
      count === 1 ? frames.length - 1 : Math.round((k * (frames.length - 1)) / (count - 1));
    const frame = frames[index];
    if (frame === undefined) continue;
    for (let y = 0; y < first.height; y++) {
      const row = frame.rgb.subarray(y * first.width * 3, (y + 1) * first.width * 3);
      rgb.set(row, (y * width + k * (first.width + gapPixels)) * 3);
    }
  }
  return scale({ width, height: first.height, rgb }, width * times, first.height * times);
};

const gapPixels = 2;

const cellsOf = (picture: Size, cell: Size): Cells => ({
  columns: Math.max(1, Math.ceil(picture.width / cell.width)),
  rows: Math.max(1, Math.ceil(picture.height / cell.height)),
});

/** Until the terminal has taken the text: over a slow link this is what sets the pace. */
const written = (screen: Screen, text: string): Promise<void> =>
  new Promise((resolve) => {
    const write = screen.write as (text: string, done: () => void) => unknown;
    write.call(screen, text, resolve);
  });
