// What a video is called and where its parts lie meanwhile. Nothing that exists is ever written
// over: a name is taken by creating the partial file, and the finished one never replaces another.

import { existsSync } from "node:fs";
import { constants, link, mkdir, open, rename, rm, unlink } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { isFolder } from "../is-folder.ts";
import { quoted } from "../printable.ts";

/** A file name from a prompt: its first words, in letters that need no quoting anywhere. */
export const nameFromPrompt = (prompt: string, words_max = 6): string => {
  const words = prompt
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .match(/[a-z0-9]+/g);
  const name = (words ?? []).slice(0, words_max).join("-").slice(0, 60);
  return name === "" ? "video" : name;
};

/**
 * The absolute path of the video to be. `asked` may be null (a name is made in ./outputs), a folder
 * (a name is made in it), or a file, which must not exist.
 */
export const chooseOutput = (
  asked: string | null,
  job: Readonly<{ prompt: string; seed: number }>,
): string => {
  if (asked === "") throw new Failure("usage.output-format", "--out needs a name.");
  if (asked !== null && !asked.endsWith("/") && !isFolder(asked)) {
    const path = resolve(extname(asked) === "" ? `${asked}.mp4` : asked);
    if (extname(path).toLowerCase() !== ".mp4") {
      throw new Failure("usage.output-format", `${quoted(asked)} does not end in .mp4.`, {
        hint: "Videos are written as MP4.",
      });
    }
    if (existsSync(path)) {
      throw new Failure("output.exists", `${quoted(path)} exists already.`, {
        hint: "Give another name with --out, or remove it.",
      });
    }
    return path;
  }
  const folder = resolve(asked ?? "outputs");
  return freeName(join(folder, `${nameFromPrompt(job.prompt)}-${job.seed}.mp4`));
};

/**
 * The same for a job that begins again: a file that exists, perhaps by the job itself, stays, and
 * the video gets the next free name.
 */
export const chooseOutputAgain = (
  asked: string | null,
  job: Readonly<{ prompt: string; seed: number }>,
): string =>
  asked?.endsWith(".mp4") && existsSync(asked) && !isFolder(asked)
    ? freeName(resolve(asked))
    : chooseOutput(asked, job);

/**
 * The path itself, or with -2, -3 … before the ending: the first that neither exists nor is being
 * made.
 */
const freeName = (path: string): string => {
  const stem = path.slice(0, -".mp4".length);
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${stem}-${n}.mp4`;
    if (!existsSync(candidate) && !existsSync(partialOf(candidate))) return candidate;
  }
};

/** The growing file beside the finished one. */
export const partialOf = (path: string): string => path.replace(/\.mp4$/i, ".partial.mp4");

/** Makes a folder and those above it. */
export const makeFolder = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    // EEXIST here means that a file has the folder's name.
    const code = (error as NodeJS.ErrnoException).code;
    throw outputFailure(code === "EEXIST" ? { code: "ENOTDIR" } : error, folder);
  }
};

/**
 * Makes the folder and takes the partial file's name. `again` accepts one that an earlier run left.
 */
export const takePartial = async (path: string, again: boolean): Promise<void> => {
  const partial = partialOf(path);
  try {
    await makeFolder(dirname(path));
    const flags = constants.O_CREAT | constants.O_WRONLY | (again ? 0 : constants.O_EXCL);
    await (await open(partial, flags, 0o644)).close();
  } catch (error) {
    throw outputFailure(error, partial);
  }
};

/** Gives the partial file its final name; should that exist by now, the next free one. */
export const publishFinal = async (path: string): Promise<string> => {
  const partial = partialOf(path);
  for (;;) {
    const final = existsSync(path) ? freeName(path) : path;
    try {
      // Unlike rename, link refuses to replace.
      await link(partial, final);
      await unlink(partial);
      return final;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EEXIST") continue;
      if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") {
        throw outputFailure(error, final);
      }
      // A file system without hard links (FAT, some network mounts).
      await rename(partial, final);
      return final;
    }
  }
};

/** Removes a partial file that holds nothing yet. */
export const dropPartial = (path: string): Promise<void> => rm(partialOf(path), { force: true });

/** The system's refusal to write, as one sentence. */
export const outputFailure = (error: unknown, path: string): Failure => {
  if (error instanceof Failure) return error;
  const code = String((error as NodeJS.ErrnoException | undefined)?.code);
  const name = quoted(path);
  switch (code) {
    case "EEXIST":
      return new Failure("output.exists", `${name} exists already.`, {
        hint: "Another job may be writing it; give another name with --out.",
      });
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new Failure("output.disk-full", `The disk is full: ${name} cannot be written.`, {
        cause: error,
        hint: "Free some space; what was finished before is kept.",
      });
    default: {
      const reasons: Record<string, string> = {
        EACCES: "you may not write there",
        EPERM: "you may not write there",
        EROFS: "the file system is read-only",
        ENOTDIR: "a part of the path is a file",
        ENOENT: "the folder cannot be made",
        ENAMETOOLONG: "the name is too long",
      };
      const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
      return new Failure("output.unwritable", `${name} cannot be written: ${reason}.`, {
        cause: error,
        hint: "Choose another place with --out.",
      });
    }
  }
};
