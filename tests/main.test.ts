// The command line as a user meets it: a process, its streams and its exit code.

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { verbs } from "../src/cli/usage.ts";

const main = `${import.meta.dir}/../src/main.ts`;

const framepack = (...args: readonly string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, ...args]);
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

test("--version prints one line of data", () => {
  const { code, out, err } = framepack("--version");

  expect(code).toBe(0);
  expect(out).toMatch(/^framepack \d+\.\d+\.\d+\n$/);
  expect(err).toBe("");
});

test("an unknown verb ends with 2, one sentence on stderr and the nearest verb", () => {
  const { code, out, err } = framepack("modles");

  expect(code).toBe(2);
  expect(out).toBe("");
  expect(err).toBe(
    'framepack: There is no verb "modles". Did you mean framepack models? ' +
      "framepack --help lists the verbs.\n",
  );
});

test("with --json a failure is also one line of JSON with a stable id", () => {
  const { code, out } = framepack("modles", "--json");

  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({ type: "failed", id: "usage.unknown-verb", code: 2 });
});

test("an escape sequence in an argument never reaches the terminal", () => {
  const { err } = framepack("\x1b]0;owned\x07");

  expect(err).not.toContain("\x1b");
  expect(err).toContain("\\x1b]0;owned\\x07");
});

test("without a verb and without a terminal the usage goes to stderr with 2", () => {
  const { code, out, err } = framepack();

  expect(code).toBe(2);
  expect(out).toBe("");
  expect(err).toContain("Usage: framepack [VERB]");
});

test("every verb of the help that has a file exports run", async () => {
  const files = new Set(readdirSync(`${import.meta.dir}/../src/cli`));
  const present = Object.keys(verbs).filter((verb) => files.has(`${verb}.ts`));

  for (const verb of present) {
    const module: { run?: unknown } = await import(`../src/cli/${verb}.ts`);
    expect(module.run, `src/cli/${verb}.ts`).toBeFunction();
  }
});

test("a failure before the job still ends --json with an envelope", () => {
  const { code, out } = framepack("run", "--secnds", "3", "--json");

  expect(code).toBe(2);
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ type }) => type)).toEqual(["failed", "envelope"]);
  expect(lines[1]).toMatchObject({ ok: false, code: 2, error: { id: "usage.unknown-flag" } });
});

test("a sentence that begins with the program's name is not given it twice", () => {
  const { err } = framepack("run", "--secnds", "3");

  expect(err).toStartWith('framepack run: there is no flag "--secnds".');
});
