// Text from outside (file names, tensor names, prompts, error details) made safe for a terminal.
// Control bytes, escape sequences and direction overrides become visible; nothing else changes.

// C0, DEL, C1, line separators, and the invisible marks that reorder what follows them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject here.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** One line, at most `chars_max` characters, without anything a terminal would act on. */
export const printable = (text: string, chars_max = 2000): string => {
  const cut = text.length > chars_max ? `${text.slice(0, chars_max)}…` : text;
  return cut.toWellFormed().replace(unsafe, visible);
};

/** `printable` in double quotes, for naming a value inside a sentence. */
export const quoted = (text: string, chars_max = 80): string => `"${printable(text, chars_max)}"`;

/**
 * One line of JSON that a terminal may show too: what JSON itself leaves raw (C1, direction marks)
 * is escaped as JSON escapes the rest, so that it reads back the same.
 */
export const jsonLine = (data: unknown): string =>
  JSON.stringify(data).replace(unsafe, (char) => `\\u${hex(char.charCodeAt(0), 4)}`);

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0");

const visible = (char: string): string => {
  if (char === "\n") return "\\n";
  if (char === "\t") return "\\t";
  const code = char.charCodeAt(0);
  return code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
};
