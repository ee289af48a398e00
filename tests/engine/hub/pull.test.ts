// Pulling a published model from a local hub: what is fetched, where it lies, what the token sees,
// and what is said when the other side misbehaves.

import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { blobPath, snapshotPath } from "../../../src/engine/config/cache.ts";
import { resolveModel } from "../../../src/engine/config/model-folder.ts";
import { Failure } from "../../../src/engine/failure.ts";
import { type Hub, hubOf } from "../../../src/engine/hub/endpoint.ts";
import { findPublished, type PublishedModel } from "../../../src/engine/hub/manifest.ts";
import { pullModel } from "../../../src/engine/hub/pull.ts";
import type { Retry } from "../../../src/engine/hub/retry.ts";
import { modelStatus } from "../../../src/engine/hub/status.ts";
import type { Download } from "../../../src/engine/protocol.ts";
import { HubServer, type Seen } from "../../support/hub-server.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const model = findPublished("framepack") as PublishedModel;
const shard = "diffusion_pytorch_model-00001-of-00003.safetensors";
const transformer = {
  repo: "lllyasviel/FramePackI2V_HY",
  revision: model.repositories[0]?.revision ?? "",
};

/** Retries at once, and notes how long it was to wait. */
const patient = (waits: number[] = []): Retry => ({
  tries: 4,
  first_ms: 100,
  idle_ms: 20_000,
  wait: async (ms) => {
    waits.push(ms);
  },
});

type Options = Readonly<{
  hub?: Hub;
  retry?: Retry;
  signal?: AbortSignal;
  onProgress?: (download: Download) => void;
  isLatest?: boolean;
}>;

const pull = (server: HubServer, folder: ScratchFolder, options: Options = {}): Promise<void> =>
  pullModel({
    model,
    cache: folder.path,
    hub: hubOf({ HF_ENDPOINT: server.url, HF_TOKEN: "hf_secretToken", HF_HOME: folder.path }),
    signal: new AbortController().signal,
    retry: patient(),
    onProgress: () => undefined,
    ...options,
  });

const failureOf = async (act: Promise<unknown>): Promise<Failure> => {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return error;
  throw new Error(`no Failure but ${error}`);
};

const at = (folder: ScratchFolder, path: string): string =>
  snapshotPath(transformer.repo, folder.path, transformer.revision, path);

test("a pull fills the cache with every file, linked by its hash, with a ref to the commit", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();

  await pull(server, folder);

  const link = at(folder, shard);
  expect(readlinkSync(link)).toBe(
    `../../blobs/${server.etag(`FramePackI2V_HY/resolve/${transformer.revision}/${shard}`)}`,
  );
  expect(modelStatus(model, folder.path)).toMatchObject({ state: "complete", missing: [] });
  expect(resolveModel("framepack", { cache: folder.path }).parts.vae).toEndWith("/vae");
  const ref = join(folder.path, "models--lllyasviel--FramePackI2V_HY/refs/main");
  expect(readFileSync(ref, "utf8")).toBe(transformer.revision);
});

test("the token goes to the hub and not to where it redirects", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();

  await pull(server, folder);

  const tokens = (place: Seen["at"]) => [
    ...new Set(server.seen.filter(({ at }) => at === place).map((seen) => seen.authorization)),
  ];
  expect(tokens("hub")).toEqual(["Bearer hf_secretToken"]);
  expect(tokens("store")).toEqual([null]);
});

test("what is there already is neither asked for nor fetched again", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  await pull(server, folder);
  server.seen.length = 0;

  await pull(server, folder);

  expect(server.seen).toEqual([]);
});

test("a blob that another tool fetched is linked without fetching it", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const name = "vae/diffusion_pytorch_model.safetensors";
  const blob = blobPath("hunyuanvideo-community/HunyuanVideo", folder.path, server.etag(name));
  mkdirSync(dirname(blob), { recursive: true });
  writeFileSync(blob, server.content(name));

  await pull(server, folder);

  expect(server.seen.filter(({ method, path }) => method === "GET" && path.endsWith(name))).toEqual(
    [],
  );
  expect(modelStatus(model, folder.path).state).toBe("complete");
});

test("a begun file is gone on with from where it ends", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ bytes: { [shard]: 9_000_000 } });
  const key = `FramePackI2V_HY/resolve/${transformer.revision}/${shard}`;
  const blob = blobPath(transformer.repo, folder.path, server.etag(key));
  mkdirSync(dirname(blob), { recursive: true });
  writeFileSync(`${blob}.incomplete`, server.content(key).subarray(0, 5_000_000));

  await pull(server, folder);

  const ranges = server.seen.filter(({ at, path }) => at === "store" && path.endsWith(key));
  expect(ranges.map(({ range }) => range)).toEqual(["bytes=5000000-8999999"]);
  expect(server.asked.get(`/lllyasviel/${key}`)).toBe(4_000_000);
  expect(Buffer.compare(readFileSync(blob), server.content(key))).toBe(0);
});

