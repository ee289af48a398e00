import { expect, test } from "bun:test";
import type { JobEvent } from "../../../src/engine/events.ts";
import { Failure } from "../../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../../src/engine/job.ts";
import { type CommandBody, type Message, protocolVersion } from "../../../src/engine/protocol.ts";
import { Engine } from "../../../src/engine/service/engine.ts";
import { JobStore } from "../../../src/engine/service/job-store.ts";
import { silentLog } from "../../../src/engine/service/log.ts";
import type { ToRunner } from "../../../src/engine/service/runner-messages.ts";
import type { RunnerHandlers } from "../../../src/engine/service/runner-process.ts";
import type { Watcher } from "../../../src/engine/service/watchers.ts";
import { noServices } from "../../support/services.ts";

const recipe: Recipe = { ...recipeDefaults, image: "/tmp/start.png", prompt: "a red circle" };

/** An engine whose computing process is the test itself. */
const engineUnderTest = (keepAliveMs = 60_000) => {
  const store = new JobStore(":memory:");
  const sent: ToRunner[] = [];
  const runners: RunnerHandlers[] = [];
  const environments: unknown[] = [];
  const idle = Promise.withResolvers<void>();
  const engine = new Engine({
    store,
    log: silentLog,
    services: noServices,
    version: "test",
    keepAliveMs,
    silenceMs: 60_000,
    onIdle: idle.resolve,
    startRunner: (handlers, environment) => {
      runners.push(handlers);
      environments.push(environment);
      return { pid: 1, send: (message) => sent.push(message), kill: () => undefined };
    },
  });
  const messages: Message[] = [];
  const watcher: Watcher = { deliver: (message) => messages.push(message) };
  engine.attach(watcher);
  let id = 0;
  const command = (body: CommandBody) =>
    engine.handle(watcher, { v: protocolVersion, id: id++, ...body });
  const submit = async (front = false): Promise<string> => {
    const { job } = await command({ type: "submit", recipe, front, environment: {} });
    return job?.id ?? "";
  };
  const runner = (): RunnerHandlers => {
    const last = runners.at(-1);
    if (last === undefined) throw new Error("no computing process was started");
    return last;
  };
  return {
    engine,
    store,
    sent,
    runners,
    environments,
    messages,
    watcher,
    command,
    submit,
    runner,
    idle,
  };
};

const finished: JobEvent = {
  type: "finished",
  path: "/tmp/out.mp4",
  frames: 37,
  seconds: 1.23,
  latencyMs: 10,
  devicePeak: 1,
  rssPeak: 1,
  sha256: "00",
};

test("jobs run one at a time, in the order they were queued", async () => {
  const { submit, sent, runner, store } = engineUnderTest();
  const first = await submit();
  const second = await submit();

  expect(sent.map((m) => m.type === "run" && m.job)).toEqual([first]);
  runner().event(first, finished);
  runner().idle(first);

  expect(sent.map((m) => m.type === "run" && m.job)).toEqual([first, second]);
  expect(store.require(first).state).toBe("finished");
  expect(store.require(second).state).toBe("running");
});

test("a job can be put at the front of the queue, and moved in it", async () => {
  const { submit, command } = engineUnderTest();
  await submit();
  const b = await submit();
  const c = await submit();
  const d = await submit(true);

  await command({ type: "reorder", job: c, before: b });

  const { jobs } = await command({ type: "list", limit: 10 });
  expect(jobs?.filter((j) => j.state === "queued").map((j) => j.id)).toEqual([d, c, b]);
});

test("a cancelled running job is told to stop and ends cancelled", async () => {
  const { submit, command, sent, runner, store } = engineUnderTest();
  const id = await submit();

  await command({ type: "cancel", job: id });
  runner().event(id, { type: "cancelled", code: 130, kept: "/tmp/part.mp4" });
  runner().idle(id);

  expect(sent.at(-1)).toEqual({ type: "stop", job: id, how: "cancel" });
  expect(store.require(id).state).toBe("cancelled");
});

