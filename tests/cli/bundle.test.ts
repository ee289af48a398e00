import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const out = mkdtempSync(join(tmpdir(), "fp-bundle-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const bun = process.execPath;
const main = join(import.meta.dir, "../../src/main.ts");

const runIn = async (
  folder: string,
  ...words: readonly string[]
): Promise<Readonly<{ code: number; out: string; err: string }>> => {
  const child = Bun.spawn([join(folder, "framepack"), ...words], {
    cwd: tmpdir(),
    // Nothing of this checkout, and no package clients: a bundle brings what it needs.
    env: {
      PATH: "/usr/bin:/bin",
      HOME: out,
      XDG_STATE_HOME: join(out, "state"),
      XDG_RUNTIME_DIR: join(out, "run"),
      FRAMEPACK_FFMPEG: "/nowhere/ffmpeg",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out: text, err };
};

test("a bundle's folder runs on its own, with nothing of the checkout", async () => {
  const made = Bun.spawnSync([bun, main, "bundle", "--no-build", "--folder", "--out", out]);
  expect(made.exitCode).toBe(0);
  const folder = made.stdout.toString().trim();

  const version = await runIn(folder, "--version");
  const verified = await runIn(folder, "verify", join(folder, "demo", "model"), "--dtype", "f32");
  const doctor = await runIn(folder, "doctor", "--json");

  expect(version.out).toMatch(/^framepack \d/);
  expect(verified.err).toContain("tensors within their limits");
  expect(verified.code).toBe(0);
  expect(doctor.out).toContain("/nowhere/ffmpeg");
  expect(existsSync(join(folder, "tests"))).toBe(false);
  expect(readdirSync(join(folder, "node_modules"))).not.toContain("typescript");
}, 60_000);
