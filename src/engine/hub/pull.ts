// Fetches what is missing of a published model into the Hugging Face cache: everything is asked for
// first, then the disk is checked, then a few files at a time come in.

import { existsSync } from "node:fs";
import { mkdir, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { blobPath, mainRefPath, snapshotPath } from "../config/cache.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import type { Download } from "../protocol.ts";
import { size } from "../words.ts";
import type { Hub } from "./endpoint.ts";
import { diskFailure, fetchFile } from "./fetch-file.ts";
import type { PublishedModel } from "./manifest.ts";
import { PullProgress } from "./pull-progress.ts";
import { type Line, type RemoteFile, remoteFile } from "./remote-file.ts";
import { patience, type Retry } from "./retry.ts";
import { type CachedFile, cachedFiles, fileBytes } from "./status.ts";

export type PullOptions = Readonly<{
  model: PublishedModel;
  cache: string;
  hub: Hub;
  signal: AbortSignal;
  onProgress: (download: Download) => void;
  /** Follow `main` instead of the pinned revisions. */
  isLatest?: boolean;
  retry?: Retry;
  now?: () => number;
}>;

const asked_at_once = 8;
const files_at_once = 4;
/** What a cache needs besides the files: folders, links, a margin. */
const disk_margin_bytes = 64_000_000;

/** Ends with every file in place, or throws a Failure; what was fetched is kept either way. */
export const pullModel = async (options: PullOptions): Promise<void> => {
  const { model, cache, hub, now = () => performance.now() } = options;
  const progress = new PullProgress(model.name, options.onProgress, now);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const line: Line = { hub, retry: options.retry ?? patience, signal };
  try {
    const { missing, presentBytes } = await lookUp(options, line);
    await checkDisk(missing, cache);
    progress.begin(presentBytes, total(missing));
    await inParallel(files_at_once, missing.toSorted(bySize), async (file) => {
      progress.fileBegun(file.path);
      try {
        await fetchFile({ line, file, cache, ...progress.listeners });
      } catch (error) {
        stop.abort(error);
        throw error;
      }
      progress.fileFinished(file.path);
    });
    await writeRefs(missing, cache);
    progress.end("finished", null);
  } catch (error) {
    const failure = options.signal.aborted ? cancelled(model) : error;
    const message = failure instanceof Failure ? failure.message : String(failure);
    progress.end(options.signal.aborted ? "cancelled" : "failed", message);
    throw failure;
  }
};

type Found = Readonly<{ missing: readonly RemoteFile[]; presentBytes: number }>;

/** Which files are not there, with what the hub says of them. */
const lookUp = async (options: PullOptions, line: Line): Promise<Found> => {
  const { model, cache, hub, isLatest = false } = options;
  const pinned = cachedFiles(model, cache, { commit: ({ revision }) => revision });
  if (hub.isOffline) return offline(model, cachedFiles(model, cache));
  const present = isLatest ? [] : pinned.filter(({ file }) => file !== undefined);
  const wanted = pinned.filter((file) => !present.includes(file));
  const asked = await inParallel(asked_at_once, wanted, ({ repository, path }) => {
    const revision = isLatest ? "main" : repository.revision;
    return remoteFile(line, { repo: repository.repo, revision, path });
  });
  const isThere = ({ repo, commit, path, bytes }: RemoteFile): boolean =>
    fileBytes(snapshotPath(repo, cache, commit, path)) === bytes;
  const there = asked.filter(isThere);
  const missing = asked.filter((file) => !isThere(file));
  return { missing, presentBytes: total(present) + total(there) };
};

const offline = (model: PublishedModel, files: readonly CachedFile[]): Found => {
  const missing = files.filter(({ file }) => file === undefined);
  if (missing.length === 0) return { missing: [], presentBytes: total(files) };
  throw new Failure(
    "model.offline",
    `${missing.length} files of ${quoted(model.name)} are missing, and HF_HUB_OFFLINE forbids the network.`,
    { hint: "Unset HF_HUB_OFFLINE to fetch them." },
  );
};

const total = (files: readonly Readonly<{ bytes: number }>[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0);

/** Small files first, as they tell soonest what is wrong; then the largest, as they take longest. */
const bySize = (a: RemoteFile, b: RemoteFile): number => {
  const isSmall = (file: RemoteFile): boolean => file.bytes < 1_000_000;
  return Number(isSmall(b)) - Number(isSmall(a)) || b.bytes - a.bytes;
};

const checkDisk = async (missing: readonly RemoteFile[], cache: string): Promise<void> => {
  const blobs = new Map(missing.map((file) => [blobPath(file.repo, cache, file.etag), file]));
  let needed = 0;
  for (const [blob, { bytes }] of blobs) {
    const begun = fileBytes(blob) ?? fileBytes(`${blob}.incomplete`) ?? 0;
    needed += Math.max(0, bytes - begun);
  }
  if (needed === 0) return;
  try {
    await mkdir(cache, { recursive: true });
    const { bavail, bsize } = await statfs(cache);
    if (bavail * bsize >= needed + disk_margin_bytes) return;
    const free = `${size(needed)} are to be fetched and ${size(bavail * bsize)} are free`;
    throw new Failure("output.disk", `The disk of ${quoted(cache, 300)} is too small: ${free}.`, {
      hint: "HF_HUB_CACHE or --cache names another place.",
    });
  } catch (error) {
    throw diskFailure(error, cache) ?? error;
  }
};

/** Other tools look a repository up by its branch; what somebody else put there stays. */
const writeRefs = async (files: readonly RemoteFile[], cache: string): Promise<void> => {
  for (const { repo, revision, commit } of files) {
    const path = mainRefPath(repo, cache);
    if (revision !== "main" && existsSync(path)) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, commit);
  }
};

const cancelled = ({ name }: PublishedModel): Failure =>
  new Failure("interrupted.download", "The download was stopped; what was fetched is kept.", {
    hint: `framepack models pull ${name} goes on.`,
  });

/** Runs `act` on every item, a few at a time. After a failure nothing new begins; the first is thrown. */
export const inParallel = async <A, B>(
  limit: number,
  items: readonly A[],
  act: (item: A) => Promise<B>,
): Promise<readonly B[]> => {
  const results: B[] = [];
  const failures: unknown[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) {
      if (failures.length > 0) return;
      try {
        results[i] = await act(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
};
