// A download's progress as messages: at once for what matters, a few times a second for the rest.

import type { Download } from "../protocol.ts";
import type { FetchJob } from "./fetch-file.ts";
import { Meter } from "./meter.ts";

const between_ms = 250;

export class PullProgress {
  readonly #model: string;
  readonly #emit: (download: Download) => void;
  readonly #now: () => number;
  #meter: Meter;
  readonly #running: string[] = [];
  #kind: "running" | "verifying" = "running";
  #done = 0;
  #total = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(model: string, emit: (download: Download) => void, now: () => number) {
    this.#model = model;
    this.#emit = emit;
    this.#now = now;
    this.#meter = new Meter(now);
  }

  readonly listeners: Pick<FetchJob, "onBytes" | "onResumed" | "note"> = {
    onBytes: (bytes) => {
      this.#meter.add(bytes);
      this.#done += bytes;
      this.#sayNowAndThen();
    },
    onResumed: (bytes) => {
      this.#done += bytes;
      this.#sayNowAndThen();
    },
    note: (text) => this.#say(this.#kind, text),
  };

  begin(
    presentBytes: number,
    missingBytes: number,
    kind: "running" | "verifying" = "running",
  ): void {
    this.#kind = kind;
    this.#meter = new Meter(this.#now);
    this.#done = presentBytes;
    this.#total = presentBytes + missingBytes;
    this.#say(this.#kind, null);
  }

  fileBegun(path: string): void {
    this.#running.push(path);
    this.#sayNowAndThen();
  }

  fileFinished(path: string, what = "is complete."): void {
    this.#say(this.#kind, `${path} ${what}`);
    this.#running.splice(this.#running.indexOf(path), 1);
  }

  end(state: Download["state"], message: string | null): void {
    if (state === "finished") this.#done = this.#total;
    this.#running.length = 0;
    this.#say(state, message);
  }

  #sayNowAndThen(): void {
    if (this.#now() - this.#saidAt >= between_ms) this.#say(this.#kind, null);
  }

  #say(state: Download["state"], message: string | null): void {
    this.#saidAt = this.#now();
    const left = Math.max(0, this.#total - this.#done);
    this.#emit({
      model: this.#model,
      state,
      file: this.#running[0] ?? null,
      bytesDone: this.#done,
      bytesTotal: this.#total,
      bytesPerSecond: Math.round(this.#meter.bytesPerSecond()),
      leftMs: state === this.#kind ? this.#meter.leftMs(left) : null,
      message,
    });
  }
}
