// What run says when its model is not here, or only partly.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { HubServer } from "../support/hub-server.ts";
import { ScratchFolder } from "../support/scratch-folder.ts";

const root = join(import.meta.dir, "../..");

const framepack = async (
  folder: ScratchFolder,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
) => {
  const child = Bun.spawn([process.execPath, join(root, "src/main.ts"), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      ...{ PATH: process.env.PATH, HOME: folder.path, XDG_STATE_HOME: join(folder.path, "state") },
      ...{ HF_HUB_CACHE: join(folder.path, "hub"), ...more },
    },
  });
  const [err, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return { err, code };
};

const wish = ["run", "--image", join(root, "demo/model/examples/start_1.png"), "--prompt", "x"];

test("without the model and without a terminal run ends with 4 and the command", async () => {
  using folder = new ScratchFolder();

  const { code, err } = await framepack(folder, wish);

  expect(code).toBe(4);
  expect(err).toContain('The model "framepack" is not here.');
  expect(err).toContain("framepack models pull framepack fetches about 42.9 GB.");
});

test("a model that is here in part is told as that, before anything is opened", async () => {
  using folder = new ScratchFolder();
  using server = new HubServer();
  const HF_ENDPOINT = server.url;
  await framepack(folder, ["models", "pull", "framepack"], { HF_ENDPOINT });

  const { code, err } = await framepack(folder, [...wish, "--model", "framepack-f1"]);

  expect(code).toBe(4);
  expect(err).toContain('The model "framepack-f1" lacks 5 of its files.');
  expect(err).toContain("framepack models pull framepack-f1");
});
