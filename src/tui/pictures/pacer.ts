// Sends pictures no faster than the terminal takes them: a few units in flight, each ended by a status question whose answer
// says it was drawn. What is newer replaces what was not sent yet. Keys never wait behind pictures this way.

/** What is shown at one place; newer work for it replaces older. */
export type PlaceKey = string;

export type PacerOptions = Readonly<{
  write: (bytes: string) => void;
  /** The status question, wrapped for tmux where needed. */
  question: string;
  now: () => number;
  /** Calls back later; returns what cancels it. */
  after: (ms: number, run: () => void) => () => void;
  /** Most bytes a second on average; null for as fast as the terminal answers. */
  bytesPerSecond: number | null;
  /** Whether a string must be followed by the next one of its picture before anything else may be sent. */
  isOpen: (part: string) => boolean;
}>;

const inFlightMax = 2;
/** A unit is cut near this size, so that a key never waits behind more. */
const unitBytes = 9 * 1024;
/** Without an answer for this long the terminal is taken to not answer that question at all. */
const answerTimeoutMs = 5000;

/**
 * Makes the escape sequences of a picture when its turn has come, not before: what is replaced while it waits costs nothing.
 * Units are cut between the strings, never inside one.
 */
export type Make = () => readonly string[] | Promise<readonly string[]>;

type Work = {
  key: PlaceKey;
  make: Make;
  parts: string[];
  /** The string sent last. */
  last: string;
  done: (() => void) | null;
};

export class Pacer implements Disposable {
  readonly #o: PacerOptions;
  #waiting = new Map<PlaceKey, Work>();
  #current: Work | null = null;
  /** Its sequences are being made; nothing else leaves meanwhile, so that order is kept. */
  #preparing = false;
  #inFlight: number[] = [];
  #cancelTimer: (() => void) | null = null;
  /** Byte budget: when the next unit may leave. */
  #freeAt = 0;
  #closed = false;
  bytesSent = 0;

  constructor(options: PacerOptions) {
    this.#o = options;
  }

  /** Queues a picture for a place; `done` runs when the last of it was handed to the terminal. */
  show(key: PlaceKey, make: Make, done?: () => void): void {
    if (this.#closed) return;
    this.#waiting.set(key, { key, make, parts: [], last: "", done: done ?? null });
    this.#pump();
  }

  /** Drops what waits for a place and what is half sent, as far as it may be cut. */
  drop(key: PlaceKey): void {
    this.#waiting.delete(key);
    if (this.#current?.key === key) this.#cut(this.#current);
    if (this.#current?.parts.length === 0) this.#current = null;
  }

  /** Leaves of a half sent picture only what the terminal must still get before anything else. */
  #cut(work: Work): void {
    if (work.last === "" || !this.#o.isOpen(work.last)) work.parts = [];
    else work.parts = work.parts.slice(0, closing(work.parts, this.#o.isOpen) + 1);
  }

  /** The terminal answered a status question: the oldest unit in flight is drawn. */
  acknowledged(): void {
    this.#inFlight.shift();
    this.#pump();
  }

  get idle(): boolean {
    return this.#current === null && this.#waiting.size === 0;
  }

  /** What must still be sent so that a picture cut in the middle does not swallow what follows. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#current !== null) {
      this.#cut(this.#current);
      this.#o.write(this.#current.parts.join(""));
    }
    this.#current = null;
    this.#waiting.clear();
  }

  #pump(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    while (!this.#closed && !this.#preparing && !this.idle) {
      const now = this.#o.now();
      this.#inFlight = this.#inFlight.filter((sent) => now - sent < answerTimeoutMs);
      const oldest = this.#inFlight[0];
      if (this.#inFlight.length >= inFlightMax && oldest !== undefined) {
        this.#later(oldest + answerTimeoutMs - now);
        return;
      }
      if (now < this.#freeAt) {
        this.#later(this.#freeAt - now);
        return;
      }
      // Chosen only now that it can leave: until this moment newer work may replace it.
      if (this.#current === null) this.#take();
      else this.#send(this.#current, now);
    }
  }

  #send(work: Work, now: number): void {
    let unit = "";
    while (
      work.parts.length > 0 &&
      (unit === "" || unit.length + (work.parts[0] ?? "").length <= unitBytes)
    ) {
      work.last = work.parts.shift() ?? "";
      unit += work.last;
    }
    this.#current = work.parts.length > 0 ? work : null;
    this.#o.write(unit + this.#o.question);
    this.bytesSent += unit.length;
    this.#inFlight.push(now);
    const rate = this.#o.bytesPerSecond;
    if (rate !== null) this.#freeAt = Math.max(now, this.#freeAt) + (unit.length / rate) * 1000;
    if (this.#current === null) work.done?.();
  }

  #take(): void {
    const first = this.#waiting.values().next().value;
    if (first === undefined) return;
    this.#waiting.delete(first.key);
    const made = first.make();
    if (!(made instanceof Promise)) {
      this.#begin(first, made);
      return;
    }
    this.#preparing = true;
    made
      .then((parts) => this.#begin(first, parts))
      .finally(() => {
        this.#preparing = false;
        this.#pump();
      });
  }

  #begin(work: Work, parts: readonly string[]): void {
    if (this.#closed) return;
    work.parts = [...parts];
    this.#current = work;
  }

  #later(ms: number): void {
    this.#cancelTimer = this.#o.after(Math.max(1, ms), () => this.#pump());
  }
}

/** The place of the first string that completes what is open; the last one where none does. */
const closing = (parts: readonly string[], isOpen: (part: string) => boolean): number => {
  const at = parts.findIndex((part) => !isOpen(part));
  return at < 0 ? parts.length - 1 : at;
};
