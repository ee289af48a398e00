// The Hugging Face cache on disk, shared with every other tool: where it is, how it is laid out, and
// which snapshot of a repository it holds. Nothing is downloaded or written here.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** HF_HUB_CACHE, else HF_HOME/hub, else the same folder in the user's cache. */
export const hubCache = (env: Environment = process.env): string =>
  env.HF_HUB_CACHE ? expand(env.HF_HUB_CACHE) : join(hubHome(env), "hub");

/** HF_HOME, or where every tool keeps it without. */
export const hubHome = (env: Environment = process.env): string => {
  if (env.HF_HOME) return expand(env.HF_HOME);
  const base = env.XDG_CACHE_HOME?.startsWith("/") ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(base, "huggingface");
};

/** "ORG/NAME" → the repository's folder in the cache, there or not. */
export const repoFolder = (repo: string, cache: string): string =>
  join(cache, repoFolderName(repo));

export const repoFolderName = (repo: string): string => `models--${repo.replaceAll("/", "--")}`;

/** Where the content with a hash lies; the same with `.incomplete` while it is fetched. */
export const blobPath = (repo: string, cache: string, etag: string): string =>
  join(repoFolder(repo, cache), "blobs", etag);

/** Where a file of a revision is found under its own name. */
export const snapshotPath = (repo: string, cache: string, commit: string, path: string): string =>
  join(repoFolder(repo, cache), "snapshots", commit, path);

/** What every tool locks while it writes a blob. */
export const lockPath = (repo: string, cache: string, etag: string): string =>
  join(cache, ".locks", repoFolderName(repo), `${etag}.lock`);

export const mainRefPath = (repo: string, cache: string): string =>
  join(repoFolder(repo, cache), "refs", "main");

/**
 * The snapshot folder of a repository, or undefined. The pinned revision is taken if it is there,
 * else what `main` pointed to, else the only snapshot.
 */
export const findSnapshot = (repo: string, cache: string, pinned?: string): string | undefined => {
  const folder = repoFolder(repo, cache);
  const snapshots = join(folder, "snapshots");
  if (!existsSync(snapshots)) return undefined;
  const names = readdirSync(snapshots).sort();
  const wanted = [pinned, readRef(mainRefPath(repo, cache))];
  const known = wanted.find((name) => name !== undefined && names.includes(name));
  const name = known ?? (names.length === 1 ? names[0] : undefined);
  return name === undefined ? undefined : join(snapshots, name);
};

const readRef = (path: string): string | undefined => {
  if (!existsSync(path)) return undefined;
  const commit = readFileSync(path, "utf8").trim();
  return /^[0-9a-f]{7,64}$/.test(commit) ? commit : undefined;
};

export const expand = (path: string): string =>
  resolve(path.startsWith("~/") ? join(homedir(), path.slice(2)) : path);
