// Keeps the interface connected to the engine: connects, subscribes, hands messages to the store, and comes back by itself
// when the engine ended or was killed. Says in words what happened.

import { EngineClient } from "../engine/client.ts";
import { reportOf } from "../engine/failure.ts";
import type { CommandBody } from "../engine/protocol.ts";
import type { News } from "./state.ts";
import type { Store } from "./store.ts";

const noticeMs = 8000;
const jobsKept = 200;
/** News are shown together this often at most: quick steps do not keep a core busy with drawing. */
const newsEveryMs = 300;

type Reply = Awaited<ReturnType<EngineClient["request"]>>;

export class EngineLink implements Disposable {
  readonly #store: Store;
  readonly #options: Readonly<{ version: string; previews: boolean }>;
  #client: EngineClient | null = null;
  #connecting: Promise<void> | null = null;
  #closed = false;
  #news: News[] = [];
  #newsAt = 0;
  #newsTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(store: Store, options: Readonly<{ version: string; previews: boolean }>) {
    this.#store = store;
    this.#options = options;
  }

  /** Connects, starting an engine where none runs; the store knows how it went. */
  connect(): Promise<void> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  /** Sends a command, connecting first where needed. */
  async request(body: CommandBody): Promise<Reply> {
    if (this.#client === null) await this.connect();
    if (this.#client === null) throw new Error("there is no connection to the engine");
    return this.#client.request(body);
  }

  /** Sends a command whose failure is shown as a notice. */
  async tell(body: CommandBody): Promise<boolean> {
    try {
      await this.request(body);
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  /** Brings the whole of a job, pictures included, which the list of jobs leaves out. */
  async fetchJob(id: string): Promise<void> {
    if (this.#client === null) return;
    const { dispatch } = this.#store;
    try {
      await this.#client.request({ type: "snapshot", job: id }, ({ job }) => {
        this.#tellNews();
        if (job === undefined) return;
        dispatch({ type: "message", message: { type: "job", job, dropped: false } });
      });
    } catch (error) {
      this.complain(error);
    }
  }

  complain(error: unknown): void {
    const { message, hint } = reportOf(error);
    const text = hint === undefined ? message : `${message} ${hint}`;
    const until = Date.now() + noticeMs;
    this.#store.dispatch({ type: "notice", notice: { text, tone: "bad", until } });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    if (this.#newsTimer !== null) clearTimeout(this.#newsTimer);
    this.#client?.close();
    this.#client = null;
  }

  async #connect(): Promise<void> {
    const { dispatch } = this.#store;
    dispatch({ type: "connection", connection: { state: "connecting" } });
    try {
      const client = await EngineClient.connect(
        {
          message: (message) => this.#hear(message),
          lost: (reason) => this.#onLost(reason),
        },
        { start: true, version: this.#options.version, name: "tui" },
      );
      if (this.#closed) {
        client.close();
        return;
      }
      this.#client = client;
      const { engine } = client;
      if (engine !== null)
        dispatch({ type: "connection", connection: { state: "connected", engine } });
      // Asked together and answered at one moment: nothing happens between the list and what follows it.
      const { previews } = this.#options;
      const listed = client.request({ type: "list", limit: jobsKept }, ({ jobs }) => {
        this.#tellNews();
        dispatch({ type: "jobs", jobs: jobs ?? [] });
      });
      const subscribed = client.request({ type: "subscribe", job: null, previews }, ({ job }) => {
        this.#tellNews();
        if (job === undefined) return;
        dispatch({ type: "message", message: { type: "job", job, dropped: false } });
      });
      await Promise.all([listed, subscribed]);
    } catch (error) {
      this.#client = null;
      const reason = reportOf(error).message;
      dispatch({ type: "connection", connection: { state: "lost", reason } });
    }
  }

  #hear(message: News): void {
    this.#news.push(message);
    const wait_ms = Math.max(0, this.#newsAt + newsEveryMs - performance.now());
    this.#newsTimer ??= setTimeout(() => this.#tellNews(), wait_ms);
  }

  #tellNews(): void {
    if (this.#newsTimer !== null) clearTimeout(this.#newsTimer);
    this.#newsTimer = null;
    this.#newsAt = performance.now();
    const messages = this.#news;
    this.#news = [];
    if (messages.length > 0 && !this.#closed) this.#store.dispatch({ type: "messages", messages });
  }

  #onLost(reason: string | null): void {
    this.#client = null;
    if (this.#closed) return;
    this.#tellNews();
    const words = reason ?? "the engine is gone without a word: it may have been killed";
    this.#store.dispatch({ type: "connection", connection: { state: "lost", reason: words } });
  }
}
