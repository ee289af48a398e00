// Proves a model on disk: the hash of every file against the one that the hub gave for it (a blob is
// named by it), then the structure. A folder that did not come from the hub has its structure only.

import { lstatSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { resolveModel } from "../config/model-folder.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { ContentHash, isEtag } from "./content-hash.ts";
import type { Hub } from "./endpoint.ts";
import type { PublishedModel } from "./manifest.ts";
import type { PullProgress } from "./pull-progress.ts";
import { remoteFile } from "./remote-file.ts";
import { patience, type Retry } from "./retry.ts";
import { type CachedFile, cachedFiles, fileBytes } from "./status.ts";
import { checkStructure } from "./structure.ts";

export type VerifyOptions = Readonly<{
  model: PublishedModel;
  cache: string;
  hub: Hub;
  signal: AbortSignal;
  progress: PullProgress;
  retry?: Retry;
}>;

export type Verified = Readonly<{
  files: number;
  /** Those whose hash is known and right. */
  proven: number;
  tensors: number;
  bytes: number;
}>;

export const verifyModel = async (options: VerifyOptions): Promise<Verified> => {
  const { model, cache, progress } = options;
  const files = cachedFiles(model, cache);
  const missing = files.filter(({ file }) => file === undefined).map(({ path }) => path);
  if (missing.length > 0) throw incomplete(model, missing);
  progress.begin(
    0,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
    "verifying",
  );
  const wrong: string[] = [];
  let proven = 0;
  for (const file of files) {
    const state = await check(file, options);
    if (state === "wrong") wrong.push(file.path);
    if (state === "proven") proven += 1;
  }
  if (wrong.length > 0) throw damaged(model, wrong);
  const { tensors, bytes } = checkStructure(resolveModel(model.name, { cache }));
  return { files: files.length, proven, tensors, bytes };
};

type State = "proven" | "unproven" | "wrong";

const check = async (cached: CachedFile, options: VerifyOptions): Promise<State> => {
  const { file, path } = cached;
  if (file === undefined) return "wrong";
  const { signal, progress } = options;
  progress.fileBegun(path);
  const etag = await etagOf(file, cached, options);
  if (etag === undefined) {
    progress.listeners.onResumed(cached.bytes);
    progress.fileFinished(path, "has no known hash; its structure is checked.");
    return "unproven";
  }
  const bytes = fileBytes(file) ?? 0;
  const hash = new ContentHash(etag, bytes);
  await hash.addFile(file, bytes, { signal, onBytes: progress.listeners.onBytes });
  const isRight = hash.digest() === etag;
  progress.fileFinished(path, isRight ? "is as published." : "is NOT as published.");
  return isRight ? "proven" : "wrong";
};

/** From the name of the blob that the file links to, else from the hub. */
const etagOf = async (
  file: string,
  { repository, path }: CachedFile,
  { hub, retry = patience, signal }: VerifyOptions,
): Promise<string | undefined> => {
  const name = lstatSync(file).isSymbolicLink() ? basename(readlinkSync(file)) : "";
  if (isEtag(name)) return name;
  if (hub.isOffline) return undefined;
  const { repo, revision } = repository;
  return (await remoteFile({ hub, retry, signal }, { repo, revision, path })).etag;
};

/** Takes what is not as published out of the cache, so that a pull fetches it again. */
export const dropDamaged = async (options: VerifyOptions): Promise<number> => {
  const files = cachedFiles(options.model, options.cache).filter(({ file }) => file !== undefined);
  options.progress.begin(
    0,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
    "verifying",
  );
  let dropped = 0;
  for (const cached of files) {
    const { file } = cached;
    if (file === undefined || (await check(cached, options)) !== "wrong") continue;
    if (lstatSync(file).isSymbolicLink()) await rm(blobOf(file), { force: true });
    await rm(file, { force: true });
    dropped += 1;
  }
  return dropped;
};

/** The file that a snapshot's link leads to. */
export const blobOf = (link: string): string => {
  return resolve(dirname(link), readlinkSync(link));
};

const listed = (paths: readonly string[]): string => {
  const rest = paths.length > 3 ? ` and ${paths.length - 3} more` : "";
  return `${paths.slice(0, 3).join(", ")}${rest}`;
};

const incomplete = ({ name }: PublishedModel, paths: readonly string[]): Failure =>
  new Failure("model.missing", `The model ${quoted(name)} is not complete: ${listed(paths)}.`, {
    hint: `framepack models pull ${name} fetches what is missing.`,
  });

const damaged = ({ name }: PublishedModel, paths: readonly string[]): Failure =>
  new Failure(
    "model.corrupt",
    `The model ${quoted(name)} is damaged: ${listed(paths)} ${paths.length === 1 ? "is" : "are"} not as published.`,
    { hint: `framepack models pull ${name} --check fetches it again.` },
  );