test("closing checkpoints what runs, and the job waits for resume as interrupted", async () => {
  const { submit, engine, sent, runner, store, idle } = engineUnderTest();
  const id = await submit();

  const closed = engine.close();
  expect(sent.at(-1)).toEqual({ type: "stop", job: id, how: "checkpoint" });
  runner().event(id, { type: "cancelled", code: 75, kept: null });
  runner().idle(id);
  await closed;
  await idle.promise;

  expect(store.require(id).state).toBe("interrupted");
  expect(sent.at(-1)).toEqual({ type: "exit" });
});

test("a computing process that dies fails its job in words, and the next job gets a new one", async () => {
  const { submit, runner, runners, store } = engineUnderTest();
  const first = await submit();
  const second = await submit();

  runner().died({ id: "fit.killed", message: "Killed by the kernel.", hint: "Give it less." });

  expect(store.require(first).state).toBe("failed");
  expect(store.require(first).view.failed?.message).toBe("Killed by the kernel.");
  expect(store.require(first).view.failed?.code).toBe(3);
  expect(runners.length).toBe(2);
  expect(store.require(second).state).toBe("running");
});

test("who subscribes late gets the running job as it stands", async () => {
  const { submit, command, runner, engine } = engineUnderTest();
  const id = await submit();
  runner().event(id, { type: "phase", name: "sample", section: 2 });

  const late: Watcher = { deliver: () => undefined };
  engine.attach(late);
  const reply = await engine.handle(late, {
    v: protocolVersion,
    id: 1,
    type: "subscribe",
    job: null,
    previews: true,
  });

  expect(reply.job?.view.phase).toEqual({ name: "sample", section: 2 });
  await command({ type: "unsubscribe" });
});

test("previews go only to those who asked for them", async () => {
  const { submit, command, runner, messages } = engineUnderTest();
  const id = await submit();
  const preview: JobEvent = {
    type: "preview",
    section: 0,
    step: 0,
    pictures: { frames: 1, height: 1, width: 1, rgb: "AAAA" },
    from: 0,
    to: 4,
  };
  await command({ type: "subscribe", job: id, previews: false });
  messages.length = 0;

  runner().event(id, preview);
  expect(messages).toEqual([]);
  await command({ type: "subscribe", job: id, previews: true });
  runner().event(id, preview);

  expect(messages).toEqual([{ type: "event", job: id, event: preview }]);
});

test("jobs that ran when the engine died are interrupted, and resume goes on with them", async () => {
  const { store, submit } = engineUnderTest();
  const id = await submit();
  const sent: ToRunner[] = [];

  const engine = new Engine({
    store,
    log: silentLog,
    services: noServices,
    version: "test",
    keepAliveMs: 60_000,
    silenceMs: 60_000,
    onIdle: () => undefined,
    startRunner: () => ({ pid: 1, send: (m) => sent.push(m), kill: () => undefined }),
  });
  expect(store.require(id).state).toBe("interrupted");
  const watcher: Watcher = { deliver: () => undefined };
  engine.attach(watcher);
  await engine.handle(watcher, { v: protocolVersion, id: 1, type: "resume", job: id });

  expect(sent).toEqual([{ type: "run", job: id, recipe, resume: true }]);
});

test("a command about a job that is not there is a failure with a code", async () => {
  const { command } = engineUnderTest();

  expect(command({ type: "cancel", job: "none" })).rejects.toThrow(Failure);
});

test("an engine with nothing to do and nobody watching ends after its keep-alive", async () => {
  const { engine, watcher, idle } = engineUnderTest(1);

  engine.detach(watcher);
  await idle.promise;
});

test("a job gets the variables it was submitted with, a warm process only serves its own kind", async () => {
  const { command, runner, runners, environments } = engineUnderTest();
  const { job: a } = await command({
    type: "submit",
    recipe,
    front: false,
    environment: { A: "1" },
  });
  const { job: b } = await command({
    type: "submit",
    recipe,
    front: false,
    environment: { A: "1" },
  });
  const { job: c } = await command({
    type: "submit",
    recipe,
    front: false,
    environment: { A: "2" },
  });

  for (const job of [a, b]) {
    runner().event(job?.id ?? "", finished);
    runner().idle(job?.id ?? "");
  }

  expect(runners.length).toBe(2);
  expect(environments).toEqual([{ A: "1" }, { A: "2" }]);
  expect(c?.state).toBe("queued");
});
