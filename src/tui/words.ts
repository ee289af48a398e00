// Numbers and times as people read them on a screen. Pure.

/** 95 s → "1:35", 4000 s → "1:06:40"; under a minute "42 s". */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
};

/** Step times need more digits when they are short. */
export const stepTime = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`;
};

/** Decimal units, as in the plan: 1 GB is 10^9 bytes. */
export const bytes = (count: number): string => {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"] as const;
  let value = count;
  for (const unit of units) {
    value /= 1000;
    if (value < 999.5 || unit === "TB")
      return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return `${count} B`;
};

/** "3 days ago", for lists. */
export const ago = (ms: number): string => {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ago`;
  return `${Math.floor(hours / 24)} days ago`;
};

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const;

/** A bar of width cells, filled to share (0 to 1) in eighths of a cell. */
export const bar = (share: number, width: number): string => {
  const filled = Math.max(0, Math.min(1, share)) * width;
  const whole = Math.floor(filled);
  const rest = eighths[Math.floor((filled - whole) * 8)] ?? "";
  return `${"█".repeat(whole)}${rest}`.padEnd(width, "░").slice(0, width);
};

/** One for all: each holds tables of its own outside the collector's sight. */
export const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Cut to a width in cells, with an ellipsis; wide characters are never halved. */
export const fit = (text: string, width: number): string => {
  if (Bun.stringWidth(text) <= width) return text;
  let out = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const w = Bun.stringWidth(segment);
    if (used + w > width - 1) break;
    out += segment;
    used += w;
  }
  return `${out}…`;
};

/** The part of a long list that is shown: at most `room` rows, the selected one among them. */
export const windowOf = (
  count: number,
  at: number,
  room: number,
): Readonly<{ from: number; to: number }> => {
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), count - room));
  return { from, to: Math.min(count, from + room) };
};

/** A text broken at words into lines of a width. */
export const wrapWords = (text: string, width: number): readonly string[] =>
  Bun.wrapAnsi(text, Math.max(1, width), { hard: true, trim: true }).split("\n");
