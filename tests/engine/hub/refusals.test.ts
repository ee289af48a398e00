// What a hub that refuses, stalls or is gone means: one sentence each, tries that grow apart, no token told.

import { expect, test } from "bun:test";
import { hubOf } from "../../../src/engine/hub/endpoint.ts";
import { modelStatus } from "../../../src/engine/hub/status.ts";
import { HubServer } from "../../support/hub-server.ts";
import { failureOf, model, patient, pull } from "../../support/pulling.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const refusals = [
  [401, {}, "model.unauthorized", "does not accept the token"],
  [403, {}, "model.forbidden", "does not give out"],
  [404, {}, "model.not-on-hub", "has no"],
  [404, { "x-error-code": "RevisionNotFound" }, "model.not-on-hub", "has no revision"],
  [404, { "x-error-code": "RepoNotFound" }, "model.not-on-hub", "has no"],
  [418, {}, "model.hub-answer", "answered 418"],
] as const;

test.each(refusals)(
  "an answer %p %p from the hub is %p, at once",
  async (status, headers, id, words) => {
    using folder = new ScratchFolder();
    using server = new HubServer({ behave: () => new Response(null, { status, headers }) });
    const waits: number[] = [];

    const failure = await failureOf(pull(server, folder, { retry: patient(waits) }));

    expect(failure.id).toBe(id);
    expect(failure.code).toBe(4);
    expect(failure.message).toContain(words);
    expect(failure.message + failure.hint).not.toContain("secret");
    expect(waits).toEqual([]);
  },
);

test("a hub that wants a pause gets it, as long as it says, and then is asked again", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  let asked = 0;
  server.behave = () =>
    asked++ === 0
      ? new Response(null, { status: 429, headers: { "retry-after": "7" } })
      : undefined;
  const waits: number[] = [];

  await pull(server, folder, { retry: patient(waits) });

  expect(waits).toEqual([7000]);
});

test.each([
  [500, "model.hub-error"],
  [503, "model.hub-error"],
  [429, "model.rate-limited"],
] as const)(
  "an answer %p is tried four times with growing pauses, then told",
  async (status, id) => {
    using folder = new ScratchFolder();
    const only = "config.json";
    using server = new HubServer();
    server.behave = ({ path }) =>
      path.includes("I2V_HY") && path.endsWith(only) ? new Response(null, { status }) : undefined;
    const waits: number[] = [];

    const failure = await failureOf(pull(server, folder, { retry: patient(waits) }));

    expect(failure.id).toBe(id);
    expect(waits).toEqual([100, 200, 400]);
  },
);

test("a signed address that has ended is asked for anew", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  let refused = 0;
  server.behave = (seen) =>
    seen.at === "store" && refused++ === 0 ? new Response(null, { status: 403 }) : undefined;

  await pull(server, folder);

  expect(refused).toBeGreaterThan(1);
  expect(modelStatus(model, folder.path).state).toBe("complete");
});

test("a hub that nobody answers for is named, without the token", async () => {
  using folder = new ScratchFolder();
  const gone = new HubServer();
  const { url } = gone;
  gone[Symbol.dispose]();
  const hub = hubOf({ HF_ENDPOINT: url, HF_TOKEN: "hf_secretToken" });
  using server = new HubServer();

  const failure = await failureOf(pull(server, folder, { hub }));

  expect(failure.id).toBe("model.unreachable");
  expect(failure.message).toContain(new URL(url).host);
  expect(String(failure.stack) + failure.hint).not.toContain("hf_secret");
});

test("a line that is silent for too long is given up", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  server.behave = (seen) =>
    seen.at === "store" ? new Promise<Response>(() => undefined) : undefined;

  const failure = await failureOf(
    pull(server, folder, { retry: { ...patient(), tries: 2, idle_ms: 50 } }),
  );

  expect(failure.id).toBe("model.unreachable");
});
