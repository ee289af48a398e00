// The engine's heart: a queue of jobs, one computing process, and the views of who watches. No sockets here: the server
// hands in commands and a sink for messages, a test does the same in-process.

import type { JobEvent } from "../events.ts";
import { Failure } from "../failure.ts";
import type { Recipe } from "../job.ts";
import { emptyView, type JobView, playableFile, reduceView, resumedView } from "../job-view.ts";
import type {
  Check,
  Command,
  Download,
  EngineInfo,
  Inspection,
  JobSummary,
  Message,
  ModelStatus,
} from "../protocol.ts";
import { protocolVersion } from "../protocol.ts";
import { type JobEnvironment, sameEnvironment } from "./environment.ts";
import type { JobStore } from "./job-store.ts";
import type { Log } from "./log.ts";
import type { Runner, RunnerDeath, StartRunner } from "./runner-process.ts";
import { type Watcher, Watchers } from "./watchers.ts";

/** What the engine answers without running a job. */
export type EngineServices = Readonly<{
  inspect: (recipe: Recipe) => Promise<Inspection>;
  doctor: () => Promise<Check[]>;
  models: () => Promise<ModelStatus[]>;
  /** Resolves when the download has started; what follows is told through `progress`. */
  pull: (model: string, progress: (download: Download) => void) => Promise<void>;
  verifyModel: (model: string, progress: (download: Download) => void) => Promise<void>;
  /** Stops a download or a check. */
  cancelPull: (model: string) => void;
  /** Whether a download or a check goes on, which keeps the engine. */
  isBusy: () => boolean;
}>;

/** The part of a reply that answers the command. */
export type Answer = Omit<Extract<Message, { type: "reply" }>, "type" | "id" | "error">;

export type EngineOptions = Readonly<{
  store: JobStore;
  services: EngineServices;
  startRunner: StartRunner;
  log: Log;
  version: string;
  /** Warm models are kept this long after the last job; then, with an empty queue, the engine ends. */
  keepAliveMs: number;
  /** No word from the computing process for this long is reported as a hang. */
  silenceMs: number;
  onIdle: () => void;
}>;

type Running = {
  id: string;
  view: JobView;
  stopping: "cancel" | "checkpoint" | null;
  heardAt: number;
};

export class Engine {
  readonly #o: EngineOptions;
  readonly #watchers = new Watchers();
  readonly info: EngineInfo;
  #runner: Runner | null = null;
  #environment: JobEnvironment = {};
  #running: Running | null = null;
  #idleTimer: ReturnType<typeof setTimeout> | null = null;
  #silenceTimer: ReturnType<typeof setInterval> | null = null;
  #closing: (() => void) | null = null;

  constructor(options: EngineOptions) {
    this.#o = options;
    this.info = {
      version: options.version,
      protocol: protocolVersion,
      pid: process.pid,
      startedAt: Date.now(),
    };
    for (const id of options.store.interruptRunning(Date.now())) {
      options.log.write("warn", "a job was cut off with the engine before", { job: id });
    }
    this.#settle();
  }

  attach(watcher: Watcher): void {
    this.#watchers.add(watcher);
    this.#settle();
  }

  detach(watcher: Watcher): void {
    this.#watchers.remove(watcher);
    this.#settle();
  }

  /** The whole state of a job, live if it runs. */
  summary(id: string): JobSummary {
    const job = this.#o.store.get(id);
    if (job === null)
      throw new Failure("usage.no-job", `There is no job ${id}.`, {
        hint: "framepack jobs lists them.",
      });
    return this.#running?.id === id ? { ...job, view: this.#running.view } : job;
  }

