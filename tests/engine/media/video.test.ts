// The video writer against a real ffmpeg: order, exact frames and times, growth, failures.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { Failure } from "../../../src/engine/failure.ts";
import { readMetadata } from "../../../src/engine/media/metadata.ts";
import type { FilmEnd, FrameSink } from "../../../src/engine/media/sink.ts";
import { type VideoOptions, videoSink } from "../../../src/engine/media/video.ts";
import { decode, describe, fakeFfmpeg, ffmpeg, frames, frameTable, lumaOf, psnr } from "./film.ts";

const width = 48;
const height = 32;
const frameBytes = width * height * 3;

let folder = "";
let named: string | undefined;
beforeAll(() => {
  named = process.env.FRAMEPACK_FFMPEG;
});
afterAll(() => {
  if (named === undefined) delete process.env.FRAMEPACK_FFMPEG;
  else process.env.FRAMEPACK_FFMPEG = named;
});

const inFolder = (name: string, body: () => Promise<void>): void => {
  test(name, async () => {
    folder = await mkdtemp(join(tmpdir(), "framepack-video-"));
    process.env.FRAMEPACK_FFMPEG = ffmpeg;
    try {
      await body();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
};

const open = (options: Partial<VideoOptions> = {}): FrameSink =>
  videoSink({
    out: join(folder, "film.mp4"),
    workDir: join(folder, "work"),
    framesDir: null,
    crf: 16,
    recipe: { seed: 31337 },
    title: "a film",
    ...options,
  });

const info = (grows: FilmEnd, framesExpected: number) => ({
  width,
  height,
  fps: 30,
  framesExpected,
  grows,
});

/**
 * What the section loop gives in section `s` of `sections`; answers which frames the film shows
 * then.
 */
const section = async (sink: FrameSink, grows: FilmEnd, s: number, sections: number) => {
  const total = 36 * sections + 1;
  const rest = s === sections - 1 ? 0 : 33;
  const shown = rest === 0 ? total : (grows === "front" ? 33 : 37) + 36 * s;
  const before = s === 0 ? 0 : (grows === "front" ? 0 : 4) + 36 * (s - 1);
  const n = shown - rest - before;
  if (grows === "front") {
    await sink.segment(frames(total - before - n, total - before), n);
    await sink.provisional(frames(total - shown, total - shown + rest), rest);
    return { from: total - shown, to: total };
  }
  await sink.segment(frames(before, before + n), n);
  await sink.provisional(frames(before + n, shown), rest);
  return { from: 0, to: shown };
};

const expectFilm = async (path: string, from: number, to: number): Promise<void> => {
  const { times, hashes, timebase } = await frameTable(path);
  expect(timebase).toBe("1/30");
  expect(times).toEqual(Array.from({ length: to - from }, (_, i) => i));
  expect(new Set(hashes).size).toBe(to - from);
  expect(Math.min(...psnr(await decode(path), frames(from, to), frameBytes))).toBeGreaterThan(28);
};

for (const grows of ["front", "back"] as const) {
  inFolder(`a film that grows at the ${grows} plays in order after every section`, async () => {
    const sink = open();
    await sink.begin(info(grows, 145));

    for (let s = 0; s < 4; s++) {
      const { from, to } = await section(sink, grows, s, 4);
      const film = await sink.publish();
      expect(film.frames).toBe(to - from);
      await expectFilm(film.path, from, to);
    }
    const film = await sink.finish();

    expect(film).toMatchObject({ path: join(folder, "film.mp4"), frames: 145 });
    await expectFilm(film.path, 0, 145);
    expect(readdirSync(folder)).toEqual(["film.mp4"]);
  });
}

inFolder("joining neither loses nor repeats a frame of segments of any length", async () => {
  const sink = open();
  const lengths = [1, 2, 3, 4, 5, 7, 36, 33, 1, 1];
  await sink.begin(info("back", 93));

  let at = 0;
  for (const n of lengths) {
    await sink.segment(frames(at, at + n), n);
    at += n;
  }
  const film = await sink.finish();

  await expectFilm(film.path, 0, 93);
});

inFolder("joined segments decode to exactly what each decodes to alone", async () => {
  const sink = open();
  await sink.begin(info("front", 72));
  await sink.segment(frames(36, 72), 36);
  await sink.segment(frames(0, 36), 36);
  await sink.publish();

  const alone = [];
  for (const { file } of sink.state().segments) {
    alone.push(...(await frameTable(join(folder, "work", file))).hashes);
  }
  const film = await sink.finish();

  expect((await frameTable(film.path)).hashes).toEqual(alone);
});

inFolder("the same frames give the same bytes, whatever the file is called", async () => {
  const sums = [];
  for (const name of ["one", "two"]) {
    const out = join(folder, `${name}.mp4`);
    const recipe = { seed: 1, out, threads: sums.length };
    const sink = open({ out, workDir: join(folder, name), recipe });
    await sink.begin(info("front", 109));
    for (let s = 0; s < 3; s++) {
      await section(sink, "front", s, 3);
      await sink.publish();
    }
    const film = await sink.finish();
    sums.push(Bun.hash(await Bun.file(film.path).bytes()));
  }

  expect(sums[0]).toBe(sums[1] ?? 0n);
});

inFolder("the file is tagged BT.709, and red becomes BT.709's red", async () => {
  const sink = open();
  await sink.begin(info("back", 2));
  const red = new Uint8Array(2 * frameBytes).map((_, i) => (i % 3 === 0 ? 255 : 0));
  await sink.segment(red, 2);
  const film = await sink.finish();

  expect(await describe(film.path)).toContain("yuv420p(tv, bt709");
  const luma = await lumaOf(film.path);
  // 16 + 219 · 0.2126 = 63; BT.601 would give 81.
  expect(Math.abs((luma[0] ?? 0) - 63)).toBeLessThanOrEqual(1);
});

inFolder("the recipe comes back from the file's metadata, whatever is in it", async () => {
  const recipe = { prompt: `= ; # \\ \n "quoted" 'x' ${"💃".repeat(5000)}`, seed: -1 };
  const sink = open({ recipe, title: "=a;b\\" });
  await sink.begin(info("back", 1));
  await sink.segment(frames(0, 1), 1);
  const film = await sink.finish();

  const found = await readMetadata(ffmpeg, film.path);

  expect(JSON.parse(found.framepack ?? "")).toEqual(recipe);
  expect(found.title).toBe("=a;b\\ ");
});

inFolder("no tag of the file can act on the terminal of a tool that prints it", async () => {
  const nasty = "a\x1b[31m\x9b31m\u202eb\x07";
  const sink = open({ recipe: { prompt: nasty }, title: nasty });
  await sink.begin(info("back", 1));
  await sink.segment(frames(0, 1), 1);
  const film = await sink.finish();

  const found = await readMetadata(ffmpeg, film.path);

  const printed = `${found.framepack}${found.title}`;
  expect(
    [...printed].every((char) => char >= " " && !/[\u007f-\u009f\u202e]/.test(char)),
  ).toBeTrue();
  expect(JSON.parse(found.framepack ?? "")).toEqual({ prompt: nasty });
});

inFolder("the index of a finished file stands before its pictures", async () => {
  const sink = open();
  await sink.begin(info("back", 4));
  await sink.segment(frames(0, 4), 4);
  const film = await sink.finish();

  const bytes = Buffer.from(await Bun.file(film.path).arrayBuffer());
  expect(bytes.indexOf("moov")).toBeGreaterThan(0);
  expect(bytes.indexOf("moov")).toBeLessThan(bytes.indexOf("mdat"));
});

inFolder("frames become PNGs numbered by their place in the film, end first or not", async () => {
  const sink = open({ framesDir: join(folder, "png") });
  await sink.begin(info("front", 73));
  await section(sink, "front", 0, 2);
  await sink.publish();
  expect(existsSync(join(folder, "png", "00040.png"))).toBeFalse();
  await section(sink, "front", 1, 2);
  await sink.finish();

  expect(readdirSync(join(folder, "png")).length).toBe(73);
  const picture = await sharp(join(folder, "png", "00072.png"))
    .raw()
    .toBuffer();
  expect(Buffer.compare(picture, Buffer.from(frames(72, 73)))).toBe(0);
});

inFolder("a film stopped early keeps what was published, and its parts", async () => {
  const sink = open();
  await sink.begin(info("front", 145));
  const { from, to } = await section(sink, "front", 0, 4);
  await sink.publish();
  await section(sink, "front", 1, 4);
  await sink.abandon();

  await expectFilm(join(folder, "film.partial.mp4"), from, to);
  expect(existsSync(join(folder, "film.mp4"))).toBeFalse();
});

inFolder("a film stopped before its first section leaves nothing in the folder", async () => {
  const sink = open();
  await sink.begin(info("front", 145));
  await sink.abandon();

  expect(readdirSync(folder)).toEqual(["work"]);
});

inFolder("another process goes on from a film's state", async () => {
  const first = open();
  await first.begin(info("front", 109));
  await section(first, "front", 0, 3);
  await section(first, "front", 1, 3);
  await first.publish();
  const resume = structuredClone(first.state());
  await first.abandon();

  const second = open();
  await second.begin({ ...info("front", 109), resume });
  await section(second, "front", 2, 3);
  const film = await second.finish();

  await expectFilm(film.path, 0, 109);
});

const failureOf = async (promise: Promise<unknown>): Promise<Failure> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error(`expected a Failure, got ${String(error)}`);
  return error;
};

inFolder(
  "an encoder that dies half way is one sentence with code 7, and the film stays",
  async () => {
    const sink = open();
    await sink.begin(info("back", 200));
    await sink.segment(frames(0, 36), 36);
    const { path } = await sink.publish();
    process.env.FRAMEPACK_FFMPEG = ffmpeg;
    const dying = open({ out: join(folder, "b.mp4"), workDir: join(folder, "b") });
    // Encodes the probe's frame, then dies after some input.
    process.env.FRAMEPACK_FFMPEG = await fakeFfmpeg(
      folder,
      'case "$*" in *pipe:0*) head -c 100000 >/dev/null; echo "x264 [error]: gone" >&2; exit 9;; esac; exec "$FFMPEG" "$@"',
    );
    await dying.begin(info("back", 2000));
    await dying.segment(frames(0, 200), 200);

    const failure = await failureOf(dying.publish());

    expect(failure).toMatchObject({ code: 7, id: "output.encoder-died" });
    expect(failure.message).toContain("x264 [error]: gone");
    await dying.abandon();
    expect(existsSync(join(folder, "b.partial.mp4"))).toBeFalse();
    await expectFilm(path, 0, 36);
    await sink.abandon();
  },
);

inFolder("an encoder killed by a signal is reported", async () => {
  process.env.FRAMEPACK_FFMPEG = await fakeFfmpeg(
    folder,
    'case "$*" in *pipe:0*) head -c 1000 >/dev/null; kill -9 $$;; esac; exec "$FFMPEG" "$@"',
  );
  const sink = open();
  await sink.begin(info("back", 200));
  await sink.segment(frames(0, 100), 100);

  expect(await failureOf(sink.finish())).toMatchObject({ code: 7, id: "output.encoder-died" });
  await sink.abandon();
});

inFolder(
  "a disk that fills while encoding is named as such, and the film before it plays",
  async () => {
    // A limit on file size stands in for the full disk: writing fails in the same place.
    process.env.FRAMEPACK_FFMPEG = await fakeFfmpeg(
      folder,
      'trap "" XFSZ; [ -e "$(dirname "$0")/full" ] && ulimit -f 4; exec "$FFMPEG" "$@"',
    );
    const sink = open();
    await sink.begin(info("back", 200));
    await sink.segment(frames(0, 36), 36);
    const { path } = await sink.publish();
    await Bun.write(join(folder, "full"), "");
    const noise = crypto.getRandomValues(new Uint8Array(36 * frameBytes));
    await sink.segment(noise, 36);

    const failure = await failureOf(sink.publish());

    expect(failure).toMatchObject({ code: 7, id: "output.disk-full" });
    await sink.abandon();
    await expectFilm(path, 0, 36);
  },
);

inFolder("a named encoder that does not work is refused before anything else", async () => {
  process.env.FRAMEPACK_FFMPEG = await fakeFfmpeg(folder, "echo broken >&2; exit 1");

  const failure = await failureOf(open().begin(info("back", 1)));

  expect(failure).toMatchObject({ code: 7, id: "output.ffmpeg-broken" });
  expect(failure.message).toContain("cannot encode H.264 (broken)");
});

inFolder("a place that cannot be written is refused before anything is encoded", async () => {
  await Bun.write(join(folder, "file"), "");

  const under = open({ out: join(folder, "file", "film.mp4") });
  const proc = open({ out: "/proc/framepack/film.mp4", workDir: join(folder, "w2") });

  expect(await failureOf(under.begin(info("back", 1)))).toMatchObject({
    code: 7,
    id: "output.unwritable",
  });
  expect(await failureOf(proc.begin(info("back", 1)))).toMatchObject({ code: 7 });
});

inFolder("two films of one name cannot be made at once", async () => {
  const one = open();
  await one.begin(info("back", 1));

  expect(await failureOf(open().begin(info("back", 1)))).toMatchObject({ id: "output.exists" });
  await one.abandon();
});

inFolder("a film that came up meanwhile under the same name is not written over", async () => {
  const sink = open();
  await sink.begin(info("back", 2));
  await sink.segment(frames(0, 2), 2);
  await Bun.write(join(folder, "film.mp4"), "somebody's");

  const film = await sink.finish();

  expect(film.path).toBe(join(folder, "film-2.mp4"));
  expect(await Bun.file(join(folder, "film.mp4")).text()).toBe("somebody's");
});

inFolder("more than the disk holds is refused before anything is computed", async () => {
  const failure = await failureOf(open().begin({ ...info("back", 4e9), width: 960, height: 960 }));

  expect(failure).toMatchObject({ code: 7, id: "output.no-space" });
  expect(existsSync(join(folder, "film.partial.mp4"))).toBeFalse();
});
