import { expect, test } from "bun:test";
import {
  answeredAll,
  capabilitiesFrom,
  type Surroundings,
} from "../../../src/tui/pictures/capabilities.ts";

const around: Surroundings = {
  term: "xterm-256color",
  colorterm: "",
  insideTmux: false,
  noColor: false,
  size: { columns: 80, rows: 24 },
};
const ok = "\u001b_Gi=31;OK\u001b\\";
const named = (name: string): string => `\u001bP>|${name}\u001b\\`;

test("kitty from 0.28 on shows pictures in cells and runs loops", () => {
  const answers = `${named("kitty(0.41.1)")}${ok}\u001b[6;19;10t\u001b[?2026;2$y\u001b[?62;c`;

  expect(capabilitiesFrom(answers, "", around)).toEqual({
    method: "kitty-cells",
    cell: { width: 10, height: 19 },
    animates: true,
    synchronised: true,
    tmux: false,
    name: "kitty(0.41.1)",
  });
});

test("an older kitty gets placements", () => {
  const answers = `${named("kitty(0.26.5)")}${ok}\u001b[?62;c`;

  expect(capabilitiesFrom(answers, "", around)).toMatchObject({
    method: "kitty-place",
    animates: true,
  });
});

test("Konsole answers kitty's question but runs no loops", () => {
  const answers = `${named("Konsole 25.04")}${ok}\u001b[?62;1;4c`;

  expect(capabilitiesFrom(answers, "", around)).toMatchObject({
    method: "kitty-place",
    animates: false,
  });
});

test("sixel is what the device attributes say", () => {
  const answers = `${named("XTerm(379)")}\u001b[?63;1;2;4;6;9;15;16;22;28c`;

  expect(capabilitiesFrom(answers, "", around).method).toBe("sixel");
});

test("inside tmux its own claim of sixel is not believed", () => {
  const answers = `${named("tmux 3.5a")}\u001b[?1;2;4c`;

  expect(capabilitiesFrom(answers, "", { ...around, insideTmux: true }).method).toBe("blocks-256");
});

test("kitty around tmux is used through it", () => {
  const answers = `${named("tmux 3.3a")}\u001b[?1;2c`;
  const outer = `${named("kitty(0.41.1)")}${ok}\u001b[?62;c`;

  expect(capabilitiesFrom(answers, outer, { ...around, insideTmux: true })).toMatchObject({
    method: "kitty-cells",
    tmux: true,
  });
});

test("a terminal that says it keeps 24-bit colours gets them", () => {
  const answers = "\u001bP1$r0;48:2::1:2:3m\u001b\\\u001b[?1;2c";

  expect(capabilitiesFrom(answers, "", around).method).toBe("blocks-24bit");
});

test.each([
  ["dumb", "none"],
  ["linux", "blocks-16"],
  ["xterm", "blocks-256"],
] as const)("a mute terminal of kind %p gets %p", (term, method) => {
  expect(capabilitiesFrom("", "", { ...around, term }).method).toBe(method);
});

test("NO_COLOR leaves characters where nothing draws pixels", () => {
  expect(capabilitiesFrom("\u001b[?1;2c", "", { ...around, noColor: true }).method).toBe("ascii");
});

test("a cell size follows from the text area when only that is told", () => {
  const answers = "\u001b[4;480;800t\u001b[?1;2c";

  expect(capabilitiesFrom(answers, "", around).cell).toEqual({ width: 10, height: 20 });
});

test("absurd sizes are not believed", () => {
  expect(capabilitiesFrom("\u001b[6;999;999t", "", around).cell).toEqual({ width: 8, height: 16 });
});

test("a name cannot carry control characters on", () => {
  const answers = `\u001bP>|evil\u0007\u009b31m\u001b\\\u001b[?1c`;

  expect(capabilitiesFrom(answers, "", around).name).toBe("evil31m");
});

test("the wait ends with the device attributes", () => {
  expect(answeredAll(`${ok}\u001b[6;19;10t`)).toBe(false);
  expect(answeredAll("\u001b[?62;c")).toBe(true);
});
