// What a person can get wrong on the command line: each ends with its code, one sentence on stderr,
// nothing on stdout, and never an escape sequence.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

setDefaultTimeout(60_000);

const main = `${import.meta.dir}/../../src/main.ts`;
let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "framepack-cli-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const framepack = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: home,
    env: { ...process.env, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
};

const wrong: readonly (readonly [readonly string[], number, string])[] = [
  [["run"], 5, "No picture was given. Give one with --image FILE."],
  [["run", "--image", "/nowhere/a.png"], 5, 'There is no picture at "/nowhere/a.png".'],
  [["run", "--image", "/dev/zero"], 5, '"/dev/zero" is a device, not a picture file.'],
  [["run", "--image", "/"], 5, '"/" is a folder, not a picture file.'],
  [["run", "--image", "/etc/passwd"], 5, '"/etc/passwd" is not a picture.'],
  [["run", "--seconds", "0"], 2, '--seconds "0": must be more than 0.'],
  [["run", "--seconds", "-1"], 2, '--seconds "-1": must be more than 0.'],
  [["run", "--seconds", "1e9"], 2, '--seconds "1e9": must be at most 3600.'],
  [["run", "--seconds", "NaN"], 2, '--seconds "NaN": must be a number.'],
  [["run", "--seconds", ""], 2, '--seconds "": must be a number.'],
  [["run", "--steps", "2.5"], 2, '--steps "2.5": must be a whole number.'],
  [["run", "--threads", "1000"], 2, '--threads "1000": must be at most 256.'],
  [["verify", "--threads", "1000"], 2, '--threads "1000": must be at most 256.'],
  [["run", "--seed", "9".repeat(30)], 2, "--seed"],
  [["run", "--prompt", "x".repeat(10_001)], 2, "must have at most 10000 characters."],
  [["run", "--vram", "6 apples"], 2, "must be a size such as 6GB or 5.5GiB."],
  [["run", "--order", "up"], 2, "must be inverted or f1."],
  [["run", "--secons", "4"], 2, 'there is no flag "--secons". Did you mean --seconds?'],
  [["run", "sanity"], 2, 'There is no preset "sanity". Did you mean sanity-check?'],
  [["run", "--preset", "\x1b[31mred"], 2, 'There is no preset "\\x1b[31mred".'],
  [["run", "demo", "too", "much"], 2, '"too" is too much.'],
  [["run", "--out", "film.avi", "--image", "a.png"], 2, "does not end in .mp4."],
  [["plan", "--image", "/dev/null"], 5, '"/dev/null" is a device, not a picture file.'],
  [["plan", "--model", "/nowhere"], 4, 'There is no model "/nowhere"'],
  [["presets", "shwo"], 2, 'cannot "shwo". Did you mean show?'],
  [["presets", "show"], 2, "needs the name of a preset."],
  [["config", "explain", "sed"], 2, 'There is no setting "sed". Did you mean seed?'],
  [["config", "explain"], 2, "needs the name of a setting."],
  [["demo", "9"], 2, 'There is no demo example "9". Choose a number from 1 to 3.'],
];

test.each(wrong)(
  "wrong words and values %# end with their code and sentence",
  async (args, code, sentence) => {
    const result = await framepack(args);

    expect(result.err).toContain(sentence);
    expect(result.code).toBe(code);
    expect(result.out).toBe("");
    expect(result.err).toMatch(/^framepack[: ][^\n]+\n$/);
    expect(result.err).not.toContain("\x1b");
  },
);

test("a wrong variable of the environment is a usage error", async () => {
  const { code, err } = await framepack(["config"], { FRAMEPACK_STEPS: "many" });

  expect(code).toBe(2);
  expect(err).toContain('FRAMEPACK_STEPS="many" must be a number.');
});

test.each([
  ["below a file", "/etc/passwd/x", "cannot be made. Set XDG_RUNTIME_DIR to a private folder"],
  ["too long", `/tmp/${"x".repeat(120)}`, "is too long. Set XDG_RUNTIME_DIR to a shorter folder."],
])("a runtime folder %s is told before an engine is waited for", async (_what, dir, sentence) => {
  const { code, err } = await framepack(["jobs"], { XDG_RUNTIME_DIR: dir });

  expect(code).toBe(7);
  expect(err).toContain(sentence);
});

test("presets validate tells every problem of a file and ends with 2", async () => {
  const path = join(home, "wrong.toml");
  await Bun.write(path, 'description = "d"\nseconds = -1\nsteps = 0\n');

  const { code, out } = await framepack(["presets", "validate", path]);

  expect(code).toBe(2);
  expect(out).toBe(
    `${path}: seconds must be more than 0, not -1\n${path}: steps must be at least 1, not 0\n`,
  );
});

test("names and keys of presets reach the terminal without their escape sequences", async () => {
  const name = "pre\u001b[31mset";
  const folder = join(home, "framepack", "presets");
  await Bun.write(join(folder, `${name}.toml`), 'description = "d"\n"\\u001b[32mkey" = 1\n');

  const ran = [];
  for (const words of [["list"], ["show", name], ["validate"]]) {
    ran.push(await framepack(["presets", ...words]));
  }
  await rm(folder, { recursive: true });

  expect(ran.map(({ code }) => code)).toEqual([0, 2, 2]);
  const texts = ran.map(({ out, err }) => out + err);
  expect(texts.filter((text) => text.includes("\u001b"))).toEqual([]);
  expect(texts.filter((text) => text.includes("pre\\x1b[31mset"))).toHaveLength(3);
});

test("plan says exact frames and seconds of what is asked", async () => {
  const { code, out } = await framepack(["plan", "demo", "--seconds", "5"]);

  expect(code).toBe(0);
  expect(out).toStartWith(
    "Length    5 s asked: 4 sections, 145 frames = 4.83 s at 30 frames a second\n",
  );
});

test("plan --json is one object with the same numbers", async () => {
  const { out } = await framepack(["plan", "demo", "--seconds", "3", "--json"]);

  expect(JSON.parse(out)).toMatchObject({ sections: 2, frames: 73, paddings: [1, 0], steps: 12 });
});

test("config show and explain say where a value comes from", async () => {
  const env = { FRAMEPACK_SEED: "7" };
  const { out } = await framepack(["config", "explain", "seed", "--seed", "5"], env);

  expect(out).toBe(
    "seed: same seed and settings, same video\n" +
      "= 5  from flag --seed\n  7  from FRAMEPACK_SEED, overridden\n" +
      "  31337  from published default, overridden\n",
  );
});
