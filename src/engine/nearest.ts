// What somebody probably meant: the nearest known word to a mistyped one. Verbs, flags, presets.

/** The known word nearest to `word`, or undefined when none is near enough to be worth saying. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  const asked = word.toLowerCase().slice(0, 64);
  let best: string | undefined;
  let best_distance = Math.max(1, Math.floor(asked.length / 3)) + 1;
  for (const candidate of known) {
    const name = candidate.toLowerCase();
    const starts = asked.length >= 2 && name.startsWith(asked);
    const distance = starts ? 0.5 : editDistance(asked, name);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
};

/** " Did you mean X?" or nothing, to append to a sentence. */
export const didYouMean = (word: string, known: Iterable<string>, prefix = ""): string => {
  const found = nearest(word, known);
  return found === undefined ? "" : ` Did you mean ${prefix}${found}?`;
};

/** Insertions, deletions, substitutions and swaps of neighbours, each counting one. */
const editDistance = (a: string, b: string): number => {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let d = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) d = Math.min(d, at(before, j - 2) + 1);
      row.push(d);
    }
    before = previous;
    previous = row;
  }
  return at(previous, b.length);
};

const at = (row: readonly number[], index: number): number => row[index] ?? 0;