  /** Runs a command; what it returns goes into the reply. */
  async handle(watcher: Watcher, command: Command): Promise<Answer> {
    switch (command.type) {
      case "hello":
        return { engine: this.info };
      case "submit": {
        this.#refuseWhenClosing();
        const job = this.#o.store.add(
          command.recipe,
          command.environment,
          command.front,
          Date.now(),
        );
        this.#announce(job.id);
        queueMicrotask(() => this.#settle());
        return { job };
      }
      case "list":
        return {
          jobs: this.#o.store.list(command.limit).map((job) => light(this.summary(job.id))),
        };
      case "snapshot":
        return { job: this.summary(command.job) };
      case "subscribe":
        return this.#subscribe(watcher, command.job, command.previews);
      case "unsubscribe":
        this.#watchers.subscribe(watcher, null);
        return {};
      case "cancel":
        return { job: this.#cancel(command.job) };
      case "reorder":
        this.#expect(command.job, ["queued"], "moved in the queue");
        this.#o.store.reorder(command.job, command.before);
        for (const job of this.#o.store.list(1000))
          if (job.state === "queued") this.#announce(job.id);
        return { job: this.summary(command.job) };
      case "retry": {
        this.#refuseWhenClosing();
        const { recipe } = this.summary(command.job);
        const environment = this.#o.store.environmentOf(command.job);
        const job = this.#o.store.add(recipe, environment, false, Date.now());
        this.#announce(job.id);
        queueMicrotask(() => this.#settle());
        return { job };
      }
      case "resume":
        return { job: this.#resume(command.job) };
      case "forget":
        this.#expect(command.job, ["finished", "failed", "cancelled", "interrupted"], "forgotten");
        this.#o.store.forget(command.job);
        this.#watchers.tellForgotten(command.job);
        return {};
      case "inspect":
        return { inspection: await this.#o.services.inspect(command.recipe) };
      case "doctor":
        return { checks: await this.#o.services.doctor() };
      case "models":
        return { models: await this.#o.services.models() };
      case "pull":
        await this.#o.services.pull(command.model, (download) =>
          this.#watchers.tellDownload(download),
        );
        return {};
      case "verifyModel":
        await this.#o.services.verifyModel(command.model, (download) =>
          this.#watchers.tellDownload(download),
        );
        return {};
      case "cancelPull":
        this.#o.services.cancelPull(command.model);
        return {};
      case "shutdown":
        // After the reply: closing ends the connections.
        setTimeout(() => void this.close(), 0);
        return {};
      default:
        return unreachable(command);
    }
  }

  /** Checkpoints what runs, then ends the computing process. The queue stays on disk. */
  async close(): Promise<void> {
    if (this.#closing !== null) return;
    const done = new Promise<void>((resolve) => {
      this.#closing = resolve;
    });
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    if (this.#running === null) this.#finishClosing();
    else this.#stopRunning("checkpoint");
    await done;
  }

  #finishClosing(): void {
    this.#runner?.send({ type: "exit" });
    this.#runner = null;
    if (this.#silenceTimer !== null) clearInterval(this.#silenceTimer);
    this.#closing?.();
    this.#o.onIdle();
  }

  #refuseWhenClosing(): void {
    if (this.#closing !== null) {
      throw new Failure(
        "checkpointed.closing",
        "The engine is shutting down; try again in a moment.",
      );
    }
  }

  #expect(id: string, states: readonly string[], what: string): JobSummary {
    const job = this.summary(id);
    if (!states.includes(job.state)) {
      throw new Failure("usage.job-state", `Job ${id} cannot be ${what}: it is ${job.state}.`);
    }
    return job;
  }

  #subscribe(watcher: Watcher, id: string | null, previews: boolean): { job?: JobSummary } {
    this.#watchers.subscribe(watcher, { job: id, previews });
    if (id !== null) return { job: this.summary(id) };
    if (this.#running === null) return {};
    return { job: this.summary(this.#running.id) };
  }

  #cancel(id: string): JobSummary {
    const job = this.#expect(id, ["queued", "running", "interrupted"], "cancelled");
    if (job.state === "running") this.#stopRunning("cancel");
    else {
      this.#o.store.setState(id, "cancelled", Date.now());
      this.#announce(id);
    }
    return this.summary(id);
  }

  #resume(id: string): JobSummary {
    this.#refuseWhenClosing();
    this.#expect(id, ["interrupted", "failed", "cancelled"], "resumed");
    this.#o.store.requeue(id, Date.now());
    this.#announce(id);
    queueMicrotask(() => this.#settle());
    return this.summary(id);
  }

  #stopRunning(how: "cancel" | "checkpoint"): void {
    if (this.#running === null) return;
    this.#running.stopping = how;
    this.#runner?.send({ type: "stop", job: this.#running.id, how });
  }

  /** Starts the next job if one waits and nothing runs; else sees to going idle. */
  #settle(): void {
    if (this.#closing !== null || this.#running !== null) return;
    const next = this.#o.store.next();
    if (next === null) {
      this.#waitIdle();
      return;
    }
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
    const runner = this.#runnerFor(this.#o.store.environmentOf(next.id));
    const resume = next.startedAt !== null;
    const view = resume ? resumedView(next.view) : emptyView;
    this.#running = { id: next.id, view, stopping: null, heardAt: Date.now() };
    this.#o.store.setState(next.id, "running", Date.now());
    this.#o.log.write("info", "job started", { job: next.id, resume });
    this.#announce(next.id);
    runner.send({ type: "run", job: next.id, recipe: next.recipe, resume });
    this.#silenceTimer ??= setInterval(() => this.#watchSilence(), 1000);
  }

  /** The warm process where it was started with the same variables, else a new one. */
  #runnerFor(environment: JobEnvironment): Runner {
    if (this.#runner !== null && sameEnvironment(this.#environment, environment)) {
      return this.#runner;
    }
    this.#runner?.send({ type: "exit" });
    this.#environment = environment;
    const handlers = {
      event: (job: string, event: JobEvent): void => this.#onEvent(job, event),
      idle: (job: string): void => this.#onIdle(job),
      died: (death: RunnerDeath): void => {
        // An older process that ends after its successor started concerns no job.
        if (this.#runner === runner) this.#onDeath(death);
      },
    };
    const runner = this.#o.startRunner(handlers, environment);
    this.#runner = runner;
    return runner;
  }

  #waitIdle(): void {
    // Somebody connected keeps the engine; a watcher's own life is what it pays for.
    if (this.#watchers.count > 0) {
      if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
      this.#idleTimer = null;
      return;
    }
    this.#idleTimer ??= setTimeout(() => {
      this.#idleTimer = null;
      if (this.#o.services.isBusy()) return this.#waitIdle();
      this.#o.log.write("info", "idle and nothing queued: ending", {});
      void this.close();
    }, this.#o.keepAliveMs);
  }

  #onEvent(id: string, event: JobEvent): void {
    const running = this.#running;
    if (running?.id !== id) return;
    running.heardAt = Date.now();
    running.view = reduceView(running.view, event);
    if (persistent.has(event.type)) this.#o.store.setView(id, running.view);
    if (event.type === "failed")
      this.#o.log.write("error", event.message, { job: id, id: event.id });
    this.#watchers.tellEvent(id, event);
  }

  #onIdle(id: string): void {
    const running = this.#running;
    if (running?.id !== id) return;
    this.#end(running);
  }

  #end(running: Running): void {
    const { view, id } = running;
    const state =
      view.finished !== null
        ? "finished"
        : view.failed !== null
          ? "failed"
          : running.stopping === "checkpoint"
            ? "interrupted"
            : "cancelled";
    this.#o.store.setView(id, view);
    this.#o.store.setState(id, state, Date.now());
    this.#o.log.write("info", "job ended", { job: id, state });
    this.#running = null;
    this.#announce(id);
    if (this.#closing !== null) this.#finishClosing();
    else this.#settle();
  }

  #onDeath(death: RunnerDeath): void {
    this.#runner = null;
    this.#o.log.write("error", death.message, {});
    const running = this.#running;
    if (running === null) return;
    const { id, code, message } = new Failure(death.id, death.message);
    const kept = playableFile(running.view);
    this.#onEvent(running.id, { type: "failed", id, code, message, hint: death.hint, kept });
    this.#end(running);
  }

  #watchSilence(): void {
    const running = this.#running;
    if (running === null || Date.now() - running.heardAt < this.#o.silenceMs) return;
    const { phase, heartbeat } = running.view;
    const where = heartbeat === null ? "" : `, ${heartbeat.network} block ${heartbeat.block + 1}`;
    const text = `Nothing heard for ${Math.round(this.#o.silenceMs / 1000)} s in phase ${phase?.name ?? "start"}${where}.`;
    this.#onEvent(running.id, { type: "warning", id: "silence", text });
  }

  #announce(id: string): void {
    this.#watchers.tellState(this.summary(id));
  }
}

/** Events after which the view on disk is brought up to date; steps would be too many writes for nothing. */
const persistent: ReadonlySet<JobEvent["type"]> = new Set([
  "planned",
  "sectionFinished",
  "fileWritten",
  "finished",
  "failed",
  "cancelled",
]);

/** A summary for a list: the newest section's thumbnails only. */
const light = (job: JobSummary): JobSummary => ({
  ...job,
  view: {
    ...job.view,
    preview: null,
    sections: job.view.sections.map((s, i) =>
      i === job.view.sections.length - 1 ? s : { ...s, thumbnails: null },
    ),
  },
});

const unreachable = (command: never): never => {
  throw new Error(`unknown command ${JSON.stringify(command)}`);
};
