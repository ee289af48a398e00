// The Hugging Face cache on disk, shared with every other tool: where it is, and which snapshot of
// a repository it holds. Nothing is downloaded or written here.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** HF_HUB_CACHE, else HF_HOME/hub, else the same folder in the user's cache. */
export const hubCache = (env: Environment = process.env): string => {
  if (env.HF_HUB_CACHE) return expand(env.HF_HUB_CACHE);
  if (env.HF_HOME) return join(expand(env.HF_HOME), "hub");
  const base = env.XDG_CACHE_HOME?.startsWith("/") ? env.XDG_CACHE_HOME : join(homedir(), ".cache");
  return join(base, "huggingface", "hub");
};

/** "ORG/NAME" → the repository's folder in the cache, there or not. */
export const repoFolder = (repo: string, cache: string): string =>
  join(cache, `models--${repo.replaceAll("/", "--")}`);

/**
 * The snapshot folder of a repository, or undefined. The pinned revision is taken if it is there,
 * else what `main` pointed to, else the only snapshot.
 */
export const findSnapshot = (repo: string, cache: string, pinned?: string): string | undefined => {
  const folder = repoFolder(repo, cache);
  const snapshots = join(folder, "snapshots");
  if (!existsSync(snapshots)) return undefined;
  const names = readdirSync(snapshots).sort();
  const wanted = [pinned, readRef(join(folder, "refs", "main"))];
  const known = wanted.find((name) => name !== undefined && names.includes(name));
  const name = known ?? (names.length === 1 ? names[0] : undefined);
  return name === undefined ? undefined : join(snapshots, name);
};

const readRef = (path: string): string | undefined => {
  if (!existsSync(path)) return undefined;
  const commit = readFileSync(path, "utf8").trim();
  return /^[0-9a-f]{7,64}$/.test(commit) ? commit : undefined;
};

const expand = (path: string): string =>
  resolve(path.startsWith("~/") ? join(homedir(), path.slice(2)) : path);
