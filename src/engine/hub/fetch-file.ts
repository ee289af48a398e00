// One file of a repository into the cache: locked, resumed, fetched, proven by its hash, and only
// then under its final name with a link in the snapshot.

import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, open, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { tryLock } from "../../ffi/os.ts";
import { blobPath, lockPath, snapshotPath } from "../config/cache.ts";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { ContentHash } from "./content-hash.ts";
import type { Line, RemoteFile } from "./remote-file.ts";
import { transfer } from "./transfer.ts";

export type FetchJob = Readonly<{
  line: Line;
  file: RemoteFile;
  cache: string;
  /** Bytes that came over the line. */
  onBytes: (bytes: number) => void;
  /** Bytes of an earlier try that were read again; how many of them go on counting. */
  onResumed: (bytes: number) => void;
  /** Something a person may want to know. */
  note: (text: string) => void;
}>;

export const fetchFile = async (job: FetchJob): Promise<void> => {
  const { file, cache } = job;
  const blob = blobPath(file.repo, cache, file.etag);
  try {
    await mkdir(dirname(blob), { recursive: true });
    using _lock = await lock(job);
    const there = await sizeOf(blob);
    // A blob of the wrong size is what an older tool, or a crash of the machine, left behind.
    if (there !== undefined && there !== file.bytes) await rm(blob);
    if (there !== file.bytes) await fetchBlob(job, blob);
    await link(job, blob);
  } catch (error) {
    throw diskFailure(error, cache) ?? error;
  }
};

const fetchBlob = async (job: FetchJob, blob: string): Promise<void> => {
  const { line, file } = job;
  const incomplete = `${blob}.incomplete`;
  const hash = new ContentHash(file.etag, file.bytes);
  {
    await using handle = await open(incomplete, existsSync(incomplete) ? "r+" : "wx+");
    let from = (await handle.stat()).size;
    if (from > file.bytes) {
      await handle.truncate(0);
      from = 0;
    }
    await hash.addFile(incomplete, from, { signal: line.signal });
    job.onResumed(from);
    await transfer({ line, file, handle, from, hash, onBytes: job.onBytes });
  }
  if (hash.digest() !== file.etag) {
    await rm(incomplete);
    throw new Failure(
      "model.hash",
      `${quoted(`${file.repo}/${file.path}`, 200)} came with other bytes than the hub promises; it was thrown away.`,
      { hint: "Run the same command again; if it happens again, check HF_ENDPOINT and the proxy." },
    );
  }
  await rename(incomplete, blob);
};

/** A link beside the others of the snapshot; where links cannot be had, the file itself. */
const link = async ({ file, cache }: FetchJob, blob: string): Promise<void> => {
  const path = snapshotPath(file.repo, cache, file.commit, file.path);
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  try {
    await symlink(relative(dirname(path), blob), path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error;
    await rename(blob, path);
  }
};

const lock_poll_ms = 500;

/** The lock that every tool of this cache takes for a blob; waits while another one has it. */
const lock = async ({ line, file, cache, note }: FetchJob): Promise<Disposable> => {
  const path = lockPath(file.repo, cache, file.etag);
  await mkdir(dirname(path), { recursive: true });
  const fd = openSync(path, "a", 0o644);
  try {
    for (let tries = 0; !tryLock(fd); tries++) {
      if (tries === 0) note(`Another program is fetching ${file.path}; waiting for it.`);
      await line.retry.wait(lock_poll_ms, line.signal);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
};

const sizeOf = async (path: string): Promise<number | undefined> => {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

const diskWords: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the disk is read-only",
  EACCES: "writing there is not allowed",
  EPERM: "writing there is not allowed",
  EIO: "the disk reports an error",
  ENOTDIR: "a file is in its place",
  EFBIG: "the file system does not take files of this size",
};

/** What the system says about a disk, as a Failure; undefined for anything else. */
export const diskFailure = (error: unknown, cache: string): Failure | undefined => {
  const { code } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : diskWords[code];
  if (words === undefined || error instanceof Failure) return undefined;
  return new Failure(
    "output.cache",
    `The cache ${quoted(cache, 300)} cannot be written: ${words}.`,
    {
      hint: "HF_HUB_CACHE or --cache names another place; what is fetched already is kept.",
      cause: error,
    },
  );
};
