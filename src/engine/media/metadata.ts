// The recipe inside the video file: written as ffmpeg's metadata text, read back from a finished
// file.

import { Failure } from "../failure.ts";
import { printable, quoted } from "../printable.ts";
import { lastLine } from "./ffmpeg.ts";

/** The key that holds the recipe as JSON; ffprobe shows it under this name. */
export const recipeKey = "framepack";

/** The tags of a film. Tools print them as they are: nothing in them may act on a terminal. */
export const filmMetadata = (
  title: string,
  recipe: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> => {
  const kept = Object.entries(recipe).filter(([key]) => !aside.has(key));
  const json = JSON.stringify(Object.fromEntries(kept));
  return { title: printable(title, 200), [recipeKey]: json.replace(unsafeInJson, jsonEscape) };
};

/**
 * Settings that no frame depends on. Left out, the same job gives the same bytes under any name, on
 * any number of cores.
 */
const aside: ReadonlySet<string> = new Set(["out", "frames", "threads", "device"]);

/**
 * What JSON leaves as it is, but a terminal would act on: DEL, C1 controls and marks that turn the
 * text's direction.
 */
const unsafeInJson = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const jsonEscape = (char: string): string =>
  `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Metadata in the form that `-f ffmetadata` reads. */
export const metadataText = (metadata: Readonly<Record<string, string>>): string =>
  [
    ";FFMETADATA1",
    ...Object.entries(metadata).map(([key, text]) => `${escaped(key)}=${escaped(text)}`),
    "",
  ].join("\n");

/** The metadata of a video file, as ffmpeg tells it. */
export const readMetadata = async (
  ffmpeg: string,
  path: string,
): Promise<Readonly<Record<string, string>>> => {
  const args = ["-nostdin", "-hide_banner", "-loglevel", "error"];
  // A path like "concat:x" or "http://…" must stay the name of a file.
  const child = Bun.spawn([ffmpeg, ...args, "-i", `file:${path}`, "-f", "ffmetadata", "-"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) {
    throw new Failure("input.not-a-video", `${quoted(path)} cannot be read: ${lastLine(stderr)}.`);
  }
  return parseMetadata(text);
};

export const parseMetadata = (text: string): Readonly<Record<string, string>> => {
  const found: Record<string, string> = {};
  let key: string | undefined;
  let part = "";
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === "\\") {
      i += 1;
      part += text.charAt(i);
    } else if (char === "=" && key === undefined) {
      key = part;
      part = "";
    } else if (char === "\n") {
      // Section lines and comments have no key.
      if (key !== undefined) found[key] = part;
      key = undefined;
      part = "";
    } else part += char;
  }
  return found;
};

/**
 * ffmpeg takes an escaped backslash at the end of a line for a continued line: a space keeps it
 * from the end.
 */
const escaped = (text: string): string =>
  text.replace(/\\$/, "\\ ").replace(/[=;#\\\n]/g, (char) => `\\${char}`);
