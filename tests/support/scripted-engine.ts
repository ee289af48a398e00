// An engine on a real socket that computes nothing: the test says what its jobs say. For tests of what an interface shows.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { JobEvent } from "../../src/engine/events.ts";
import { type Recipe, recipeDefaults } from "../../src/engine/job.ts";
import { type Inspection, protocolVersion } from "../../src/engine/protocol.ts";
import { Engine } from "../../src/engine/service/engine.ts";
import { JobStore } from "../../src/engine/service/job-store.ts";
import { silentLog } from "../../src/engine/service/log.ts";
import type { ToRunner } from "../../src/engine/service/runner-messages.ts";
import type { RunnerHandlers } from "../../src/engine/service/runner-process.ts";
import { serve } from "../../src/engine/service/server.ts";
import { inspection } from "./scene.ts";
import { noServices } from "./services.ts";

export class ScriptedEngine implements AsyncDisposable {
  /** What the engine told its computing process. */
  readonly told: ToRunner[] = [];
  inspection: Inspection = inspection();
  readonly #engine: Engine;
  readonly #server: AsyncDisposable;
  #handlers: RunnerHandlers | null = null;

  /** `runtime` is what a client has as XDG_RUNTIME_DIR. */
  constructor(runtime: string) {
    mkdirSync(join(runtime, "framepack"), { recursive: true, mode: 0o700 });
    this.#engine = new Engine({
      store: new JobStore(":memory:"),
      log: silentLog,
      services: {
        ...noServices,
        inspect: async () => this.inspection,
        doctor: async () => [
          { id: "cpu", label: "cpu", state: "ok", text: "EPYC, 2 cores.", advice: null },
          { id: "gpu", label: "gpu", state: "warn", text: "No driver.", advice: "Install one." },
        ],
        models: async () => [
          {
            name: "framepack",
            title: "FramePack 13B",
            state: "absent",
            path: null,
            bytesPresent: 0,
            bytesTotal: 40_000_000_000,
            licence: "Tencent Hunyuan Community",
            missing: ["transformer"],
          },
        ],
      },
      version: "test",
      keepAliveMs: 60_000,
      silenceMs: 60_000,
      onIdle: () => undefined,
      startRunner: (handlers) => {
        this.#handlers = handlers;
        return {
          pid: process.pid,
          send: (message) => this.told.push(message),
          kill: () => undefined,
        };
      },
    });
    this.#server = serve({
      engine: this.#engine,
      log: silentLog,
      socketPath: join(runtime, "framepack", "engine.sock"),
    });
  }

  /** Queues a job as a client would; gives its id. */
  async submit(changes: Partial<Recipe> = {}): Promise<string> {
    const recipe = { ...recipeDefaults, image: "/tmp/start.png", ...changes };
    const client = { deliver: () => undefined } as never;
    const reply = await this.#engine.handle(client, {
      v: protocolVersion,
      id: 0,
      type: "submit",
      recipe,
      front: false,
      environment: {},
    });
    return reply.job?.id ?? "";
  }

  /** The running job says something. */
  say(job: string, ...events: readonly JobEvent[]): void {
    for (const event of events) this.#handlers?.event(job, event);
  }

  /** The running job is over; what it said last tells how. */
  end(job: string): void {
    this.#handlers?.idle(job);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
