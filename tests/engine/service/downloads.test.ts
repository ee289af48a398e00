// Downloads and checks as the engine runs them for its clients.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { patience } from "../../../src/engine/hub/retry.ts";
import type { Download } from "../../../src/engine/protocol.ts";
import { downloads } from "../../../src/engine/service/downloads.ts";
import { HubServer } from "../../support/hub-server.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const services = (server: HubServer, folder: ScratchFolder) =>
  downloads({
    env: { HF_ENDPOINT: server.url, HF_HUB_CACHE: join(folder.path, "hub"), HF_HOME: folder.path },
    retry: { ...patience, tries: 1 },
  });

/** Listens until a message of an end comes. */
const follow = () => {
  const end = Promise.withResolvers<Download>();
  const states: string[] = [];
  const listen = (download: Download): void => {
    if (states.at(-1) !== download.state) states.push(download.state);
    if (["finished", "failed", "cancelled"].includes(download.state)) end.resolve(download);
  };
  return { listen, states, end: end.promise };
};

test("a pull answers at once and tells the rest as progress, up to a complete model", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const engine = services(server, folder);
  const { listen, end, states } = follow();

  await engine.pull("framepack", listen);
  const wasBusy = engine.isBusy();
  await end;

  const model = (await engine.models()).find(({ name }) => name === "framepack");
  expect(wasBusy).toBe(true);
  expect(states).toEqual(["running", "finished"]);
  expect(model).toMatchObject({ state: "complete", missing: [] });
  expect(model?.licence).toContain("Tencent Hunyuan Community License");
});

test("a pull that fails tells its sentence as progress", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ behave: () => new Response(null, { status: 403 }) });
  const { listen, end } = follow();

  await services(server, folder).pull("framepack", listen);

  const last = await end;
  expect(last.state).toBe("failed");
  expect(last.message).toContain("(403)");
});

test("a pull is stopped by its name", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const engine = services(server, folder);
  const asked = Promise.withResolvers<void>();
  server.behave = () => {
    asked.resolve();
    return new Promise<Response>(() => undefined);
  };
  const { listen, end } = follow();
  await engine.pull("framepack", listen);
  await asked.promise;

  engine.cancelPull("framepack");

  expect((await end).state).toBe("cancelled");
});

test("a check of the embedded model passes, one of a model that is not here names what is missing", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const engine = services(server, folder);
  const demo = follow();
  const real = follow();

  await engine.verifyModel("demo", demo.listen);
  await engine.verifyModel("framepack", real.listen);

  expect(await demo.end).toMatchObject({ state: "finished" });
  expect((await real.end).message).toContain("is not complete: config.json");
});

test("two pulls of one model at once are refused, and so is a model nobody knows", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ behave: () => new Promise<Response>(() => undefined) });
  const engine = services(server, folder);
  const { listen } = follow();
  await engine.pull("framepack", listen);

  expect(engine.pull("framepack", listen)).rejects.toThrow("already");
  expect(engine.pull("frampack", listen)).rejects.toThrow("no published model");
  engine.cancelPull("framepack");
});
