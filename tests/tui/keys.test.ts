// The key table against itself: every binding can be reached, none is hidden by another of its scope, help shows them all.

import { expect, test } from "bun:test";
import type { Key } from "ink";
import { footerOf } from "../../src/tui/app.tsx";
import { type Binding, bindings, bindingsOf, commandOf, scopesOf } from "../../src/tui/keys.ts";

type Typed = Readonly<{ name: string; input: string; key: Key }>;

const typed = (name: string, input: string, keys: Partial<Key> = {}): Typed => ({
  name,
  input,
  key: keys as Key,
});

const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789? "];
const named = [
  ["upArrow", "downArrow", "leftArrow", "rightArrow", "home", "end", "pageUp", "pageDown"],
  ["return", "escape", "tab", "backspace", "delete"],
].flat() as (keyof Key)[];

/** Every key that could be bound. */
const everyKey: readonly Typed[] = [
  ...letters.map((one) => typed(one, one)),
  ...letters.map((one) => typed(`Alt-${one}`, one, { meta: true })),
  ...letters
    .filter((one) => /[a-z]/.test(one))
    .map((one) => typed(`Ctrl-${one}`, one, { ctrl: true })),
  ...named.map((one) => typed(one, "", { [one]: true })),
  typed("Shift-Tab", "", { tab: true, shift: true }),
  typed("Alt-Enter", "", { return: true, meta: true }),
];

const takes = (binding: Binding, one: Typed): boolean => binding.matches(one.input, one.key);

test("no key means two things in one scope", () => {
  for (const one of everyKey) {
    for (const scope of new Set(bindings.map((binding) => binding.scope))) {
      const found = bindings.filter((binding) => binding.scope === scope && takes(binding, one));

      expect({ key: one.name, scope, commands: found.map((b) => b.command).slice(1) }).toEqual({
        key: one.name,
        scope,
        commands: [],
      });
    }
  }
});

test("every binding is reached by some key", () => {
  const unreachable = bindings.filter((binding) => !everyKey.some((one) => takes(binding, one)));

  expect(unreachable.map((binding) => binding.shown)).toEqual([]);
});

const connection = { state: "connected" } as const;
const plain = { compose: { over: null }, dialog: null, connection } as const;
const places = [
  { ...plain, screen: "compose" },
  { ...plain, screen: "compose", compose: { over: { kind: "quick" } } },
  { ...plain, screen: "compose", compose: { over: { kind: "browse" } } },
  { ...plain, screen: "run" },
  { ...plain, screen: "run", dialog: { kind: "cancelJob", job: "x" } },
  { ...plain, screen: "run", dialog: { kind: "help", from: 0 } },
  { ...plain, screen: "jobs" },
  { ...plain, screen: "models" },
  { ...plain, screen: "doctor" },
  { ...plain, screen: "jobs", connection: { state: "lost" } },
] as const;

test("help lists every command that keys give on its screen", () => {
  for (const place of places) {
    const scopes = scopesOf(place);
    const reachable = new Set(
      everyKey.map((one) => commandOf(scopes, one.input, one.key)).filter((c) => c !== null),
    );

    expect(new Set(bindingsOf(scopes).map((binding) => binding.command))).toEqual(reachable);
  }
});

test("every binding counts on some screen", () => {
  const counted = new Set(places.flatMap((place) => scopesOf(place)));

  expect([...new Set(bindings.map((b) => b.scope))].filter((s) => !counted.has(s))).toEqual([]);
});

test("Ctrl-C leaves from everywhere, and letters are text in the form", () => {
  for (const place of places) {
    expect(commandOf(scopesOf(place), "c", { ctrl: true } as Key)).toBe("quit");
  }
  for (const one of letters) {
    expect(commandOf(scopesOf(places[0]), one, {} as Key)).toBeNull();
  }
});

test("the footer shows whole hints only and always how to get help and leave", () => {
  for (const place of places) {
    for (const room of [58, 78, 198]) {
      const footer = footerOf(scopesOf(place), room);

      expect(footer.length).toBeLessThanOrEqual(room);
      expect(footer).toContain("Ctrl-C leave");
      expect(footer).toMatch(/(F1|\?) help/);
    }
  }
});
