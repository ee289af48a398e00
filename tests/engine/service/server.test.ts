// The engine on a real socket, with clients that behave and clients that do not.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineClient } from "../../../src/engine/client.ts";
import { Failure } from "../../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../../src/engine/job.ts";
import { lockPath, socketPath } from "../../../src/engine/paths.ts";
import { type Message, protocolVersion } from "../../../src/engine/protocol.ts";
import { Engine } from "../../../src/engine/service/engine.ts";
import { JobStore } from "../../../src/engine/service/job-store.ts";
import { silentLog } from "../../../src/engine/service/log.ts";
import type { RunnerHandlers } from "../../../src/engine/service/runner-process.ts";
import { serve, takeEngineLock } from "../../../src/engine/service/server.ts";
import { noServices } from "../../support/services.ts";

const recipe: Recipe = { ...recipeDefaults, image: "/tmp/start.png" };

let dir = "";
let before: string | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "fp-"));
  before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = dir;
});
afterEach(() => {
  if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
  else process.env.XDG_RUNTIME_DIR = before;
  rmSync(dir, { recursive: true, force: true });
});

const start = () => {
  const runners: RunnerHandlers[] = [];
  const engine = new Engine({
    store: new JobStore(":memory:"),
    log: silentLog,
    services: noServices,
    version: "test",
    keepAliveMs: 60_000,
    silenceMs: 60_000,
    onIdle: () => undefined,
    startRunner: (handlers) => {
      runners.push(handlers);
      return { pid: 1, send: () => undefined, kill: () => undefined };
    },
  });
  const server = serve({ engine, log: silentLog, socketPath: socketPath() });
  return { engine, runners, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
};

const options = { start: false, version: "test", name: "test" };

/** A client that sends bytes as it likes and collects what comes back until the engine hangs up. */
const rawClient = async (): Promise<{
  write: (bytes: Uint8Array | string) => void;
  closed: Promise<string>;
}> => {
  const closed = Promise.withResolvers<string>();
  let text = "";
  let waiting: Uint8Array[] = [];
  const flush = (socket: { write: (b: Uint8Array) => number }): void => {
    while (waiting.length > 0) {
      const bytes = waiting[0] ?? new Uint8Array();
      const taken = socket.write(bytes);
      if (taken < 0) waiting = [];
      if (taken < bytes.length) {
        if (taken > 0) waiting[0] = bytes.subarray(taken);
        return;
      }
      waiting.shift();
    }
  };
  const socket = await Bun.connect({
    unix: socketPath(),
    socket: {
      data: (_s, bytes) => {
        text += new TextDecoder().decode(bytes);
      },
      drain: (s) => flush(s),
      close: () => closed.resolve(text),
      error: () => closed.resolve(text),
    },
  });
  return {
    write: (bytes) => {
      waiting.push(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      flush(socket);
    },
    closed: closed.promise,
  };
};

test("socket and folder are the user's alone", async () => {
  await using _running = start();

  expect(statSync(socketPath()).mode & 0o777).toBe(0o600);
  expect(statSync(join(dir, "framepack")).mode & 0o777).toBe(0o700);
});

test("a submitted job is announced to who watches, with its events", async () => {
  await using running = start();
  const got: Message[] = [];
  const seen = Promise.withResolvers<void>();
  using client = await EngineClient.connect(
    {
      message: (message) => {
        got.push(message);
        if (message.type === "event") seen.resolve();
      },
    },
    options,
  );

  await client.request({ type: "subscribe", job: null, previews: true });
  const { job } = await client.request({ type: "submit", recipe, front: false, environment: {} });
  running.runners[0]?.event(job?.id ?? "", { type: "phase", name: "text", section: null });
  await seen.promise;

  expect(
    got.filter((m) => m.type === "state").map((m) => m.type === "state" && m.job.state),
  ).toEqual(["queued", "running"]);
  expect(got.at(-1)).toEqual({
    type: "event",
    job: job?.id ?? "",
    event: { type: "phase", name: "text", section: null },
  });
});

test("a refused command comes back as the failure it is", async () => {
  await using _running = start();
  using client = await EngineClient.connect({}, options);

  const refused = client.request({ type: "cancel", job: "nope" });

  expect(refused).rejects.toThrow(Failure);
  expect(refused).rejects.toThrow("There is no job nope.");
});

test("a client of another protocol version is told so", async () => {
  await using _running = start();
  const client = await rawClient();

  for (let i = 0; i < 3; i++) client.write('{"v":99,"id":1,"type":"hello"}\n');

  expect(await client.closed).toContain(`(protocol ${protocolVersion}, the client 99)`);
});

test("garbage is answered, and after three lines of it the client is cut off", async () => {
  await using _running = start();
  const client = await rawClient();

  client.write("\u001b]0;evil\u0007\n{{{{\n[1,2,3]\n");
  const said = await client.closed;

  expect(said).toContain("The line is no JSON.");
  expect(said).not.toContain("\u001b");
});

test("a line of a gigabyte ends its sender, not the engine", async () => {
  await using _running = start();
  const client = await rawClient();
  const rssBefore = process.memoryUsage.rss();

  const piece = new Uint8Array(1 << 20).fill(97);
  let over = false;
  void client.closed.then(() => {
    over = true;
  });
  for (let sent = 0; sent < 1024 && !over; sent++) {
    client.write(piece);
    await Bun.sleep(0);
  }

  expect(await client.closed).toContain("too long");
  expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(100 << 20);
  using next = await EngineClient.connect({}, options);
  expect((await next.request({ type: "list", limit: 10 })).jobs).toEqual([]);
});

test("a client that never reads costs the engine a bounded amount", async () => {
  await using running = start();
  using watcher = await EngineClient.connect({}, options);
  const { job } = await watcher.request({ type: "submit", recipe, front: false, environment: {} });
  const silent = await Bun.connect({
    unix: socketPath(),
    socket: { data: (s) => void s.pause(), close: () => undefined },
  });
  silent.write(`{"v":${protocolVersion},"id":1,"type":"subscribe","job":null,"previews":true}\n`);
  silent.pause();
  await watcher.request({ type: "list", limit: 1 });

  const rgb = "A".repeat(100_000);
  const rssBefore = process.memoryUsage.rss();
  for (let n = 0; n < 3000; n++) {
    // What counts is what is kept, not how late this process collects its garbage.
    if (n % 100 === 0) Bun.gc(true);
    running.runners[0]?.event(job?.id ?? "", {
      type: "preview",
      section: 0,
      step: n,
      pictures: { frames: 9, height: 100, width: 28, rgb },
      from: 0,
      to: 33,
    });
  }

  expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(150 << 20);
  expect((await watcher.request({ type: "list", limit: 1 })).jobs?.length).toBe(1);
  silent.terminate();
});

test("the lock admits one engine, and a stale socket does not stop the next", async () => {
  const first = takeEngineLock(lockPath());
  expect(first).not.toBeNull();
  expect(takeEngineLock(lockPath())).toBeNull();
  first?.[Symbol.dispose]();

  using second = takeEngineLock(lockPath());
  writeFileSync(socketPath(), "left over");
  await using _running = start();

  expect(second).not.toBeNull();
  expect(statSync(socketPath()).isSocket()).toBe(true);
});
