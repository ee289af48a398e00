// The launcher in a folder of its own, with stand-ins for Bun and Zig: what it starts, what it does
// once, what it says when something is missing.

import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { ScratchFolder } from "./support/scratch-folder.ts";

/** How the library is built: with GPU code only where an NVIDIA driver is loaded. */
const build = existsSync("/proc/driver/nvidia/version")
  ? "build -p build"
  : "build -p build -Dgpu-code=false";

const launcher = `${import.meta.dir}/../framepack`;
const echo = `#!/bin/sh
if [ "$1" = --version ]; then echo 1.4.5; exit; fi
for word in "$@"; do printf '[%s]' "$word"; done
`;
const zig = `#!/bin/sh
if [ "$1" = version ]; then echo 0.16.0; exit; fi
echo "$@" >> ../zig-calls
[ ! -e broken ] || { echo "error: broken.zig:1:1"; exit 1; }
mkdir -p build/lib && : > build/lib/libframepack.so
`;

/** A checkout with nothing in it but the launcher, and a stand-in for Bun unless told otherwise. */
const checkout = (folder: ScratchFolder, tools: readonly ("bun" | "zig")[] = ["bun"]): string => {
  const path = `${folder.path}/checkout`;
  folder.write("checkout/src/main.ts", "");
  copyFileSync(launcher, `${path}/framepack`);
  if (tools.includes("bun")) {
    chmodSync(folder.write("checkout/.tools/bun-1.4.5/bun", echo), 0o755);
  }
  if (tools.includes("zig")) {
    chmodSync(folder.write("checkout/.tools/zig-0.16.0/zig", zig), 0o755);
    folder.write("checkout/build.zig", "");
    folder.write("checkout/build.zig.zon", "");
    folder.write("checkout/kernels/lib.zig", "");
  }
  return path;
};

const start = (program: string, args: readonly string[], env: Record<string, string> = {}) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["/bin/sh", program, ...args], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", FRAMEPACK_FFMPEG: "/bin/true", ...env },
  });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

/** A PATH with the few commands that every system has, and no npm, pip, Bun or Zig. */
const barePath = (folder: ScratchFolder): string => {
  folder.write("bin/.keep", "");
  const commands = "readlink cat find head cmp mkdir rm mv uname grep sed cp tail sleep";
  for (const name of commands.split(" ")) {
    const path = Bun.which(name);
    if (path !== null) symlinkSync(path, `${folder.path}/bin/${name}`);
  }
  return `${folder.path}/bin`;
};

test("arguments arrive as they were given, from any folder and through links of links", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder);
  symlinkSync("checkout/framepack", `${folder.path}/first`);
  symlinkSync("first", `${folder.path}/second`);

  const { out, err } = start(`${folder.path}/second`, ["run", "two words", "", "$HOME"]);

  expect(out).toEndWith(`[${path}/src/main.ts][run][two words][][$HOME]`);
  expect(err).toBe("");
});

test("settings and secrets of the working folder are not read", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder);

  const { out } = start(`${path}/framepack`, []);

  expect(out).toStartWith(`[--no-env-file][--config=${path}/bunfig.toml]`);
});

test("the library is built once, and again when a source is newer", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder, ["bun", "zig"]);
  const calls = () => readFileSync(`${folder.path}/zig-calls`, "utf8").trim().split("\n");

  start(`${path}/framepack`, ["run"]);
  const second = start(`${path}/framepack`, ["run"]);
  expect(calls()).toEqual([build]);
  expect(second.err).toBe("");

  utimesSync(`${path}/kernels/lib.zig`, new Date(), new Date(Date.now() + 60_000));
  start(`${path}/framepack`, ["run"]);
  expect(calls()).toHaveLength(2);
});

test("a build that fails shows its last lines, and the next start tries again", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder, ["bun", "zig"]);
  folder.write("checkout/broken", "");

  const first = start(`${path}/framepack`, ["run"]);
  start(`${path}/framepack`, ["run"]);

  expect(first.code).toBe(1);
  expect(first.out).toBe("");
  expect(first.err).toContain("error: broken.zig:1:1");
  expect(first.err).toContain("The library could not be built");
  expect(readFileSync(`${folder.path}/zig-calls`, "utf8").trim().split("\n")).toHaveLength(2);
  expect(existsSync(`${path}/.tools/setup.lock`)).toBe(false);
});

test("without Bun and npm one sentence says so, and --json gives it a code", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder, []);

  const { code, out, err } = start(`${path}/framepack`, ["run", "--json"], {
    PATH: barePath(folder),
  });

  expect(code).toBe(1);
  expect(err).toBe(
    "framepack: There is neither Bun 1.4.5 nor npm to fetch it; install one of them.\n",
  );
  expect(JSON.parse(out)).toMatchObject({ type: "failed", id: "unknown.setup", code: 1 });
});

test("without Zig and pip one sentence says so", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder);
  folder.write("checkout/build.zig", "");
  folder.write("checkout/build.zig.zon", "");
  folder.write("checkout/kernels/lib.zig", "");

  const { code, err } = start(`${path}/framepack`, ["run"], { PATH: barePath(folder) });

  expect(code).toBe(1);
  expect(err).toContain("There is neither Zig 0.16.0 nor Python with pip");
});

test("Bun of the right version on PATH is used as it is", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder, []);
  const bin = barePath(folder);
  chmodSync(folder.write("bin/bun", echo), 0o755);

  const { out, err } = start(`${path}/framepack`, ["x"], { PATH: bin });

  expect(out).toEndWith("[x]");
  expect(err).toBe("");
});

test("the lock of a start that died is taken over", () => {
  using folder = new ScratchFolder();
  const path = checkout(folder, ["bun", "zig"]);
  folder.write("checkout/.tools/setup.lock/pid", "4194305");

  const { code } = start(`${path}/framepack`, ["run"]);

  expect(code).toBe(0);
  expect(existsSync(`${path}/.tools/setup.lock`)).toBe(false);
});
