// Whole jobs with the real video writer: what lies on disk while they run, after them, and after a
// kill.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demoFolder } from "../../src/engine/config/model-folder.ts";
import type { JobEvent } from "../../src/engine/events.ts";
import { Failure } from "../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../src/engine/job.ts";
import { findFfmpeg } from "../../src/engine/media/ffmpeg.ts";
import { readMetadata } from "../../src/engine/media/metadata.ts";
import { type JobResult, runJob } from "../../src/engine/run-job.ts";

setDefaultTimeout(60_000);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "framepack-files-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const recipe = (out: string, change: Partial<Recipe> = {}): Recipe => ({
  ...recipeDefaults,
  model: "demo",
  image: join(demoFolder, "examples/start_3.png"),
  prompt: "A cyan circle moves to the right.",
  steps: 4,
  seconds: 3.6,
  threads: 2,
  backend: "cpu",
  out: join(folder, out),
  ...change,
});

type Options = { job?: string; resume?: boolean; stop?: (event: JobEvent) => Failure | null };

const run = async (
  of: Recipe,
  { job = "job", resume = false, stop = () => null }: Options = {},
): Promise<{ result: JobResult; events: JobEvent[] }> => {
  const events: JobEvent[] = [];
  const controller = new AbortController();
  const emit = (event: JobEvent): void => {
    events.push(event);
    const reason = stop(event);
    if (reason !== null) controller.abort(reason);
  };
  const context = { emit, signal: controller.signal, stateDir: folder, job, resume };
  return { result: await runJob(of, context), events };
};

const inSection =
  (section: number, reason: Failure) =>
  (event: JobEvent): Failure | null =>
    event.type === "stepFinished" && event.section === section && event.step === 2 ? reason : null;

const sha256 = async (path: string): Promise<string> =>
  new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex");

test("the film grows on disk with every section and ends as a file with its recipe", async () => {
  const { result, events } = await run(recipe("grows.mp4"));

  expect(result).toEqual({ code: 0, path: join(folder, "grows.mp4") });
  const written = events.filter((event) => event.type === "fileWritten");
  expect(written.map(({ kind, frames }) => [kind, frames])).toEqual([
    ["partial", 33],
    ["partial", 69],
    ["partial", 109],
    ["video", 109],
  ]);
  const last = events.at(-1);
  expect(last?.type === "finished" && last.sha256).toBe(await sha256(join(folder, "grows.mp4")));
  const metadata = await readMetadata((await findFfmpeg()).path, join(folder, "grows.mp4"));
  expect(JSON.parse(metadata.framepack ?? "")).toMatchObject({ seed: 31337, steps: 4, v: 1 });
  expect(existsSync(join(folder, "jobs/job"))).toBe(false);
});

test("the same job twice gives two files with the same bytes", async () => {
  const first = await run(recipe("twice/"));
  const second = await run(recipe("twice/"));

  expect(second.result.path).not.toBe(first.result.path);
  expect(await sha256(second.result.path ?? "")).toBe(await sha256(first.result.path ?? ""));
});

test("a job that was stopped and resumed gives the same file as one that was not", async () => {
  await run(recipe("whole.mp4"));
  const later = new Failure("checkpointed.asked", "The job was stopped to go on later.");
  const change = { out: join(folder, "resumed.mp4") };
  const stopped = await run(recipe("", change), { job: "r", stop: inSection(1, later) });
  expect(stopped.result).toEqual({ code: 75, path: join(folder, "resumed.partial.mp4") });

  const { result } = await run(recipe("", change), { job: "r", resume: true });

  expect(result.code).toBe(0);
  const { path } = result;
  // The two recipes differ in where the file is, and in nothing else.
  const frames = async (file: string): Promise<string> => {
    const { path: ffmpeg } = await findFfmpeg();
    const child = Bun.spawn([ffmpeg, "-v", "error", "-i", file, "-f", "framemd5", "-"], {
      stdout: "pipe",
    });
    return await new Response(child.stdout).text();
  };
  expect(await frames(path ?? "")).toBe(await frames(join(folder, "whole.mp4")));
});

