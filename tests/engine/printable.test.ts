import { expect, test } from "bun:test";
import { jsonLine, printable } from "../../src/engine/printable.ts";

const hostile = "\x1b[31mred \x9b2J \u202eback\u2066 \u{1f642}";

test("nothing that a terminal acts on is left in a printable text", () => {
  expect(printable(hostile)).toBe("\\x1b[31mred \\x9b2J \\u202eback\\u2066 \u{1f642}");
});

test("a line of JSON is safe on a terminal and reads back the same", () => {
  const line = jsonLine({ prompt: hostile });

  expect(line).toBe('{"prompt":"\\u001b[31mred \\u009b2J \\u202eback\\u2066 \u{1f642}"}');
  expect(JSON.parse(line)).toEqual({ prompt: hostile });
});
