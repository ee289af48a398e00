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
import { blobPath } from "../../../src/engine/config/cache.ts";
import { resolveModel } from "../../../src/engine/config/model-folder.ts";
import { hubOf } from "../../../src/engine/hub/endpoint.ts";
import { fetchFile } from "../../../src/engine/hub/fetch-file.ts";
import { remoteFile } from "../../../src/engine/hub/remote-file.ts";
import { modelStatus } from "../../../src/engine/hub/status.ts";
import type { Download } from "../../../src/engine/protocol.ts";
import { HubServer, type Seen } from "../../support/hub-server.ts";
import { at, failureOf, model, patient, pull, shard, transformer } from "../../support/pulling.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

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
  const arrived = Promise.withResolvers<void>();
  let answers = 0;
  server.behave = (seen, usual) =>
    seen.at === "store" && seen.method === "GET" && answers++ === 0
      ? cutAfter(usual(), 1_000_000, arrived.promise)
      : undefined;
  const hub = hubOf({ HF_ENDPOINT: server.url, HF_HOME: folder.path });
  const line = { hub, retry: patient(), signal: new AbortController().signal };
  const file = await remoteFile(line, { ...transformer, path: shard });
  let received = 0;
  const onBytes = (bytes: number): void => {
    received += bytes;
    if (received >= 1_000_000) arrived.resolve();
  };
  const nothing = () => undefined;

  await fetchFile({ line, file, cache: folder.path, onBytes, onResumed: nothing, note: nothing });

  const ranges = server.seen.filter(({ range }) => range !== null).map(({ range }) => range);
  expect(ranges).toEqual(["bytes=0-2999999", "bytes=1000000-2999999"]);
  expect(received).toBe(3_000_000);
  expect(Buffer.compare(readFileSync(at(folder, shard)), server.content(key))).toBe(0);
});

/** The beginning of an answer; once that has arrived the line is closed. */
const cutAfter = (response: Response, bytes: number, arrived: Promise<void>): Response => {
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const whole = new Uint8Array(await response.arrayBuffer());
      controller.enqueue(whole.subarray(0, bytes));
      await arrived;
      controller.error(new Error("cut"));
    },
  });
  return new Response(body, response);
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
