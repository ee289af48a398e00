// The demo as a user runs it: a process, its streams, its files. Needs the built library.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMetadata } from "../../src/engine/media/metadata.ts";
import { decode, fakeFfmpeg, ffmpeg, frameTable } from "../engine/media/film.ts";

setDefaultTimeout(120_000);

const main = `${import.meta.dir}/../../src/main.ts`;
let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "framepack-demo-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

type Env = Readonly<Record<string, string>>;

const start = (args: readonly string[], env: Env = {}) =>
  Bun.spawn([process.execPath, main, ...args], {
    cwd: home,
    env: { ...process.env, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

const framepack = async (args: readonly string[], env: Env = {}) => {
  const child = start(args, env);
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
};

const linesOf = (out: string) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("the demo makes a video of the length it said, with its recipe inside", async () => {
  const path = join(home, "a.mp4");
  const { out, code } = await framepack(["demo", "--here", "--json", "--out", path]);

  const lines = linesOf(out);
  const plan = lines.find((line) => line.type === "planned").plan;
  expect(code).toBe(0);
  expect(plan).toMatchObject({ sections: 2, frames: 73 });
  expect(lines.at(-1)).toMatchObject({ type: "envelope", ok: true, path });
  expect((await frameTable(path)).times).toEqual(Array.from({ length: 73 }, (_, i) => i));
  const recipe = JSON.parse((await readMetadata(ffmpeg, path)).framepack ?? "");
  expect(recipe).toMatchObject({ model: "demo", seed: 31337, steps: 12, preset: "demo" });
  expect(recipe.prompt).toBe("A yellow square bounces up and down.");
});

test("the yellow square moves up and comes down again", async () => {
  const path = join(home, "square.mp4");
  await framepack(["demo", "--here", "--quiet", "--out", path]);

  const film = await decode(path);

  const heights = Array.from({ length: 73 }, (_, t) => yellowRow(film.subarray(t * 48 * 48 * 3)));
  const top = Math.min(...heights);
  // One bounce takes 72 frames in the model's world: up to the middle of the film, then down.
  expect((heights[0] ?? 0) - top).toBeGreaterThan(10);
  expect((heights[72] ?? 0) - top).toBeGreaterThan(10);
  expect(heights.indexOf(top)).toBeGreaterThan(20);
  expect(heights.indexOf(top)).toBeLessThan(53);
});

/** The mean row of what is red and green but not blue. */
const yellowRow = (frame: Uint8Array): number => {
  let [sum, weight] = [0, 0];
  for (let i = 0; i < 48 * 48; i++) {
    const [r, g, b] = [frame[i * 3] ?? 0, frame[i * 3 + 1] ?? 0, frame[i * 3 + 2] ?? 0];
    const yellow = Math.max(0, Math.min(r, g) - b - 60);
    sum += yellow * Math.floor(i / 48);
    weight += yellow;
  }
  return sum / weight;
};

test("the same job gives the same file on one thread and on two", async () => {
  const sums = [];
  for (const threads of ["1", "2"]) {
    const path = join(home, `threads-${threads}.mp4`);
    await framepack(["demo", "--here", "--quiet", "--threads", threads, "--out", path]);
    sums.push(Bun.hash(await Bun.file(path).bytes()));
  }

  expect(sums[0]).toBe(sums[1] ?? 0n);
});

test("--frames writes every frame by its place in the film", async () => {
  const folder = join(home, "png");
  const out = join(home, "f.mp4");
  await framepack(["demo", "--here", "--quiet", "--out", out, "--frames", folder]);

  const names = readdirSync(folder).sort();
  expect(names).toHaveLength(73);
  expect([names[0], names[72]]).toEqual(["00000.png", "00072.png"]);
});

test("without --out the video gets a name from its prompt, and a second one another", async () => {
  const first = await framepack(["demo", "--here", "--quiet"]);
  const second = await framepack(["demo", "--here", "--quiet"]);

  const name = join(home, "outputs/a-yellow-square-bounces-up-and-31337");
  expect(first.out).toBe(`${name}.mp4\n`);
  expect(second.out).toBe(`${name}-2.mp4\n`);
});

test("a video that is there already is not written over", async () => {
  const path = join(home, "mine.mp4");
  await Bun.write(path, "mine");

  const { code, err } = await framepack(["demo", "--here", "--quiet", "--out", path]);

  expect(code).toBe(7);
  expect(err).toContain("exists already.");
  expect(await Bun.file(path).text()).toBe("mine");
});

test("Ctrl-C keeps the finished sections as a file that plays, with code 130", async () => {
  const path = join(home, "stopped.mp4");
  const child = start(["demo", "--here", "--json", "--seconds", "120", "--out", path]);
  let out = "";
  // Read to the end: a reader that goes away stops the job as well, in another way.
  for await (const part of child.stdout) {
    const before = out.includes('"kind":"partial"');
    out += new TextDecoder().decode(part);
    if (!before && out.includes('"kind":"partial"')) child.kill("SIGINT");
  }
  await child.exited;

  expect(child.exitCode).toBe(130);
  const kept = [path, path.replace(".mp4", ".partial.mp4")].filter((file) => existsSync(file));
  expect(kept).toHaveLength(1);
  const { times } = await frameTable(kept[0] ?? "");
  expect(times.length).toBeGreaterThanOrEqual(33);
  expect(times).toEqual(times.map((_, i) => i));
});

const outputs: readonly (readonly [string, readonly string[], string])[] = [
  ["a folder that cannot be made", ["--out", "/proc/none/a.mp4"], "cannot be written"],
  ["a file in place of the folder", ["--out", `${main}/a.mp4`], "cannot be written"],
];

test.each(outputs)(
  "%s is refused with 7 before anything is computed",
  async (_what, args, words) => {
    const { code, out, err } = await framepack(["demo", "--here", "--json", ...args]);

    expect(code).toBe(7);
    expect(err).toContain(words);
    expect(out).not.toContain("stepFinished");
  },
);

test("a state folder that cannot be made is one sentence, with and without the engine", async () => {
  for (const where of [["--here"], []]) {
    const env = { XDG_STATE_HOME: "/proc/none", XDG_RUNTIME_DIR: "" };
    const { code, err } = await framepack(["demo", ...where, "--quiet", "--out", "s.mp4"], env);

    expect(code).toBe(7);
    expect(err).toBe(
      'framepack: The folder for jobs, "/proc/none/framepack", cannot be written. ' +
        "Set XDG_STATE_HOME to a folder that you may write.\n",
    );
  }
});

test("six times the length takes no more memory", async () => {
  const peaks = [];
  for (const seconds of ["5", "30"]) {
    const out = join(home, `long-${seconds}.mp4`);
    const args = ["demo", "--here", "--json", "--seconds", seconds, "--out", out];
    const finished = linesOf((await framepack(args)).out).find((line) => line.type === "finished");
    peaks.push(finished.rssPeak);
  }

  const [short = 0, long = 0] = peaks;
  expect(short).toBeLessThan(1e9);
  expect(long - short).toBeLessThan(100e6);
});

test("an encoder that is missing is found before anything is computed", async () => {
  const env = { FRAMEPACK_FFMPEG: "/nowhere/ffmpeg" };
  const { code, out } = await framepack(["demo", "--here", "--json", "--out", "x.mp4"], env);

  expect(code).toBe(7);
  expect(linesOf(out).at(-1).error.id).toBe("output.ffmpeg-broken");
  expect(out).not.toContain("stepFinished");
});

test("an encoder that dies in the second section ends the job with 7 and keeps the first", async () => {
  const path = join(home, "dying.mp4");
  // Counts the encodes; joins and the trial pass, and so do the first section's.
  const script =
    'case "$*" in *pipe:0*) n=$(cat "$0.n" 2>/dev/null || echo 0); n=$((n + 1)); echo $n > "$0.n"; ' +
    '[ $n -gt 2 ] && { echo gone >&2; exit 9; };; esac; exec "$FFMPEG" "$@"';
  const env = { FRAMEPACK_FFMPEG: await fakeFfmpeg(home, script) };
  const { code, out } = await framepack(
    ["demo", "--here", "--json", "--seconds", "5", "--out", path],
    env,
  );

  const envelope = linesOf(out).at(-1);
  expect(code).toBe(7);
  expect(envelope.error).toMatchObject({ id: "output.encoder-died", code: 7 });
  expect(envelope.kept).toBe(path.replace(".mp4", ".partial.mp4"));
  expect((await frameTable(envelope.kept)).times.length).toBeGreaterThanOrEqual(33);
});

const prompts: readonly (readonly [string, string])[] = [
  ["empty", ""],
  ["long", "the square moves and moves ".repeat(350)],
  ["of emoji", "💃🏽🕺👨‍👩‍👧‍👦🏳️‍🌈".repeat(40)],
  ["with escape codes", "red \x1b[31m\x1b]0;owned\x07 square\n\u202e"],
];

test.each(prompts)(
  "a prompt that is %s makes a video, and nothing of it reaches the terminal raw",
  async (what, prompt) => {
    const path = join(home, `prompt-${what}.mp4`);
    const args = ["demo", "--here", "--seconds", "1", "--out", path, "--prompt", prompt];
    const { code, out, err } = await framepack(args);

    expect(code).toBe(0);
    expect(`${out}${err}`).not.toContain("\x1b");
    expect(`${out}${err}`).not.toContain("\u202e");
    if (what === "empty") expect(err).toContain("Note: The prompt is empty");
    if (what === "long")
      expect(err).toContain("Note: The prompt is too long; this end of it is not");
    expect((await frameTable(path)).times).toHaveLength(37);
  },
);
