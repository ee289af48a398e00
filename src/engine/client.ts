// A client of the engine process: connects (starting the engine when none runs), sends commands, hands on messages.
// Used by the verbs and by the TUI. Nothing is computed or drawn here.

import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure, type FailureId } from "./failure.ts";
import { logPath, socketPath } from "./paths.ts";
import { requireSocketFolder } from "./private-folder.ts";
import {
  type CommandBody,
  type EngineInfo,
  type Message,
  messageSchema,
  protocolVersion,
} from "./protocol.ts";

type Reply = Extract<Message, { type: "reply" }>;

export type EngineClientHandlers = Readonly<{
  message?: (message: Exclude<Message, Reply>) => void;
  /** The connection ended without `close`; `reason` is the engine's last word if it had one. */
  lost?: (reason: string | null) => void;
}>;

/** The longest line taken from an engine: a snapshot of a two-minute job with its thumbnails fits. */
const lineBytesMax = 64 << 20;
const startTimeoutMs = 10_000;

export class EngineClient implements Disposable {
  readonly #handlers: EngineClientHandlers;
  readonly #replies = new Map<
    number,
    { resolve: (r: Reply) => void; reject: (e: Error) => void }
  >();
  #socket: Awaited<ReturnType<typeof Bun.connect>> | null = null;
  #outgoing: Uint8Array[] = [];
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #nextId = 1;
  #closed = false;
  #bye: string | null = null;
  #info: EngineInfo | null = null;

  private constructor(handlers: EngineClientHandlers) {
    this.#handlers = handlers;
  }

  /** Connects to the user's engine; starts one when `start` is asked for and none runs. */
  static async connect(
    handlers: EngineClientHandlers,
    options: Readonly<{ start: boolean; version: string; name: string }>,
  ): Promise<EngineClient> {
    const client = new EngineClient(handlers);
    const deadline = Date.now() + startTimeoutMs;
    let started = false;
    for (;;) {
      if (await client.#tryConnect()) break;
      if (!options.start) {
        throw new Failure("usage.no-engine", "No engine is running.", {
          hint: "framepack run starts one.",
        });
      }
      if (!started) {
        requireSocketFolder(socketPath());
        startEngine();
      }
      started = true;
      if (Date.now() > deadline) {
        throw new Failure("unknown.engine-start", "The engine did not start within 10 s.", {
          hint: `Its log may say why: ${logPath()}.`,
        });
      }
      await Bun.sleep(15);
    }
    const hello = await client.request({
      type: "hello",
      client: options.name,
      version: options.version,
    });
    client.#info = hello.engine ?? null;
    return client;
  }

  get engine(): EngineInfo | null {
    return this.#info;
  }

  /**
   * Sends a command; rejects with the engine's Failure, or when the connection ends first. `taken` gets the reply before any
   * later message is handed on: what it holds cannot overwrite newer news.
   */
  request(body: CommandBody, taken?: (reply: Reply) => void): Promise<Reply> {
    if (this.#closed) return Promise.reject(lostFailure(this.#bye));
    const id = this.#nextId++;
    const { promise: reply, resolve, reject } = Promise.withResolvers<Reply>();
    const take = (message: Reply): void => {
      taken?.(message);
      resolve(message);
    };
    this.#replies.set(id, { resolve: take, reject });
    this.#outgoing.push(
      new TextEncoder().encode(`${JSON.stringify({ v: protocolVersion, id, ...body })}\n`),
    );
    this.#flush();
    return reply;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.end();
    this.#rejectAll();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #tryConnect(): Promise<boolean> {
    try {
      this.#socket = await Bun.connect({
        unix: socketPath(),
        socket: {
          data: (_socket, bytes) => this.#receive(bytes),
          drain: () => this.#flush(),
          close: () => this.#lost(),
          error: () => this.#lost(),
          connectError: () => undefined,
        },
      });
      return true;
    } catch {
      // No socket, or nobody behind it: the caller starts an engine or says that none runs.
      return false;
    }
  }

  #flush(): void {
    while (this.#socket !== null && this.#outgoing.length > 0) {
      const bytes = this.#outgoing[0] ?? new Uint8Array();
      const taken = this.#socket.write(bytes);
      if (taken < bytes.length) {
        if (taken > 0) this.#outgoing[0] = bytes.subarray(taken);
        return;
      }
      this.#outgoing.shift();
    }
  }

  #receive(bytes: Uint8Array): void {
    let rest = bytes;
    for (;;) {
      const end = rest.indexOf(10);
      const piece = end < 0 ? rest : rest.subarray(0, end);
      this.#pieceBytes += piece.length;
      if (this.#pieceBytes > lineBytesMax) {
        this.#bye = "it sent a line without end";
        this.#socket?.end();
        return;
      }
      if (end < 0) {
        if (piece.length > 0) this.#pieces.push(piece.slice());
        return;
      }
      const whole = this.#pieces.length === 0 ? piece : Buffer.concat([...this.#pieces, piece]);
      this.#pieces = [];
      this.#pieceBytes = 0;
      rest = rest.subarray(end + 1);
      this.#take(new TextDecoder().decode(whole));
    }
  }

  #take(line: string): void {
    const message = messageSchema.parse(JSON.parse(line));
    if (message.type === "reply") {
      const waiting = message.id === null ? undefined : this.#replies.get(message.id);
      if (message.id !== null) this.#replies.delete(message.id);
      if (message.error === null) waiting?.resolve(message);
      else waiting?.reject(failureOf(message.error));
      return;
    }
    if (message.type === "bye") this.#bye = message.reason;
    this.#handlers.message?.(message);
  }

  #lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectAll();
    this.#handlers.lost?.(this.#bye);
  }

  #rejectAll(): void {
    for (const { reject } of this.#replies.values()) reject(lostFailure(this.#bye));
    this.#replies.clear();
  }
}

const failureOf = (error: NonNullable<Reply["error"]>): Failure =>
  new Failure(error.id as FailureId, error.message, { hint: error.hint ?? undefined });

const lostFailure = (reason: string | null): Failure =>
  new Failure(
    "checkpointed.engine-lost",
    `The connection to the engine ended${reason === null ? "" : `: ${reason}`}.`,
    { hint: "framepack jobs shows what became of the job." },
  );

/** Starts the engine in a session of its own: it outlives this process and its terminal. */
const startEngine = (): void => {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  mkdirSync(dirname(logPath()), { recursive: true, mode: 0o700 });
  const log = openSync(logPath(), "a", 0o600);
  const child = Bun.spawn([process.execPath, main, "engine"], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    detached: true,
    env: { ...process.env, FRAMEPACK_ENGINE_CHILD: "1" },
  });
  child.unref();
  closeSync(log);
};
