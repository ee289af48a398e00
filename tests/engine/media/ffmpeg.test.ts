// Which encoder is taken, and what is said of those that do not work.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../../src/engine/failure.ts";
import { ffmpegCandidates, findFfmpeg } from "../../../src/engine/media/ffmpeg.ts";
import { fakeFfmpeg, ffmpeg } from "./film.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "framepack-ffmpeg-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const program = async (name: string, script: string): Promise<string> => {
  await mkdir(join(folder, name));
  return fakeFfmpeg(join(folder, name), script);
};

const refusal = async (promise: Promise<unknown>): Promise<Failure> => {
  const error = await promise.catch((reason: unknown) => reason);
  if (!(error instanceof Failure)) throw new Error(`expected a Failure, got ${String(error)}`);
  return error;
};

test("a program named by the user is the only candidate", () => {
  expect(ffmpegCandidates({ FRAMEPACK_FFMPEG: "/opt/ffmpeg", PATH: "/usr/bin" })).toEqual([
    { path: "/opt/ffmpeg", source: "FRAMEPACK_FFMPEG" },
  ]);
});

test("a bare name is looked up in PATH, and PATH comes before the launcher's copy", async () => {
  const path = await program("bin", 'exec "$FFMPEG" "$@"');
  const PATH = join(folder, "bin");

  expect(ffmpegCandidates({ FRAMEPACK_FFMPEG: "ffmpeg", PATH })[0]?.path).toBe(path);
  const sources = ffmpegCandidates({ PATH }).map(({ source }) => source);
  expect(sources.indexOf("PATH")).toBeLessThan((sources.indexOf("launcher") + 99) % 99);
});

test("a working encoder is found with its version", async () => {
  const found = await findFfmpeg([{ path: ffmpeg, source: "launcher" }]);

  expect(found).toMatchObject({ path: ffmpeg, source: "launcher", passedOver: [] });
  expect(found.version).toMatch(/\d/);
});

test("encoders that fail the one-frame trial are passed over, each with its reason", async () => {
  const silent = await program("silent", "exit 0");
  const old = await program("old", "echo \"Unknown encoder 'libx264'\" >&2; exit 1");
  const found = await findFfmpeg([
    { path: join(folder, "absent"), source: "ffmpeg-static" },
    { path: silent, source: "PATH" },
    { path: old, source: "PATH" },
    { path: ffmpeg, source: "launcher" },
  ]);

  expect(found.path).toBe(ffmpeg);
  expect(found.passedOver).toEqual([
    `${join(folder, "absent")} is not an executable file`,
    `${silent} ends without error but writes no file`,
    `${old} cannot encode H.264 (Unknown encoder 'libx264')`,
  ]);
});

test("no encoder at all is one sentence with code 7 that says what to do", async () => {
  const failure = await refusal(findFfmpeg([]));

  expect(failure).toMatchObject({ code: 7, id: "output.ffmpeg-missing" });
  expect(failure.hint).toBe("Install ffmpeg, or set FRAMEPACK_FFMPEG to one.");
});

test("what a broken encoder prints never reaches the terminal as it is", async () => {
  const rude = await program("rude", "printf '\\033]0;owned\\007' >&2; exit 1");
  const failure = await refusal(findFfmpeg([{ path: rude, source: "FRAMEPACK_FFMPEG" }]));

  expect(failure.message).not.toContain("\x1b");
  expect(failure.message).toContain("owned");
});
