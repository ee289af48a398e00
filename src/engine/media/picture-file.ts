// Reading the bytes of a start picture from disk: only a regular file of sensible size, and only a
// picture format that holds nothing but pixels. What the bytes show is picture.ts's business.

import { constants, type Stats } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";

/** Larger files are refused unread: 200 megapixels of 16-bit colour fit uncompressed four times. */
export const pictureBytesMax = 512 * 1024 * 1024;

export type PictureFormat = "jpeg" | "png" | "webp" | "gif" | "tiff" | "avif";

export type PictureFile = Readonly<{ bytes: Buffer; format: PictureFormat }>;

export const readPictureFile = async (path: string): Promise<PictureFile> => {
  if (path === "") throw new Failure("input.no-picture", "No picture was given.", askForPicture);
  const bytes = await readRegularFile(path);
  return { bytes, format: formatOf(bytes, path) };
};

const askForPicture = { hint: "Give one with --image FILE." };
const knownFormats = "JPEG, PNG, WebP, GIF, TIFF and AVIF pictures can be read.";

const readRegularFile = async (path: string): Promise<Buffer> => {
  let file: FileHandle | undefined;
  try {
    // Looked at before it is opened: opening a device can already do something.
    refuseUnlessRegular(await stat(path), path);
    // Should it have become a pipe since, opening must not wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const info = await file.stat();
    refuseUnlessRegular(info, path);
    return await readUpTo(file, info.size, path);
  } catch (error) {
    throw error instanceof Failure ? error : systemFailure(error, path);
  } finally {
    await file?.close();
  }
};

const refuseUnlessRegular = (info: Stats, path: string): void => {
  const kind = info.isDirectory()
    ? "a folder"
    : info.isFIFO()
      ? "a pipe"
      : info.isSocket()
        ? "a socket"
        : info.isFile()
          ? undefined
          : "a device";
  if (kind !== undefined) {
    throw new Failure("input.not-a-file", `${quoted(path)} is ${kind}, not a picture file.`);
  }
  if (info.size === 0) {
    throw new Failure("input.picture-empty", `The picture ${quoted(path)} is an empty file.`);
  }
  if (info.size > pictureBytesMax) {
    const mib = Math.round(info.size / 2 ** 20);
    throw new Failure(
      "input.picture-huge",
      `The picture ${quoted(path)} has ${mib} MiB; at most 512 MiB are read.`,
      { hint: "Save it smaller." },
    );
  }
};

/** Reads the size that was checked, not whatever the file has grown to meanwhile. */
const readUpTo = async (file: FileHandle, size: number, path: string): Promise<Buffer> => {
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  if (filled === 0) {
    throw new Failure("input.picture-empty", `The picture ${quoted(path)} is an empty file.`);
  }
  return bytes.subarray(0, filled);
};

const systemFailure = (error: unknown, path: string): Failure => {
  const code = error instanceof Error ? String((error as NodeJS.ErrnoException).code) : "";
  const name = quoted(path);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new Failure("input.picture-missing", `There is no picture at ${name}.`, {
        cause: error,
        hint: "Check the path.",
      });
    case "EACCES":
    case "EPERM":
      return new Failure("input.picture-forbidden", `The picture ${name} may not be read by you.`, {
        cause: error,
        hint: "Change its permissions or copy it.",
      });
    default: {
      const reason = code === "" || code === "undefined" ? String(error) : code;
      const text = `The picture ${name} cannot be read (${reason}).`;
      return new Failure("input.picture-unreadable", text, { cause: error });
    }
  }
};

/** The format by its first bytes; never by the name. */
const formatOf = (bytes: Buffer, path: string): PictureFormat => {
  const at = (offset: number, text: string): boolean =>
    bytes.toString("latin1", offset, offset + text.length) === text;
  if (at(0, "\xff\xd8\xff")) return "jpeg";
  if (at(0, "\x89PNG\r\n\x1a\n")) return "png";
  if (at(0, "RIFF") && at(8, "WEBP")) return "webp";
  if (at(0, "GIF87a") || at(0, "GIF89a")) return "gif";
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].some((magic) => at(0, magic))) return "tiff";
  if (at(4, "ftyp") && /avif|avis/.test(bytes.toString("latin1", 8, 64))) return "avif";
  throw unknownFormat(bytes, path);
};

const unknownFormat = (bytes: Buffer, path: string): Failure => {
  const start = bytes.toString("latin1", 0, 1024).trimStart();
  const isVideo = start.slice(4, 8) === "ftyp" || start.startsWith("\x1aE\xdf\xa3");
  const what = /^(<\?xml|<!--|<!DOCTYPE svg|<svg)/i.test(start)
    ? "is a drawing (SVG), which can point at other files"
    : start.startsWith("%PDF") || start.startsWith("%!PS")
      ? "is a document"
      : isVideo && /heic|heix|mif1|heif/.test(start.slice(8, 64))
        ? "is a HEIC picture, which this build cannot decode"
        : isVideo
          ? "is a video"
          : "is not a picture";
  return new Failure("input.not-a-picture", `${quoted(path)} ${what}.`, {
    hint: knownFormats,
  });
};
