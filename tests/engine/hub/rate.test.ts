// How fast a pull is beside the plainest possible way to fetch the same file from a server that gives
// so much a second in all, however many ask.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { hubOf } from "../../../src/engine/hub/endpoint.ts";
import { fetchFile } from "../../../src/engine/hub/fetch-file.ts";
import { remoteFile } from "../../../src/engine/hub/remote-file.ts";
import { patience } from "../../../src/engine/hub/retry.ts";
import { HubServer } from "../../support/hub-server.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

const path = "diffusion_pytorch_model-00001-of-00003.safetensors";
const bytes = 32_000_000;
const bytes_per_second = 80_000_000;
const piece_bytes = 256 * 1024;

/** Lets bodies out piece by piece, all of them together at one rate. */
const throttle = () => {
  let freeAt = 0;
  const turn = async (length: number): Promise<void> => {
    const now = performance.now();
    freeAt = Math.max(now, freeAt) + (length * 1000) / bytes_per_second;
    await Bun.sleep(freeAt - now);
  };
  return async (response: Response): Promise<Response> => {
    const data = new Uint8Array(await response.arrayBuffer());
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const piece = data.subarray(at, at + piece_bytes);
        at += piece.length;
        await turn(piece.length);
        controller.enqueue(piece);
        if (at >= data.length) controller.close();
      },
    });
    return new Response(body, response);
  };
};

test("a file comes at four fifths of the rate of a bare fetch at least", async () => {
  using folder = new ScratchFolder();
  const slowly = throttle();
  using server = new HubServer({
    bytes: { [path]: bytes },
    behave: ({ at, method }, usual) =>
      at === "store" && method === "GET" ? slowly(usual()) : undefined,
  });
  const hub = hubOf({ HF_ENDPOINT: server.url, HF_HOME: folder.path });
  const line = { hub, retry: patience, signal: new AbortController().signal };
  const revision = "86cef4396041b6002c957852daac4c91aaa47c79";
  const file = await remoteFile(line, { repo: "lllyasviel/FramePackI2V_HY", revision, path });
  const timed = async (act: () => Promise<unknown>): Promise<number> => {
    const begun = performance.now();
    await act();
    return performance.now() - begun;
  };

  // In turns, and the best pair counts: other programs on the machine hit both alike.
  const ratios: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    const plain = await timed(async () =>
      Bun.write(join(folder.path, `plain-${turn}`), await fetch(file.url)),
    );
    const cache = join(folder.path, `cache-${turn}`);
    const nothing = () => undefined;
    const job = { line, file, cache, onBytes: nothing, onResumed: nothing, note: nothing };
    ratios.push(plain / (await timed(() => fetchFile(job))));
  }

  expect(Math.max(...ratios)).toBeGreaterThan(0.8);
}, 30_000);
