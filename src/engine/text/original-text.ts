// What the original program does to a prompt before the pooled encoder's tokens are looked up:
// drop control and format characters, set CJK characters apart, compose, lower-case word by word.
// It matters for texts outside plain English only, but there it changes the ids.

/** `special` tokens written out in the text stay as they are. */
export const prepareLikeOriginal = (text: string, special: readonly string[]): string => {
  const pattern = new RegExp(`(${special.map((token) => RegExp.escape(token)).join("|")})`);
  const pieces = text.split(pattern);
  return pieces.map((piece, i) => (i % 2 === 1 ? piece : words(piece).join(" "))).join("");
};

const words = (text: string): readonly string[] => {
  let clean = "";
  for (const char of text) {
    if (isDropped(char)) continue;
    if (isCjk(char.codePointAt(0) ?? 0)) clean += ` ${char} `;
    else clean += /\s/u.test(char) ? " " : char;
  }
  const found = clean.normalize("NFC").split(/\s+/u);
  // Lower-casing whole words gives a Greek sigma at a word's end its final form.
  return found.filter((word) => word !== "").map((word) => word.toLowerCase());
};

/** Control, format, private and unassigned characters, and the mark of a failed decoding. */
const isDropped = (char: string): boolean =>
  char === "\ufffd" || (/\p{C}/u.test(char) && !/[\t\n\r]/.test(char));

const cjk: readonly (readonly [number, number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b820, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

const isCjk = (code: number): boolean => cjk.some(([from, to]) => code >= from && code <= to);
