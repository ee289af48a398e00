// Pictures made of characters, for every terminal that draws nothing else: half blocks (two pixels a cell) in 24-bit, 256 or
// 16 colours, and brightness as ASCII where there is no colour. One string a row, so that Ink lays them out as text.

import { type Picture, scale } from "./picture.ts";

export type Depth = "24bit" | "256" | "16";

/** Half blocks: rows strings of columns cells. */
export const blockRows = (
  picture: Picture,
  columns: number,
  rows: number,
  depth: Depth,
): string[] => {
  const { rgb } = scale(picture, columns, rows * 2);
  const pixel = (x: number, y: number): Rgb => {
    const at = (y * columns + x) * 3;
    return [rgb[at] ?? 0, rgb[at + 1] ?? 0, rgb[at + 2] ?? 0];
  };
  return Array.from({ length: rows }, (_, row) => {
    let line = "";
    let [before, behind] = ["", ""];
    for (let x = 0; x < columns; x++) {
      const upper = colour(pixel(x, row * 2), depth, false);
      const lower = colour(pixel(x, row * 2 + 1), depth, true);
      const changes = [upper !== before ? upper : "", lower !== behind ? lower : ""];
      const change = changes.filter((c) => c !== "").join(";");
      line += change === "" ? "▀" : `\u001b[${change}m▀`;
      [before, behind] = [upper, lower];
    }
    return `${line}\u001b[39;49m`;
  });
};

const ramp = " .:-=+*#%@";

/** Brightness as characters: rows strings of columns cells, no escape sequences at all. */
export const asciiRows = (picture: Picture, columns: number, rows: number): string[] => {
  const { rgb } = scale(picture, columns, rows);
  return Array.from({ length: rows }, (_, y) => {
    let line = "";
    for (let x = 0; x < columns; x++) {
      const at = (y * columns + x) * 3;
      const luma =
        0.2126 * (rgb[at] ?? 0) + 0.7152 * (rgb[at + 1] ?? 0) + 0.0722 * (rgb[at + 2] ?? 0);
      line += ramp[Math.min(ramp.length - 1, Math.floor((luma / 256) * ramp.length))] ?? " ";
    }
    return line;
  });
};

type Rgb = readonly [number, number, number];

const colour = (rgb: Rgb, depth: Depth, background: boolean): string => {
  switch (depth) {
    case "24bit":
      return `${background ? 48 : 38};2;${rgb.join(";")}`;
    case "256":
      return `${background ? 48 : 38};5;${nearest256(rgb)}`;
    case "16": {
      const index = nearest16(rgb);
      return String((index < 8 ? 30 + index : 82 + index) + (background ? 10 : 0));
    }
  }
};

const steps = [0, 95, 135, 175, 215, 255] as const;

/** The nearer of the 6×6×6 cube's colour and the grey ramp's. */
export const nearest256 = (rgb: Rgb): number => {
  const [r, g, b] = rgb.map(nearestStep) as [number, number, number];
  const cube: Rgb = [steps[r] ?? 0, steps[g] ?? 0, steps[b] ?? 0];
  const mean = (rgb[0] + rgb[1] + rgb[2]) / 3;
  const grey = Math.max(0, Math.min(23, Math.round((mean - 8) / 10)));
  const level = 8 + 10 * grey;
  return distance(rgb, cube) <= distance(rgb, [level, level, level])
    ? 16 + 36 * r + 6 * g + b
    : 232 + grey;
};

const nearestStep = (value: number): number => {
  let best = 0;
  for (const [i, step] of steps.entries()) {
    if (Math.abs(step - value) < Math.abs((steps[best] ?? 0) - value)) best = i;
  }
  return best;
};

// xterm's defaults; a user's own palette cannot be known without asking for each.
const sixteen: readonly Rgb[] = [
  [0, 0, 0],
  [205, 0, 0],
  [0, 205, 0],
  [205, 205, 0],
  [0, 0, 238],
  [205, 0, 205],
  [0, 205, 205],
  [229, 229, 229],
  [127, 127, 127],
  [255, 0, 0],
  [0, 255, 0],
  [255, 255, 0],
  [92, 92, 255],
  [255, 0, 255],
  [0, 255, 255],
  [255, 255, 255],
];

const nearest16 = (rgb: Rgb): number => {
  let best = 0;
  for (const [i, c] of sixteen.entries()) {
    if (distance(rgb, c) < distance(rgb, sixteen[best] ?? c)) best = i;
  }
  return best;
};

const distance = (a: Rgb, b: Rgb): number =>
  (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
