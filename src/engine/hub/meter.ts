// How fast a download is and how long it has still to go, from what came in the last seconds.

const window_ms = 8000;

export class Meter {
  readonly #now: () => number;
  readonly #samples: { at: number; fetched: number }[] = [];
  #fetched = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#samples.push({ at: now(), fetched: 0 });
  }

  add(bytes: number): void {
    this.#fetched += bytes;
    const at = this.#now();
    const last = this.#samples.at(-1);
    // A sample for every tenth of a second is plenty.
    if (last !== undefined && this.#samples.length > 1 && at - last.at < 100) {
      last.fetched = this.#fetched;
    } else {
      this.#samples.push({ at, fetched: this.#fetched });
    }
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > window_ms) {
      this.#samples.shift();
    }
  }

  bytesPerSecond(): number {
    const first = this.#samples[0];
    const ms = this.#now() - (first?.at ?? 0);
    return first === undefined || ms <= 0 ? 0 : ((this.#fetched - first.fetched) * 1000) / ms;
  }

  /** Null while nothing comes. */
  leftMs(bytes: number): number | null {
    const speed = this.bytesPerSecond();
    return speed > 0 ? (bytes / speed) * 1000 : null;
  }
}
