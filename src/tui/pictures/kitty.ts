// The kitty graphics protocol as strings: send, animate, place, delete. Pure. Two rules found by trial: every chunk repeats
// its keys (an edit's chunks without r= append frames), and q=2 is on every command or answers land among the keys.

import { deflateSync } from "node:zlib";
import type { Picture } from "./picture.ts";

const chunkChars = 4096;

/** Bytes of a picture in one of the protocol's formats, ready to be sent. */
export type KittyPayload = Readonly<{
  /** f=24 with o=z, or f=100. */
  keys: string;
  base64: string;
}>;

export const rawPayload = (picture: Picture): KittyPayload => ({
  keys: `f=24,s=${picture.width},v=${picture.height},o=z`,
  base64: deflateSync(picture.rgb, { level: 6 }).toString("base64"),
});

/** A PNG of any kind; a palette PNG is less than half of the raw bytes. */
export const pngPayload = (png: Uint8Array): KittyPayload => ({
  keys: "f=100",
  base64: Buffer.from(png).toString("base64"),
});

const graphics = (keys: string, base64 = ""): string => `\u001b_G${keys};${base64}\u001b\\`;

const chunked = (first: string, repeated: string, payload: KittyPayload): string[] => {
  const { base64 } = payload;
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < base64.length; at += chunkChars) {
    const more = at + chunkChars < base64.length ? 1 : 0;
    const keys = at === 0 ? `${first},${payload.keys}` : repeated;
    parts.push(graphics(`${keys},m=${more}`, base64.slice(at, at + chunkChars)));
  }
  return parts;
};

/** Whether a sequence is a chunk that more chunks of its payload must follow. */
export const isOpen = (sequence: string): boolean => /\u001b_G[^;]*,m=1;/.test(sequence);

/** Sends a picture under an id (24 bits) without showing it; one string a chunk. */
export const transmit = (id: number, payload: KittyPayload): string[] =>
  chunked(`a=t,q=2,i=${id}`, `q=2,i=${id}`, payload);

/** Appends a frame to a picture sent before; gap in milliseconds. */
export const appendFrame = (id: number, payload: KittyPayload, gap_ms: number): string[] =>
  chunked(`a=f,q=2,i=${id},z=${gap_ms}`, `a=f,q=2,i=${id}`, payload);

/** Replaces the pixels of a frame (1 is the first) in place: placement and loop go on. */
export const replaceFrame = (id: number, frame: number, payload: KittyPayload): string[] =>
  chunked(`a=f,q=2,i=${id},r=${frame},X=1`, `a=f,q=2,i=${id},r=${frame}`, payload);

/** Gap of the first frame, then: run the loop for ever. */
export const animate = (id: number, gap_ms: number): string =>
  graphics(`a=a,q=2,i=${id},r=1,z=${gap_ms}`) + graphics(`a=a,q=2,i=${id},s=3,v=1`);

/** A virtual placement of columns × rows cells, shown wherever its placeholder cells are printed. */
export const placeVirtually = (id: number, columns: number, rows: number): string =>
  graphics(`a=p,U=1,q=2,i=${id},c=${columns},r=${rows}`);

/** A placement at the cursor, without moving it; the same again moves it. */
export const placeHere = (id: number, columns: number, rows: number): string =>
  graphics(`a=p,q=2,i=${id},p=1,c=${columns},r=${rows},C=1`);

/** Takes away a picture's placements and frees its data. */
export const deletePicture = (id: number): string => graphics(`a=d,q=2,d=I,i=${id}`);

/** Takes away a picture's placements, keeping the data for the next place. */
export const hidePicture = (id: number): string => graphics(`a=d,q=2,d=i,i=${id}`);

// Row and column numbers are combining marks of class 230, in the order the protocol lists them.
const diacritics = [
  0x305, 0x30d, 0x30e, 0x310, 0x312, 0x33d, 0x33e, 0x33f, 0x346, 0x34a, 0x34b, 0x34c, 0x350, 0x351,
  0x352, 0x357, 0x35b, 0x363, 0x364, 0x365, 0x366, 0x367, 0x368, 0x369, 0x36a, 0x36b, 0x36c, 0x36d,
  0x36e, 0x36f, 0x483, 0x484, 0x485, 0x486, 0x487, 0x592, 0x593, 0x594, 0x595, 0x597, 0x598, 0x599,
  0x59c, 0x59d, 0x59e, 0x59f, 0x5a0, 0x5a1, 0x5a8, 0x5a9, 0x5ab, 0x5ac, 0x5af, 0x5c4, 0x610, 0x611,
  0x612, 0x613, 0x614, 0x615, 0x616, 0x617, 0x657, 0x658, 0x659, 0x65a, 0x65b, 0x65d, 0x65e, 0x6d6,
  0x6d7, 0x6d8, 0x6d9, 0x6da, 0x6db, 0x6dc, 0x6df, 0x6e0, 0x6e1, 0x6e2, 0x6e4, 0x6e7, 0x6e8, 0x6eb,
  0x6ec, 0x730, 0x732, 0x733, 0x735, 0x736, 0x73a, 0x73d, 0x73f, 0x740, 0x741, 0x743, 0x745, 0x747,
  0x749, 0x74a, 0x7eb, 0x7ec, 0x7ed, 0x7ee, 0x7ef, 0x7f0, 0x7f1, 0x7f3, 0x816, 0x817, 0x818, 0x819,
  0x81b, 0x81c, 0x81d, 0x81e, 0x81f, 0x820, 0x821, 0x822, 0x823, 0x825, 0x826, 0x827, 0x829, 0x82a,
  0x82b, 0x82c, 0x82d, 0x951, 0x953, 0x954,
] as const;

/** Most rows or columns that placeholder cells can number here. */
export const placeholderCellsMax = diacritics.length;

/** The placeholder text of one row of cells; its colour says which picture. */
export const placeholderRow = (id: number, row: number, columns: number): string => {
  const mark = (n: number): string => String.fromCodePoint(diacritics[n] ?? 0x305);
  const cells = Array.from(
    { length: columns },
    (_, column) => `\u{10EEEE}${mark(row)}${mark(column)}`,
  ).join("");
  const colour = `${(id >> 16) & 255};${(id >> 8) & 255};${id & 255}`;
  return `\u001b[38;2;${colour}m${cells}\u001b[39m`;
};

/** For a program inside tmux (allow-passthrough on): hands one sequence to the terminal outside. */
export const throughTmux = (sequence: string): string =>
  `\u001bPtmux;${sequence.replaceAll("\u001b", "\u001b\u001b")}\u001b\\`;
