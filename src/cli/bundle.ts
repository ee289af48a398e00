// framepack bundle: one archive that runs on any glibc Linux box with nothing to install: Bun, the packages a run needs, the
// sources, the library and the demo model. Everything is taken from this checkout; nothing is fetched.

import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { version } from "../../package.json";
import { exitCodes, Failure } from "../engine/failure.ts";
import { printable } from "../engine/printable.ts";
import { size } from "../engine/words.ts";
import { parseFlags, text, toggle } from "./flags.ts";
import { say } from "./say.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const name = `framepack-linux-${process.arch}`;

const bundleFlags = {
  build: toggle("build the library first, with GPU code where nvcc is (this is the default)"),
  withFfmpeg: toggle("put the encoder in as well"),
  withTests: toggle("put the reference cases and the backends' tests in as well"),
  folder: toggle("leave the folder as it is, without making an archive of it"),
  out: text("FOLDER", "where the archive goes (dist)"),
  json: toggle("one JSON object on stdout"),
};

/** What of the checkout goes in; the rest is for building and testing it. */
const parts = [
  "framepack",
  "package.json",
  "bunfig.toml",
  "tsconfig.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "src",
  "presets",
  "demo",
  "build/lib",
] as const;
/** What proves the kernels on another machine: reference cases and the tests that compare backends. */
const testParts = [
  "tests/golden",
  "tests/gpu",
  "tests/kernels",
  "tests/support",
  "tests/ffi",
] as const;
const required = new Set<string>([
  "framepack",
  "bunfig.toml",
  "src",
  "presets",
  "demo",
  "build/lib",
]);

/** Never read at run time. */
const dead =
  /\.(map|md|markdown|d\.[cm]?ts|flow)$|\/(test|tests|__tests__|example|examples|docs)$/i;

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags } = parseFlags("bundle", bundleFlags, args);
  const out = flags.out ?? join(root, "dist");
  if (flags.build ?? true) await buildLibrary();
  const stage = join(out, `${name}.incomplete`);
  const folder = join(stage, name);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const part of [...parts, ...(flags.withTests ? testParts : [])]) take(part, folder);
  const packages = takePackages(folder);
  takeBun(folder);
  if (flags.withFfmpeg) takeFfmpeg(folder);
  if (flags.folder) {
    const whole = join(out, name);
    rmSync(whole, { recursive: true, force: true });
    renameSync(folder, whole);
    rmSync(stage, { recursive: true, force: true });
    console.log(flags.json ? JSON.stringify({ folder: whole, packages, version }) : whole);
    return exitCodes.ok;
  }
  const archive = join(out, `${name}.tar.xz`);
  await pack(stage, archive);
  rmSync(stage, { recursive: true, force: true });
  const bytes = statSync(archive).size;
  if (flags.json) console.log(JSON.stringify({ archive, bytes, packages, version }));
  else {
    console.log(archive);
    say(`${size(bytes)}; unpack it anywhere and run ${name}/framepack.`);
  }
  return exitCodes.ok;
};

/** With code for every GPU where there is a compiler for it; a word where there is none. */
const buildLibrary = async (): Promise<void> => {
  const own = join(root, ".tools", "zig-0.16.0", "zig");
  const zig = existsSync(own) ? own : Bun.which("zig");
  const nvcc = Bun.which("nvcc") ?? (existsSync("/usr/local/cuda/bin/nvcc") ? "nvcc" : null);
  if (zig === null) {
    throw new Failure("output.bundle", "There is no Zig to build the library with.", {
      hint: "Start framepack once, which fetches it, or take the library as it is with --no-build.",
    });
  }
  if (nvcc === null) process.stderr.write("There is no nvcc: the bundle is for CPUs only.\n");
  const child = Bun.spawn([zig, "build", "-p", "build", `-Dgpu-code=${nvcc !== null}`], {
    cwd: root,
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) === 0) return;
  throw new Failure("output.bundle", "The library could not be built.", {
    hint: printable(said.trim().split("\n").at(-1) ?? "", 300),
  });
};

const take = (part: string, folder: string): void => {
  const from = join(root, part);
  if (!existsSync(from)) {
    if (!required.has(part)) return;
    throw new Failure("output.bundle", `${part} is not in this checkout.`, {
      hint: "Run framepack doctor once, which builds what is missing.",
    });
  }
  cpSync(from, join(folder, part), { recursive: true, dereference: true });
};

/** The packages that package.json's dependencies need, found by walking; how many there were. */
const takePackages = (folder: string): number => {
  const modules = join(root, "node_modules");
  const taken = new Set<string>();
  const walk = (manifest: Manifest): void => {
    const needs = { ...manifest.dependencies, ...manifest.optionalDependencies };
    for (const need of Object.keys(needs)) {
      const from = join(modules, need);
      // A platform's variant of an optional package that is not this platform's is not installed.
      if (taken.has(need) || !existsSync(join(from, "package.json"))) continue;
      taken.add(need);
      cpSync(from, join(folder, "node_modules", need), {
        recursive: true,
        dereference: true,
        filter: (path) => !dead.test(relative(modules, path)),
      });
      walk(readManifest(join(from, "package.json")));
    }
  };
  walk(readManifest(join(root, "package.json")));
  return taken.size;
};

type Manifest = Readonly<{
  dependencies?: Readonly<Record<string, string>>;
  optionalDependencies?: Readonly<Record<string, string>>;
}>;

const readManifest = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

/** The Bun that runs now, where the launcher looks for it. */
const takeBun = (folder: string): void => {
  const to = join(folder, ".tools", `bun-${Bun.version}`);
  mkdirSync(to, { recursive: true });
  cpSync(process.execPath, join(to, "bun"), { dereference: true });
};

const takeFfmpeg = (folder: string): void => {
  const from = join(root, ".tools", "ffmpeg", "ffmpeg");
  if (!existsSync(from)) {
    throw new Failure("output.bundle", "The launcher has no copy of ffmpeg of its own to put in.", {
      hint: "Leave --with-ffmpeg out; the other machine's ffmpeg serves as well.",
    });
  }
  mkdirSync(join(folder, ".tools", "ffmpeg"), { recursive: true });
  cpSync(from, join(folder, ".tools", "ffmpeg", "ffmpeg"), { dereference: true });
};

/** The same files give the same archive: sorted, no owners, one time for all. */
const pack = async (stage: string, archive: string): Promise<void> => {
  const unfinished = `${archive}.incomplete`;
  const tar = Bun.spawn(
    [
      ...["tar", "--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"],
      ...["--mtime=2000-01-01 00:00Z", "--use-compress-program=xz -T0 -6", `--file=${unfinished}`],
      ...["--directory", stage, name],
    ],
    { stdout: "ignore", stderr: "pipe" },
  );
  const said = await new Response(tar.stderr).text();
  if ((await tar.exited) !== 0) {
    rmSync(unfinished, { force: true });
    const last = printable(said.trim().split("\n").at(-1) ?? "", 200);
    throw new Failure("output.bundle", `The archive could not be written: ${last}.`, {
      hint: "tar and xz must be installed, and the disk must have room for some 400 MB.",
    });
  }
  renameSync(unfinished, archive);
};