test("a cancelled job leaves one film of what is finished, and nothing else", async () => {
  const asked = new Failure("interrupted.cancelled", "The job was cancelled.");
  const out = join(folder, "cancelled/film.mp4");

  const { result } = await run(recipe("", { out }), { job: "c", stop: inSection(1, asked) });

  expect(result).toEqual({ code: 130, path: out });
  expect(readdirSync(join(folder, "cancelled"))).toEqual(["film.mp4"]);
  expect(existsSync(join(folder, "jobs/c"))).toBe(false);
});

/** Runs a job in a process of its own that is killed without warning. */
const runAndKill = async (of: Recipe, job: string, when: string): Promise<void> => {
  const module = join(import.meta.dir, "../../src/engine/run-job.ts");
  const script = `
    const { runJob } = await import(${JSON.stringify(module)});
    await runJob(JSON.parse(process.argv[1]), {
      emit: (event) => ${when} && process.kill(process.pid, "SIGKILL"),
      signal: new AbortController().signal, stateDir: process.argv[2], job: ${JSON.stringify(job)},
    });`;
  const child = Bun.spawn([process.execPath, "-e", script, JSON.stringify(of), folder]);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
};

test("a job killed before its first checkpoint begins again under the same name", async () => {
  const out = join(folder, "killed/film.mp4");
  await runAndKill(recipe("", { out }), "k", 'event.type === "stepFinished"');
  expect(readdirSync(join(folder, "killed"))).toEqual(["film.partial.mp4"]);

  const { result } = await run(recipe("", { out }), { job: "k", resume: true });

  expect(result).toEqual({ code: 0, path: out });
  expect(readdirSync(join(folder, "killed"))).toEqual(["film.mp4"]);
});

test("a job killed in its last section goes on after the one before", async () => {
  const out = join(folder, "killed-late/film.mp4");
  // By then the section before has its checkpoint; the last one's film is being written.
  const when = 'event.type === "sectionFinished" && event.section === 2';
  await runAndKill(recipe("", { out }), "l", when);

  const { result, events } = await run(recipe("", { out }), { job: "l", resume: true });

  expect(result).toEqual({ code: 0, path: out });
  const sections = events.filter((event) => event.type === "sectionFinished");
  expect(sections.map(({ section, framesDone }) => [section, framesDone])).toEqual([[2, 109]]);
});

test("a resumed job that is cancelled at once still keeps what was finished before", async () => {
  const later = new Failure("checkpointed.asked", "The job was stopped to go on later.");
  const asked = new Failure("interrupted.cancelled", "The job was cancelled.");
  const out = join(folder, "twice-stopped/film.mp4");
  await run(recipe("", { out }), { job: "t", stop: inSection(1, later) });

  const { result, events } = await run(recipe("", { out }), {
    ...{ job: "t", resume: true },
    stop: (event) => (event.type === "phase" && event.name === "vision" ? asked : null),
  });

  expect(result).toEqual({ code: 130, path: out });
  expect(events.at(-1)).toMatchObject({ type: "cancelled", kept: out });
  expect(readdirSync(join(folder, "twice-stopped"))).toEqual(["film.mp4"]);
});

test("a cancelled job that is resumed begins again beside what it left", async () => {
  const asked = new Failure("interrupted.cancelled", "The job was cancelled.");
  const out = join(folder, "again/film.mp4");
  await run(recipe("", { out }), { job: "a", stop: inSection(1, asked) });

  const { result, events } = await run(recipe("", { out }), { job: "a", resume: true });

  expect(result).toEqual({ code: 0, path: join(folder, "again/film-2.mp4") });
  expect(readdirSync(join(folder, "again")).sort()).toEqual(["film-2.mp4", "film.mp4"]);
  const told = events.find((event) => event.type === "warning" && event.id === "resume");
  expect(told).toMatchObject({ text: expect.stringContaining("begins again") });
});
