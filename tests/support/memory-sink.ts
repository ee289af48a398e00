// A film that is kept in memory: what a job gives its sink, for tests that look at frames and not
// at files.

import type { Film, FilmInfo, FilmState, FrameSink } from "../../src/engine/media/sink.ts";

export class MemorySink implements FrameSink {
  /** Final frames in film order. */
  frames: Uint8Array = new Uint8Array(0);
  open: Uint8Array = new Uint8Array(0);
  info: FilmInfo | undefined;
  ended: "finished" | "abandoned" | undefined;
  /** After so many sections the next call fails with this. */
  fails: { after: number; with: Error } | undefined;
  published = 0;

  /** `frames` of an earlier run stand in for segments on disk. */
  constructor(frames: Uint8Array = new Uint8Array(0)) {
    this.frames = frames;
  }

  begin(info: FilmInfo): Promise<void> {
    this.info = info;
    return Promise.resolve();
  }

  segment(frames: Uint8Array, n: number): Promise<void> {
    const { width, height, grows } = this.begun();
    if (frames.length !== n * width * height * 3) throw new Error(`${n} frames have another size`);
    this.open = new Uint8Array(0);
    const parts = grows === "front" ? [frames, this.frames] : [this.frames, frames];
    this.frames = new Uint8Array(Buffer.concat(parts));
    return Promise.resolve();
  }

  provisional(frames: Uint8Array): Promise<void> {
    this.open = frames;
    return Promise.resolve();
  }

  publish(): Promise<Film> {
    if (this.fails !== undefined && this.published >= this.fails.after) {
      return Promise.reject(this.fails.with);
    }
    this.published += 1;
    return Promise.resolve(this.film());
  }

  state(): FilmState {
    return { segments: [] };
  }

  finish(): Promise<Film> {
    this.ended = "finished";
    return Promise.resolve(this.film());
  }

  abandon(): Promise<void> {
    this.ended = "abandoned";
    return Promise.resolve();
  }

  private film(): Film {
    const { width, height } = this.begun();
    const bytes = this.frames.length + this.open.length;
    // The path is of a file that exists: a job hashes what it finished.
    return { path: import.meta.path, frames: bytes / (width * height * 3), bytes };
  }

  private begun(): FilmInfo {
    if (this.info === undefined) throw new Error("the sink was used before begin()");
    return this.info;
  }
}
