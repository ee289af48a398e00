// Takes a published model out of the cache: its own files, and the shared ones when no other model
// needs them. What other tools put into the same repositories stays.

import { existsSync, lstatSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { mainRefPath, repoFolder } from "../config/cache.ts";
import { type PublishedModel, publishedModels, type Repository } from "./manifest.ts";
import { fileBytes, listed } from "./status.ts";
import { blobOf } from "./verify.ts";

export type Removal = Readonly<{ bytes: number; repositories: readonly Repository[] }>;

/** The repositories that go with a model, and what their files take. */
export const planRemoval = (model: PublishedModel, cache: string): Removal => {
  const others = publishedModels.filter(
    ({ name, repositories: [first] }) =>
      name !== model.name && first !== undefined && existsSync(repoFolder(first.repo, cache)),
  );
  const needed = new Set(others.flatMap(({ repositories }) => repositories.map(({ key }) => key)));
  const repositories = model.repositories.filter(
    ({ key, repo }) => !needed.has(key) && existsSync(repoFolder(repo, cache)),
  );
  const bytes = repositories
    .flatMap((each) => removable(each, cache))
    .reduce((sum, path) => sum + (lstatSync(path).isFile() ? (fileBytes(path) ?? 0) : 0), 0);
  return { bytes, repositories };
};

export const removeFiles = ({ repositories }: Removal, cache: string): void => {
  for (const each of repositories) {
    const folder = repoFolder(each.repo, cache);
    for (const path of removable(each, cache)) {
      rmSync(path, { force: true });
      removeEmpty(dirname(path), folder);
    }
    if (!existsSync(join(folder, "snapshots"))) {
      rmSync(mainRefPath(each.repo, cache), { force: true });
      removeEmpty(join(folder, "refs"), dirname(folder));
      removeEmpty(folder, dirname(folder));
    }
  }
};

/** Links, the blobs that only they lead to, and downloads that were begun. */
const removable = ({ repo, files }: Repository, cache: string): readonly string[] => {
  const folder = repoFolder(repo, cache);
  const ours = new Set(files.map(({ path }) => path));
  const links = snapshotFiles(join(folder, "snapshots"));
  const gone = links.filter(({ path }) => ours.has(path)).map(({ file }) => file);
  const staying = links.filter(({ path }) => !ours.has(path)).map(({ file }) => file);
  const kept = new Set(staying.filter(isLink).map(blobOf));
  const blobs = [...new Set(gone.filter(isLink).map(blobOf))];
  const begun = listed(join(folder, "blobs"))
    .filter((name) => name.endsWith(".incomplete"))
    .map((name) => join(folder, "blobs", name));
  return [...gone, ...blobs.filter((blob) => !kept.has(blob) && existsSync(blob)), ...begun];
};

const isLink = (path: string): boolean => lstatSync(path).isSymbolicLink();

/** Every file below every snapshot, by its path in the repository. */
const snapshotFiles = (folder: string): readonly Readonly<{ path: string; file: string }>[] =>
  listed(folder).flatMap((commit) => below(join(folder, commit), ""));

const below = (root: string, at: string): readonly Readonly<{ path: string; file: string }>[] =>
  listed(join(root, at)).flatMap((name) => {
    const path = at === "" ? name : `${at}/${name}`;
    const file = join(root, path);
    return lstatSync(file).isDirectory() ? below(root, path) : [{ path, file }];
  });

/** Removes a folder that is empty, and those above it that become so, up to but not including `stop`. */
const removeEmpty = (folder: string, stop: string): void => {
  for (let at = folder; at !== stop && existsSync(at); at = dirname(at)) {
    if (listed(at).length > 0) return;
    rmdirSync(at);
  }
};
