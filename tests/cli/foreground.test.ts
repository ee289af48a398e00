// A job in the foreground: what reaches which stream, and what signals do to it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "framepack-foreground-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const start = (...args: readonly string[]) =>
  Bun.spawn([process.execPath, `${import.meta.dir}/scripted-job.ts`, ...args], {
    env: { ...process.env, XDG_STATE_HOME: home },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

const ended = async (child: ReturnType<typeof start>) => {
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return { out, err, code: child.exitCode, signal: child.signalCode };
};

test("stdout gets the path of the video and nothing else; people read stderr", async () => {
  const { out, err, code } = await ended(start("ok"));

  expect(code).toBe(0);
  expect(out).toBe("/film.mp4\n");
  expect(err.split("\n")).toEqual([
    "framepack 0.0.0 on two cores (cpu)",
    "Note: an \\x1b[31mescape",
    "/film.partial.mp4 plays now: 33 frames, 1 B",
    "Finished in 1 min 05 s: /film.mp4, 145 frames = 4.83 s",
    "",
  ]);
});

test("--quiet leaves the path alone", async () => {
  expect(await ended(start("ok", "--quiet"))).toMatchObject({
    out: "/film.mp4\n",
    err: "",
    code: 0,
  });
});

test("--json is one object a line, the envelope last", async () => {
  const { out, err } = await ended(start("ok", "--json"));

  const lines = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map((line) => line.type)).toEqual([
    "started",
    "warning",
    "fileWritten",
    "finished",
    "envelope",
  ]);
  expect(lines.at(-1)).toMatchObject({ ok: true, code: 0, path: "/film.mp4", error: null });
  expect(err).toBe("");
});

test("a failure is one sentence with what to do and what is kept, and its code", async () => {
  const { out, err, code } = await ended(start("fails"));

  expect(code).toBe(8);
  expect(out).toBe("");
  expect(err).toEndWith(
    "framepack: Block 7 made NaN. Try f32. /film.partial.mp4 keeps the finished sections.\n",
  );
});

test("with --json a failure is in the envelope, with its stable id", async () => {
  const { out, code } = await ended(start("fails", "--json"));

  expect(code).toBe(8);
  expect(JSON.parse(out.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
    type: "envelope",
    ok: false,
    code: 8,
    path: null,
    kept: "/film.partial.mp4",
    error: { id: "numbers.nan", message: "Block 7 made NaN.", hint: "Try f32." },
  });
});

/** Reads the child's stderr until `word` was said. */
const said = async (child: ReturnType<typeof start>, word: string): Promise<void> => {
  const reader = child.stderr.getReader();
  let text = "";
  while (!text.includes(word)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended without saying ${word}: ${text}`);
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
};

const stops: readonly (readonly ["SIGINT" | "SIGTERM" | "SIGHUP", number])[] = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 143],
];

test.each(stops)("%s stops the job, which says what it keeps, with code %d", async (name, code) => {
  const child = start("hangs");
  await said(child, "Note: x");
  child.kill(name);
  let rest = "";
  for await (const part of child.stderr) rest += new TextDecoder().decode(part);
  await child.exited;

  expect(child.exitCode).toBe(code);
  expect(rest).toContain("Stopped; /film.partial.mp4 keeps the finished sections.\n");
});

test("a second Ctrl-C ends a job at once that computes without looking up", async () => {
  const child = start("stubborn");
  await said(child, "Note: x");
  child.kill("SIGINT");
  await said(child, "Stopping after this block");
  child.kill("SIGINT");
  await child.exited;

  // The system's own doing; a shell shows 130 for it.
  expect(child.signalCode).toBe("SIGINT");
});

test("when nobody reads the output any more the job stops", async () => {
  const child = Bun.spawn(
    [
      "sh",
      "-c",
      `"$0" "$1" hangs --json | head -n 1; exit 0`,
      process.execPath,
      `${import.meta.dir}/scripted-job.ts`,
    ],
    { env: { ...process.env, XDG_STATE_HOME: home }, stdout: "pipe", stderr: "pipe" },
  );

  const out = await new Response(child.stdout).text();

  expect(JSON.parse(out)).toMatchObject({ type: "started" });
  expect(await child.exited).toBe(0);
});