test("a connection that is cut is taken up where it was cut", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ bytes: { [shard]: 3_000_000 } });
  const key = `FramePackI2V_HY/resolve/${transformer.revision}/${shard}`;
  let cuts = 0;
  server.behave = (seen, usual) => {
    if (seen.at !== "store" || !seen.path.endsWith(key) || cuts++ > 0) return undefined;
    return cutAfter(usual(), 1_000_000);
  };

  await pull(server, folder);

  const content = readFileSync(at(folder, shard));
  const again = server.seen.findLast(({ at, path }) => at === "store" && path.endsWith(key));
  expect(cuts).toBe(2);
  expect(again?.range).toMatch(/^bytes=[1-9]\d*-2999999$/);
  expect(Buffer.compare(content, server.content(key))).toBe(0);
});

/** The beginning of an answer, and then nothing: the line is closed. */
const cutAfter = (response: Response, bytes: number): Response => {
  const body = response.body;
  if (body === null) return response;
  let left = bytes;
  const cut = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(part, controller) {
        controller.enqueue(part.subarray(0, left));
        left -= Math.min(left, part.length);
        if (left === 0) controller.error(new Error("cut"));
      },
    }),
  );
  return new Response(cut, response);
};

test("a wrong byte is found, the file thrown away and the sentence names it", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  server.behave = (seen, usual) => {
    if (seen.at !== "store" || !seen.path.endsWith(shard)) return undefined;
    const wrong = server.content(shard).slice();
    wrong[77] = (wrong[77] ?? 0) ^ 1;
    return new Response(wrong, usual());
  };

  const failure = await failureOf(pull(server, folder));

  expect(failure.id).toBe("model.hash");
  expect(failure.code).toBe(4);
  expect(failure.message).toContain(shard);
  expect(existsSync(at(folder, shard))).toBe(false);
  const blobs = readdirSync(join(folder.path, "models--lllyasviel--FramePackI2V_HY/blobs"));
  expect(
    blobs.filter((name) => name.startsWith(server.etag(`${transformer.revision}/${shard}`))),
  ).toEqual([]);
});

test("a wrong size is refused before anything is written", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  server.behave = (seen) =>
    seen.at === "store" && seen.path.endsWith(shard) ? new Response("short") : undefined;

  const failure = await failureOf(pull(server, folder));

  expect(failure.id).toBe("model.size");
  expect(existsSync(at(folder, shard))).toBe(false);
});

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

test("without the network only a complete model is a success", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const hub = { ...hubOf({ HF_ENDPOINT: server.url }), isOffline: true };

  const failure = await failureOf(pull(server, folder, { hub }));
  await pull(server, folder);
  await pull(server, folder, { hub });

  expect(failure.id).toBe("model.offline");
  expect(failure.message).toContain("25 files");
});

test("a disk that is too small is told before the first byte", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  server.behave = (seen, usual) => {
    if (seen.at !== "hub" || !seen.path.endsWith(shard)) return undefined;
    const headers = new Headers(usual().headers);
    headers.set("x-linked-size", String(5e15));
    return new Response(null, { status: 302, headers });
  };

  const failure = await failureOf(pull(server, folder));

  expect(failure.id).toBe("output.disk");
  expect(failure.code).toBe(7);
  expect(server.seen.filter(({ method }) => method === "GET")).toEqual([]);
});

test("a cache that cannot be written is a failure of the disk", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  folder.write("models--lllyasviel--FramePackI2V_HY", "a file in the folder's place");

  const failure = await failureOf(pull(server, folder));

  expect(failure.code).toBe(7);
});

test("progress ends with all bytes and never counts more than there are", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ bytes: { [shard]: 6_000_000 } });
  const told: Download[] = [];

  await pull(server, folder, { onProgress: (download) => told.push(download) });

  const last = told.at(-1);
  expect(last).toMatchObject({ state: "finished", file: null });
  expect(last?.bytesDone).toBe(last?.bytesTotal ?? -1);
  expect(told.every(({ bytesDone, bytesTotal }) => bytesDone <= bytesTotal)).toBe(true);
  expect(told.filter(({ message }) => message?.endsWith("is complete."))).toHaveLength(25);
});

test("a stopped pull says so and keeps what it has", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const stop = new AbortController();
  const states: string[] = [];
  server.behave = (seen) => {
    if (seen.at === "store") stop.abort(new Error("stopped by the user"));
    return undefined;
  };

  const act = pull(server, folder, {
    signal: stop.signal,
    onProgress: ({ state }) => states.push(state),
  });
  const failure = await failureOf(act);

  expect(failure.id).toBe("interrupted.download");
  expect(states.at(-1)).toBe("cancelled");
});

test("the newest revision is taken where that is asked for", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const commits = new Map(model.repositories.map(({ repo, revision }) => [repo, revision]));
  server.behave = async (seen) => {
    if (!seen.path.includes("/resolve/main/")) return undefined as unknown as Response;
    const repo = seen.path.split("/").slice(1, 3).join("/");
    const real = seen.path.replace("/main/", `/${commits.get(repo)}/`);
    return fetch(`${server.url}${real}`, { method: seen.method, redirect: "manual" });
  };

  await pull(server, folder, { isLatest: true });

  expect(realpathSync(at(folder, shard))).toContain("/blobs/");
});

test("a file of the wrong size under its final name is fetched again", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  await pull(server, folder);
  const link = at(folder, shard);
  const blob = realpathSync(link);
  truncateSync(blob, 1000);
  unlinkSync(link);

  await pull(server, folder);

  expect(statSync(blob).size).toBe(30_000);
});
