// Rules of the code base that no linter knows: what may import what, and headers that say it.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");

type Source = Readonly<{ path: string; text: string; imports: readonly string[] }>;

/** Import paths as written, or from the root of the tree where they are relative. */
const importsOf = (path: string, text: string): readonly string[] =>
  [...text.matchAll(/(?:from|import) "([^"]+)";/g)].map(([, target = ""]) =>
    target.startsWith(".") ? join(dirname(path), target) : target,
  );

const sources: readonly Source[] = [...new Bun.Glob("src/**/*.{ts,tsx}").scanSync(root)]
  .sort()
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, imports: importsOf(path, text) };
  });

const offenders = (isBad: (source: Source) => boolean): readonly string[] =>
  sources.filter(isBad).map(({ path }) => relative("src", path));

const within = (path: string, ...folders: readonly string[]): boolean =>
  folders.some((folder) => path === folder || path.startsWith(`${folder}/`));

test("only src/ffi knows bun:ffi", () => {
  const found = offenders(
    ({ path, text }) => !within(path, "src/ffi") && text.includes('bun:ffi"'),
  );

  expect(found).toEqual([]);
});

test("the library's side imports nothing from above", () => {
  const found = offenders(
    ({ path, imports }) =>
      within(path, "src/ffi") &&
      imports.some((target) => within(target, "src/engine", "src/tui", "src/cli")),
  );

  expect(found).toEqual([]);
});

test("the engine imports neither screens nor verbs", () => {
  const found = offenders(
    ({ path, imports }) =>
      within(path, "src/engine") && imports.some((target) => within(target, "src/tui", "src/cli")),
  );

  expect(found).toEqual([]);
});

test("the screens import no network, no weights and no library", () => {
  const found = offenders(
    ({ path, imports }) =>
      within(path, "src/tui") &&
      imports.some((target) =>
        within(target, "src/ffi", "src/engine/models", "src/engine/weights"),
      ),
  );

  expect(found).toEqual([]);
});

test("every file begins with what it is", () => {
  const found = offenders(({ text }) => !text.startsWith("// ") && !text.startsWith("#!"));

  expect(found).toEqual([]);
});

test("every relative import names its file's extension", () => {
  const found = offenders(({ imports }) =>
    imports.some((target) => target.startsWith("src/") && !/\.(ts|tsx|json|toml)$/.test(target)),
  );

  expect(found).toEqual([]);
});
