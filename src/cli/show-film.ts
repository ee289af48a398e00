// A small film on the terminal, after a job: played once in place, drawn with characters, its pixels
// sharp. How it is drawn is chosen here only, so that finer graphics have one place to come to.

import type { Picture } from "../engine/picture.ts";
import { asciiRows, blockRows } from "../tui/pictures/blocks.ts";
import { capabilitiesFrom } from "../tui/pictures/capabilities.ts";
import { surroundings } from "../tui/pictures/detect.ts";
import type { Terminal } from "./live-block.ts";

export type Screen = Terminal & Readonly<{ rows?: number | undefined }>;

/** What can be drawn without asking the terminal anything. */
export type Draw = (picture: Picture, columns: number, rows: number) => readonly string[];

export const drawFor = (
  env: Readonly<Record<string, string | undefined>>,
  size: Readonly<{ columns: number; rows: number }>,
): Draw | null => {
  const { method } = capabilitiesFrom("", "", surroundings(env, size));
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

/** Cells for a picture: whole multiples of its pixels where they fit, two pixels a cell in height. */
export const cellsFor = (
  picture: Readonly<{ width: number; height: number }>,
  room: Readonly<{ columns: number; rows: number }>,
): Readonly<{ columns: number; rows: number }> => {
  const most = Math.min(room.columns / picture.width, (2 * room.rows) / picture.height);
  const times = most >= 1 ? Math.floor(most) : most;
  return {
    columns: Math.max(1, Math.floor(picture.width * times)),
    rows: Math.max(1, Math.floor((picture.height * times) / 2)),
  };
};

export type Film = Readonly<{ frames: readonly Picture[]; frame_ms: number }>;

/** Plays the film once and leaves its last frame. Frames that come too late are dropped, never queued. */
export const showFilm = async (
  { frames, frame_ms }: Film,
  screen: Screen,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> => {
  const room = { columns: (screen.columns ?? 80) - 1, rows: (screen.rows ?? 24) - 4 };
  const draw = drawFor(env, room);
  const [first] = frames;
  if (draw === null || first === undefined) return;
  const { columns, rows } = cellsFor(first, room);
  const started = performance.now();
  let drawn = false;
  for (let i = 0; i < frames.length; ) {
    const frame = frames[i];
    if (frame === undefined) break;
    const text = draw(frame, columns, rows).join("\n");
    await written(screen, `${drawn ? `\x1b[${rows}A\r` : ""}\x1b[?2026h${text}\n\x1b[?2026l`);
    drawn = true;
    const due = Math.floor((performance.now() - started) / frame_ms);
    const next = Math.max(i + 1, due);
    i = i < frames.length - 1 ? Math.min(next, frames.length - 1) : frames.length;
    if (i < frames.length) await Bun.sleep(Math.max(0, started + i * frame_ms - performance.now()));
  }
};

/** Until the terminal has taken the text: over a slow link this is what sets the pace. */
const written = (screen: Screen, text: string): Promise<void> =>
  new Promise((resolve) => {
    const write = screen.write as (text: string, done: () => void) => unknown;
    write.call(screen, text, resolve);
  });
