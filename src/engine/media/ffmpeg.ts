// Finding a video encoder that works, and running it. A candidate counts only after it has encoded
// one frame to a file, so that a broken one is found before anything is computed.

import { constants, existsSync } from "node:fs";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure } from "../failure.ts";
import { printable, quoted } from "../printable.ts";
import { colourArgs, encodeArgs } from "./x264.ts";

export type FfmpegSource = "FRAMEPACK_FFMPEG" | "ffmpeg-static" | "PATH" | "launcher";
export type Ffmpeg = Readonly<{
  path: string;
  source: FfmpegSource;
  /** As the program says it, for example "7.1.1" or "n9.0.2-17-g2a571b6068". */
  version: string;
  /** Candidates found before this one and why they were passed over. */
  passedOver: readonly string[];
}>;

/** How long the one-frame encode may take; a wrapper that waits for input never ends by itself. */
const probe_ms = 20_000;

/**
 * The first working encoder in the documented order, or a Failure that names all that were tried.
 */
export const findFfmpeg = async (
  candidates: readonly FfmpegCandidate[] = ffmpegCandidates(),
): Promise<Ffmpeg> => {
  const passedOver: string[] = [];
  for (const { path, source } of candidates) {
    const result = await probe(path);
    if ("version" in result) return { path, source, version: result.version, passedOver };
    if (source === "FRAMEPACK_FFMPEG") {
      // What the user named must work; quietly taking another would hide the mistake.
      throw new Failure(
        "output.ffmpeg-broken",
        `FRAMEPACK_FFMPEG names ${quoted(path)}, but it ${result.reason}.`,
        { hint: "Point it at an ffmpeg with libx264, or unset it." },
      );
    }
    passedOver.push(`${printable(path)} ${result.reason}`);
  }
  const tried = passedOver.length === 0 ? "" : ` (${passedOver.join("; ")})`;
  throw new Failure("output.ffmpeg-missing", `No working ffmpeg with libx264 was found${tried}.`, {
    hint: "Install ffmpeg, or set FRAMEPACK_FFMPEG to one.",
  });
};

export type FfmpegCandidate = Readonly<{ path: string; source: FfmpegSource }>;

/**
 * Where an encoder may be, in the order of preference; files that do not exist are left out, except
 * a named one.
 */
export const ffmpegCandidates = (
  env: Readonly<Record<string, string | undefined>> = process.env,
): readonly FfmpegCandidate[] => {
  const named = env.FRAMEPACK_FFMPEG;
  const search = { PATH: env.PATH ?? "" };
  if (named !== undefined && named !== "") {
    // A bare name is looked up, a path is taken as it is.
    const path = (named.includes("/") ? null : Bun.which(named, search)) ?? named;
    return [{ path, source: "FRAMEPACK_FFMPEG" }];
  }
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  return [
    { path: Bun.which(join(root, "node_modules/ffmpeg-static/ffmpeg")), source: "ffmpeg-static" },
    { path: Bun.which("ffmpeg", search), source: "PATH" },
    { path: Bun.which(join(root, ".tools/ffmpeg/ffmpeg")), source: "launcher" },
  ].filter((one): one is FfmpegCandidate => one.path !== null);
};

type Probe = Readonly<{ version: string } | { reason: string }>;

const probe = async (path: string): Promise<Probe> => {
  try {
    await access(path, constants.X_OK);
  } catch {
    return { reason: "is not an executable file" };
  }
  const folder = await mkdtemp(join(tmpdir(), "framepack-probe-"));
  try {
    const file = join(folder, "one.mp4");
    const source = ["-f", "lavfi", "-i", "color=gray:s=64x64:r=30", "-frames:v", "1"];
    const args = ["-y", ...source, ...encodeArgs({ crf: 16, fps: 30 }), ...colourArgs, file];
    const { code, stderr } = await runFfmpeg(path, args, { timeout_ms: probe_ms, banner: true });
    if (code !== 0)
      return { reason: `cannot encode H.264 (${lastLine(stderr) || `exit ${code}`})` };
    if (!existsSync(file)) return { reason: "ends without error but writes no file" };
    return { version: /ffmpeg version (\S+)/.exec(stderr)?.[1] ?? "unknown" };
  } catch (error) {
    return { reason: `does not run (${error instanceof Error ? error.message : String(error)})` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

export type FfmpegResult = Readonly<{ code: number; stderr: string }>;
type RunOptions = Readonly<{ timeout_ms?: number; signal?: AbortSignal; banner?: boolean }>;

/** Runs ffmpeg without input until it ends. Only files named in `args` are touched. */
export const runFfmpeg = async (
  path: string,
  args: readonly string[],
  { timeout_ms, signal, banner = false }: RunOptions = {},
): Promise<FfmpegResult> => {
  const child = spawnFfmpeg(path, ["-nostdin", ...args], "ignore", banner);
  const stop = () => child.kill("SIGKILL");
  const timer = timeout_ms === undefined ? undefined : setTimeout(stop, timeout_ms);
  signal?.addEventListener("abort", stop);
  try {
    const [stderr, code] = await Promise.all([tailOf(child.stderr), child.exited]);
    return { code, stderr };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
};

/** Starts ffmpeg in a session of its own: a Ctrl-C meant for us must not cut its file short. */
export const spawnFfmpeg = <In extends "pipe" | "ignore">(
  path: string,
  args: readonly string[],
  stdin: In,
  banner = false,
) => {
  const quiet = banner ? ["-loglevel", "info", "-nostats"] : ["-hide_banner", "-loglevel", "error"];
  return Bun.spawn([path, ...quiet, ...args], {
    stdin,
    stdout: "ignore",
    stderr: "pipe",
    detached: true,
  });
};

/** The start and the end of a stream: a broken encoder may print without end. */
export const tailOf = async (stream: ReadableStream<Uint8Array>): Promise<string> => {
  const kept_max = 16_384;
  const decoder = new TextDecoder();
  let head = "";
  let tail = "";
  for await (const chunk of stream) {
    const text = decoder.decode(chunk, { stream: true });
    if (head.length < kept_max) head += text;
    else tail = (tail + text).slice(-kept_max);
  }
  return head + tail;
};

/** The last line that says something, for one sentence. */
export const lastLine = (stderr: string): string => {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return printable((lines.at(-1) ?? "").trim(), 300).replace(/\.$/, "");
};

/** An encoder's failure as one sentence; a full disk is told apart from the rest. */
export const encoderFailure = (result: FfmpegResult, file: string): Failure => {
  const { code, stderr } = result;
  if (/no space left on device|disk quota exceeded|file too large/i.test(stderr)) {
    return new Failure("output.disk-full", `The disk is full: ${quoted(file)} cannot be written.`, {
      hint: "Free some space; what was finished before is kept.",
    });
  }
  const why = lastLine(stderr);
  const ended = code > 128 ? `was killed by signal ${code - 128}` : `ended with code ${code}`;
  return new Failure(
    "output.encoder-died",
    `ffmpeg ${ended} while writing ${quoted(file)}${why === "" ? "" : `: ${why}`}.`,
    { hint: "What was finished before is kept; framepack doctor checks the encoder." },
  );
};
