// One client's connection: lines in, bounded lines out. A slow client loses previews first, then its place in the stream of
// events (it gets a fresh snapshot instead), then the connection. It never slows the engine and never grows without bound.

import type { Message } from "../protocol.ts";
import { commandBytesMax } from "../protocol.ts";

/** The part of a Bun socket that is needed; tests write into memory. */
export type Wire = Readonly<{
  /** Bytes taken now, possibly fewer than given; negative when closed. */
  write: (bytes: Uint8Array) => number;
  close: () => void;
}>;

export type ConnectionLimits = Readonly<{ linesMax: number; bytesMax: number; stuckMs: number }>;
export const defaultLimits: ConnectionLimits = {
  linesMax: 2000,
  bytesMax: 8 << 20,
  stuckMs: 60_000,
};

/** How long an ending engine waits for a client to take what it still has to say. */
const lastWordsMs = 1000;

type Waiting = Readonly<{ bytes: Uint8Array; message: Message }>;

const encoder = new TextEncoder();

export class Connection {
  readonly #wire: Wire;
  readonly #limits: ConnectionLimits;
  /** Called when everything dropped may be made good: the jobs whose messages were lost. */
  readonly #caughtUp: (jobs: ReadonlySet<string>) => void;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  /** Rest of a line that the wire took only in part. */
  #rest: Uint8Array | null = null;
  #preview: Waiting | null = null;
  #lost = new Set<string>();
  #stuckSince: number | null = null;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #open = true;

  constructor(
    wire: Wire,
    caughtUp: (jobs: ReadonlySet<string>) => void,
    limits: ConnectionLimits = defaultLimits,
  ) {
    this.#wire = wire;
    this.#caughtUp = caughtUp;
    this.#limits = limits;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Sends, queues, replaces or drops a message; replies are never dropped. */
  deliver(message: Message): void {
    if (!this.#open) return;
    const bytes = encoder.encode(`${JSON.stringify(message)}\n`);
    if (message.type === "event" && message.event.type === "preview") {
      // Only the newest preview is worth sending.
      this.#preview = { bytes, message };
      this.drain();
      return;
    }
    if (message.type !== "reply" && this.#behind(bytes.length)) {
      this.#dropEvents();
      if (message.type === "event") this.#lost.add(message.job);
      if (message.type === "job" || message.type === "state") this.#lost.add(message.job.id);
      return;
    }
    this.#queue.push({ bytes, message });
    this.#queuedBytes += bytes.length;
    this.drain();
  }

  /** Writes what the wire takes now; called by the socket when it can take more. */
  drain(): void {
    while (this.#open) {
      const bytes = this.#rest ?? this.#next();
      if (bytes === null) break;
      const taken = this.#wire.write(bytes);
      if (taken < 0) {
        this.close();
        return;
      }
      if (taken < bytes.length) {
        this.#rest = taken === 0 ? bytes : bytes.subarray(taken);
        this.#noteStuck(taken > 0);
        return;
      }
      this.#rest = null;
      this.#stuckSince = null;
    }
    if (this.#lost.size > 0 && this.#open) {
      const lost = this.#lost;
      this.#lost = new Set();
      this.#caughtUp(lost);
    }
  }

  /** Cuts off a client that has taken nothing for too long; true when it did. */
  cutIfStuck(now: number): boolean {
    if (this.#stuckSince === null || now - this.#stuckSince < this.#limits.stuckMs) return false;
    this.close();
    return true;
  }

  /** Says a last thing and closes once the client has taken it, or after a second. */
  async sayAndClose(message: Message): Promise<void> {
    const deadline = Date.now() + lastWordsMs;
    this.deliver(message);
    while (this.#open && !this.#isIdle && Date.now() < deadline) await Bun.sleep(5);
    this.close();
  }

  get #isIdle(): boolean {
    return this.#rest === null && this.#queue.length === 0;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue = [];
    this.#preview = null;
    this.#wire.close();
  }

  /** Complete lines in what arrived; "too long" ends the conversation. */
  receive(bytes: Uint8Array): readonly string[] | "too long" {
    const lines: string[] = [];
    let rest = bytes;
    for (;;) {
      const end = rest.indexOf(10);
      const piece = end < 0 ? rest : rest.subarray(0, end);
      if (this.#lineBytes + piece.length > commandBytesMax) return "too long";
      if (end < 0) {
        // Copied: the socket reuses its buffer.
        if (piece.length > 0) this.#line.push(piece.slice());
        this.#lineBytes += piece.length;
        return lines;
      }
      const whole = this.#line.length === 0 ? piece : Buffer.concat([...this.#line, piece]);
      lines.push(new TextDecoder().decode(whole));
      this.#line = [];
      this.#lineBytes = 0;
      rest = rest.subarray(end + 1);
    }
  }

  #behind(more: number): boolean {
    return (
      this.#queue.length >= this.#limits.linesMax ||
      this.#queuedBytes + more > this.#limits.bytesMax ||
      this.#lost.size > 0
    );
  }

  #dropEvents(): void {
    const kept: Waiting[] = [];
    for (const item of this.#queue) {
      if (item.message.type === "event") this.#lost.add(item.message.job);
      else if (item.message.type === "job" || item.message.type === "state") {
        this.#lost.add(item.message.job.id);
      } else kept.push(item);
    }
    this.#queue = kept;
    this.#queuedBytes = kept.reduce((sum, item) => sum + item.bytes.length, 0);
  }

  #next(): Uint8Array | null {
    const item = this.#queue.shift();
    if (item !== undefined) {
      this.#queuedBytes -= item.bytes.length;
      return item.bytes;
    }
    const preview = this.#preview;
    this.#preview = null;
    return preview?.bytes ?? null;
  }

  #noteStuck(moved: boolean): void {
    if (moved || this.#stuckSince === null) this.#stuckSince = Date.now();
  }
}
