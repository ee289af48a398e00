// Video out. Each final frame is encoded once, into a segment of its section; only frames that the
// next section will replace are encoded again. Segments are joined without encoding into a file
// beside the final name that grows and plays after every section, and is renamed when whole.

import { existsSync } from "node:fs";
import { rm, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../failure.ts";
import { quoted } from "../printable.ts";
import { size } from "../words.ts";
import { findFfmpeg } from "./ffmpeg.ts";
import { takeFrameFolder, writeFrameFiles } from "./frame-files.ts";
import { joinSegments, type Segment } from "./join.ts";
import { filmMetadata } from "./metadata.ts";
import { dropPartial, makeFolder, partialOf, publishFinal, takePartial } from "./output-name.ts";
import { encodeSegment } from "./segment.ts";
import type { Film, FilmInfo, FilmState, FrameSink } from "./sink.ts";
import { filmBytesEstimate } from "./x264.ts";

export type VideoOptions = Readonly<{
  /** Absolute path of the finished video, from `chooseOutput`. */
  out: string;
  /** For segments; made if need be. A job that is to be resumed keeps it. */
  workDir: string;
  /** Every final frame goes here as PNG too; null for none. */
  framesDir: string | null;
  crf: number;
  /** Everything that decided what the film shows; goes into the file as JSON. */
  recipe: Readonly<Record<string, unknown>>;
  /** Shown by players. */
  title: string;
}>;

export const videoSink = (options: VideoOptions): FrameSink => new Video(options);

/** The frames themselves are kept only where PNGs may have to be made of them. */
type Provisional = Readonly<{ segment: Segment; frames: Uint8Array | null }>;

class Video implements FrameSink {
  readonly #options: VideoOptions;
  readonly #stop = new AbortController();
  #info: FilmInfo | undefined;
  #ffmpeg = "";
  /** In film order. */
  #segments: Segment[] = [];
  /** At the growing end, until the next section's frames take its place. */
  #provisional: Provisional | undefined;
  #made = 0;
  #published = false;
  /** Encoding goes on behind the caller's back, one thing after another; its failure waits here. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: VideoOptions) {
    this.#options = options;
  }

  async begin(info: FilmInfo): Promise<void> {
    const { out, workDir, framesDir, crf } = this.#options;
    const again = info.resume !== undefined;
    this.#ffmpeg = (await findFfmpeg()).path;
    this.#info = info;
    this.#segments = [...(info.resume?.segments ?? [])];
    await makeFolder(workDir);
    for (const { file } of this.#segments) refuseIfMissing(workDir, file);
    await takePartial(out, again);
    this.#published = again;
    try {
      await refuseIfFull(dirname(out), { ...info, frames: info.framesExpected, crf });
      if (framesDir !== null) await takeFrameFolder(framesDir, again);
    } catch (error) {
      if (!again) await dropPartial(out);
      throw error;
    }
  }

  async segment(frames: Uint8Array, n: number): Promise<void> {
    const info = this.#checked(frames, n);
    // At most one section's frames wait here, whatever the encoder's speed: memory stays flat.
    await this.#work;
    if (n === 0) return;
    this.#dropProvisional();
    const first = this.#firstOf(info, n);
    const segment = { file: this.#newName("final"), frames: n };
    this.#segments =
      info.grows === "back" ? [...this.#segments, segment] : [segment, ...this.#segments];
    this.#enqueue(async () => {
      await this.#encode(frames, segment.file);
      await this.#writeFrames(frames, first);
    });
  }

  async provisional(frames: Uint8Array, n: number): Promise<void> {
    this.#checked(frames, n);
    this.#dropProvisional();
    if (n === 0) return;
    const segment = { file: this.#newName("provisional"), frames: n };
    this.#provisional = { segment, frames: this.#options.framesDir === null ? null : frames };
    this.#enqueue(() => this.#encode(frames, segment.file));
  }

  async publish(): Promise<Film> {
    await this.#work;
    const path = partialOf(this.#options.out);
    const film = await this.#join(path);
    this.#published = true;
    return film;
  }

  state(): FilmState {
    return { segments: this.#segments };
  }

  async finish(): Promise<Film> {
    const { out, workDir } = this.#options;
    const info = this.#begun();
    await this.#work;
    const rest = this.#provisional;
    if (rest?.frames)
      await this.#writeFrames(rest.frames, this.#firstOf(info, rest.segment.frames));
    const film = await this.#join(partialOf(out));
    const path = await publishFinal(out);
    await rm(workDir, { recursive: true, force: true });
    return { ...film, path };
  }

  async abandon(): Promise<void> {
    this.#stop.abort(new Failure("interrupted.video", "The video was given up."));
    // What it fails with is the abort itself, or was reported to the caller already.
    await this.#work.catch(() => undefined);
    if (!this.#published) await dropPartial(this.#options.out);
  }

  #begun(): FilmInfo {
    if (this.#info === undefined) throw new Error("the sink was used before begin()");
    return this.#info;
  }

  #checked(frames: Uint8Array, n: number): FilmInfo {
    const info = this.#begun();
    const want = n * info.height * info.width * 3;
    if (frames.length !== want) {
      throw new Error(
        `${n} frames of ${info.width}×${info.height} have ${want} bytes, not ${frames.length}`,
      );
    }
    return info;
  }

  /** Where in the finished film the next n frames at the growing end lie. */
  #firstOf({ grows, framesExpected }: FilmInfo, n: number): number {
    const done = this.#segments.reduce((sum, segment) => sum + segment.frames, 0);
    return grows === "back" ? done : Math.max(0, framesExpected - done - n);
  }

  #dropProvisional(): void {
    const old = this.#provisional?.segment.file;
    this.#provisional = undefined;
    if (old === undefined) return;
    this.#enqueue(() => rm(join(this.#options.workDir, old), { force: true }));
  }

  #newName(kind: "final" | "provisional"): string {
    // Unique over a resume too: a provisional file of the run before is never mistaken for a new
    // one.
    for (;;) {
      const file = `${kind}-${String(this.#made++).padStart(4, "0")}.mp4`;
      if (!existsSync(join(this.#options.workDir, file))) return file;
    }
  }

  #enqueue(task: () => Promise<void>): void {
    this.#work = this.#work.then(task);
    // The failure stays in #work, for the next call to meet; it must not count as unhandled till
    // then.
    this.#work.catch(() => undefined);
  }

  #encode(frames: Uint8Array, file: string): Promise<void> {
    const { crf, workDir } = this.#options;
    const signal = this.#stop.signal;
    const settings = { ...this.#begun(), ffmpeg: this.#ffmpeg, crf, signal };
    return encodeSegment(frames, join(workDir, file), settings);
  }

  async #writeFrames(frames: Uint8Array, first: number): Promise<void> {
    const { framesDir } = this.#options;
    if (framesDir === null) return;
    await writeFrameFiles(frames, this.#begun(), framesDir, first, this.#stop.signal);
  }

  async #join(path: string): Promise<Film> {
    const { workDir, recipe, title } = this.#options;
    const { fps, grows } = this.#begun();
    const extra = this.#provisional === undefined ? [] : [this.#provisional.segment];
    const segments =
      grows === "back" ? [...this.#segments, ...extra] : [...extra, ...this.#segments];
    if (segments.length === 0) throw new Error("a film without frames was published");
    const bytes = await joinSegments(segments, path, {
      ffmpeg: this.#ffmpeg,
      folder: workDir,
      fps,
      metadata: filmMetadata(title, recipe),
      signal: this.#stop.signal,
    });
    return { path, frames: segments.reduce((sum, segment) => sum + segment.frames, 0), bytes };
  }
}

const refuseIfMissing = (workDir: string, file: string): void => {
  if (existsSync(join(workDir, file))) return;
  const path = join(workDir, file);
  throw new Failure("output.part-missing", `The finished part ${quoted(path)} is gone.`, {
    hint: "The job cannot go on from here; start it again.",
  });
};

type Estimated = Readonly<{ width: number; height: number; frames: number; crf: number }>;

/** Segments, the growing file and its successor lie on the disk at once. */
const refuseIfFull = async (folder: string, film: Estimated): Promise<void> => {
  const need = 3 * filmBytesEstimate(film);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= need) return;
  throw new Failure(
    "output.no-space",
    `The video needs about ${size(need)} while it is made, ` +
      `but ${quoted(folder)} has ${size(free)} left.`,
    { hint: "Free some space or choose another place with --out." },
  );
};
