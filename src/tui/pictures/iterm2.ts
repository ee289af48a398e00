// iTerm2's inline pictures (also mlterm, WezTerm): one OSC with a whole file. The terminal scales. Used where the terminal's
// name says so: no query tells.

/** Shows an encoded picture (PNG) in columns × rows cells at the cursor, without moving it. */
export const iterm2Picture = (png: Uint8Array, columns: number, rows: number): string => {
  const base64 = Buffer.from(png).toString("base64");
  const keys = [
    "inline=1",
    `size=${png.length}`,
    `width=${columns}`,
    `height=${rows}`,
    "preserveAspectRatio=0",
    "doNotMoveCursor=1",
  ].join(";");
  return `\u001b]1337;File=${keys}:${base64}\u0007`;
};
