// What of a published model lies in the cache: file by file, without reading any of them.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { findSnapshot, repoFolder } from "../config/cache.ts";
import type { ModelStatus } from "../protocol.ts";
import { licencesOf, type PublishedModel, type Repository } from "./manifest.ts";

export type CachedFile = Readonly<{
  repository: Repository;
  path: string;
  /** Where it is, or undefined. */
  file: string | undefined;
  /** True bytes where it is there, else about how many it will be. */
  bytes: number;
}>;

/** Every file of a model, in the order of the manifest. */
export const cachedFiles = (
  model: PublishedModel,
  cache: string,
  options: Readonly<{ commit?: (repository: Repository) => string }> = {},
): readonly CachedFile[] =>
  model.repositories.flatMap((repository) => {
    const folder =
      options.commit === undefined
        ? findSnapshot(repository.repo, cache, repository.revision)
        : join(repoFolder(repository.repo, cache), "snapshots", options.commit(repository));
    return repository.files.map(({ path, bytes }) => {
      const file = folder === undefined ? undefined : join(folder, path);
      const size = file === undefined ? undefined : fileBytes(file);
      const place = size === undefined ? undefined : file;
      return { repository, path, file: place, bytes: size ?? bytes };
    });
  });

/** The length of a file; undefined where there is none. */
export const fileBytes = (path: string): number | undefined => {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() ? stat.size : undefined;
  } catch (error) {
    // A file where a folder should be: whoever writes there will say so.
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
};

export const modelStatus = (model: PublishedModel, cache: string): ModelStatus => {
  const files = cachedFiles(model, cache);
  const missing = files.filter(({ file }) => file === undefined);
  const total = sum(files);
  const begun = [...new Set(missing.map(({ repository }) => repository.repo))]
    .map((repo) => incompleteBytes(repo, cache))
    .reduce((all, bytes) => all + bytes, 0);
  const present = total - sum(missing) + Math.min(begun, sum(missing));
  const [first] = model.repositories;
  return {
    name: model.name,
    title: model.about,
    state: missing.length === 0 ? "complete" : present > 0 ? "partial" : "absent",
    path: (first && findSnapshot(first.repo, cache, first.revision)) ?? null,
    bytesPresent: present,
    bytesTotal: total,
    licence: licencesOf(model).join(" · "),
    missing: missing.map(({ repository, path }) => `${repository.repo}/${path}`),
  };
};

const sum = (files: readonly CachedFile[]): number =>
  files.reduce((all, { bytes }) => all + bytes, 0);

/** Bytes of downloads that were begun. */
const incompleteBytes = (repo: string, cache: string): number => {
  const folder = join(repoFolder(repo, cache), "blobs");
  return listed(folder)
    .filter((name) => name.endsWith(".incomplete"))
    .reduce((all, name) => all + (fileBytes(join(folder, name)) ?? 0), 0);
};

/** Names in a folder; none where there is no folder. */
export const listed = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
};
