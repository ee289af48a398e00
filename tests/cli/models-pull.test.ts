// framepack models pull and verify as processes: killed and run again, through a proxy, against curl.

import { expect, test } from "bun:test";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { snapshotPath } from "../../src/engine/config/cache.ts";
import { findPublished } from "../../src/engine/hub/manifest.ts";
import { HubServer } from "../support/hub-server.ts";
import { ScratchFolder } from "../support/scratch-folder.ts";

const main = `${import.meta.dir}/../../src/main.ts`;
const revision = findPublished("framepack")?.repositories[0]?.revision ?? "";
const shard = "diffusion_pytorch_model-00001-of-00003.safetensors";
const key = `FramePackI2V_HY/resolve/${revision}/${shard}`;

type Extra = Readonly<Record<string, string>>;

const start = (folder: ScratchFolder, url: string, args: readonly string[], extra: Extra = {}) =>
  Bun.spawn([process.execPath, main, "models", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: process.env.PATH,
      HOME: folder.path,
      HF_ENDPOINT: url,
      HF_HUB_CACHE: join(folder.path, "hub"),
      HF_TOKEN: "hf_secretToken",
      ...extra,
    },
  });

const ended = async (child: ReturnType<typeof start>) => {
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
};

const fileIn = (folder: ScratchFolder): string =>
  snapshotPath("lllyasviel/FramePackI2V_HY", join(folder.path, "hub"), revision, shard);

test("after kill -9 a pull goes on, and no more than 16 MB of a file come twice", async () => {
  using folder = new ScratchFolder();
  const bytes = 60_000_000;
  using server = new HubServer({ bytes: { [shard]: bytes } });
  const reached = Promise.withResolvers<void>();
  let isHolding = true;
  server.behave = (seen) => {
    const begun = Number(/bytes=(\d+)/.exec(seen.range ?? "")?.[1] ?? 0);
    if (!isHolding || seen.at !== "store" || !seen.path.endsWith(key)) return undefined;
    if (begun < 35_000_000) return undefined;
    reached.resolve();
    return new Promise<Response>(() => undefined);
  };
  const first = start(folder, server.url, ["pull", "framepack"]);
  await reached.promise;

  first.kill("SIGKILL");
  await first.exited;
  isHolding = false;
  const second = await ended(start(folder, server.url, ["pull", "framepack"]));

  const asked = server.asked.get(`/lllyasviel/${key}`) ?? 0;
  expect(second.code).toBe(0);
  expect(asked).toBeGreaterThanOrEqual(bytes);
  expect(asked).toBeLessThanOrEqual(bytes + 16 * 1024 * 1024);
  expect(Buffer.compare(readFileSync(fileIn(folder)), server.content(key))).toBe(0);
}, 30_000);

test("licences come before the first request, and the token is in no output", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer({ behave: () => new Response(null, { status: 401 }) });

  const { code, out, err } = await ended(start(folder, server.url, ["pull", "framepack"]));

  expect(code).toBe(4);
  expect(err).toContain("Tencent Hunyuan Community License");
  expect(err).toContain("does not accept the token");
  expect(out + err).not.toContain("secret");
});

test("progress is one line an event off a terminal, and JSON where it is asked for", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();

  const { code, out } = await ended(start(folder, server.url, ["pull", "framepack", "--json"]));
  const list = await ended(start(folder, server.url, ["list", "--json"]));

  const last = JSON.parse(out.trim().split("\n").at(-1) ?? "");
  expect(code).toBe(0);
  expect(last).toMatchObject({ type: "download", model: "framepack", state: "finished" });
  expect(list.out).toContain(`"name":"framepack","about"`);
  expect(list.out).toMatch(/"name":"framepack",[^\n]*"state":"complete"/);
  expect(list.out).toMatch(/"name":"framepack-f1",[^\n]*"state":"partial"/);
});

test("verify finds one wrong byte, and pull --check fetches that file again", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  await ended(start(folder, server.url, ["pull", "framepack"]));
  const blob = realpathSync(fileIn(folder));
  const content = readFileSync(blob);
  content[99] = (content[99] ?? 0) ^ 1;
  writeFileSync(blob, content);

  const found = await ended(start(folder, server.url, ["verify", "framepack"]));
  const mended = await ended(start(folder, server.url, ["pull", "framepack", "--check"]));

  expect(found.code).toBe(4);
  expect(found.err).toContain(`damaged: ${shard} is not as published`);
  expect(mended.code).toBe(0);
  expect(Buffer.compare(readFileSync(blob), server.content(key))).toBe(0);
});

test("remove takes what no other model needs, and only when it is told to", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  await ended(start(folder, server.url, ["pull", "framepack"]));
  await ended(start(folder, server.url, ["pull", "framepack-f1"]));
  const hub = join(folder.path, "hub");

  const asked = await ended(start(folder, server.url, ["remove", "framepack"]));
  const isThere = existsSync(fileIn(folder));
  const one = await ended(start(folder, server.url, ["remove", "framepack", "--yes"]));
  const shared = existsSync(join(hub, "models--hunyuanvideo-community--HunyuanVideo"));
  const both = await ended(start(folder, server.url, ["remove", "framepack-f1", "--yes"]));

  expect([asked.code, isThere]).toEqual([0, true]);
  expect([one.code, shared]).toEqual([0, true]);
  expect(both.code).toBe(0);
  expect([...new Bun.Glob("models--*").scanSync({ cwd: hub, onlyFiles: false })]).toEqual([]);
});

/** A proxy for plain http that notes what came through it. */
const proxy = (through: string[]) =>
  Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      through.push(request.url);
      return new Response(null, { status: 404 });
    },
  });

test("the proxy of the environment is used, except for hosts it names", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const through: string[] = [];
  const between = proxy(through);
  const http_proxy = `http://127.0.0.1:${between.port}`;

  const around = await ended(
    start(folder, server.url, ["pull", "framepack"], { http_proxy, no_proxy: "127.0.0.1" }),
  );
  const untouched = through.length;
  const child = start(folder, "http://hub.invalid", ["pull", "framepack-f1"], { http_proxy });
  const { err } = await ended(child);
  await between.stop(true);

  expect([around.code, untouched]).toEqual([0, 0]);
  expect(through.length).toBeGreaterThan(0);
  expect(err).toContain("(404)");
});
