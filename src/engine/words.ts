// Amounts in words for people: spans of time, bytes, counts. One way everywhere.

/** "8 ms", "0.80 s", "9.6 s", "50 s", "4 min 10 s", "1 h 05 min". */
export const span = (ms: number): string => {
  const s = ms / 1000;
  if (s < 0.0995) return `${Math.round(ms)} ms`;
  if (s < 1) return `${s.toFixed(2)} s`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  const all = Math.round(s / 60);
  return `${Math.floor(all / 60)} h ${String(all % 60).padStart(2, "0")} min`;
};

/** "512 B", "3.6 kB", "25.7 GB": powers of ten, as disks and downloads are sold. */
export const size = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
  return `${amount.toFixed(digits)} ${units[unit] ?? ""}`;
};

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** "4.83 s": the exact length of a video. */
export const length = (seconds: number): string => `${seconds.toFixed(2)} s`;
