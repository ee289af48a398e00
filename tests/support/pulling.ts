// Pulling from a local hub in a test: a model, no waiting, and failures as values.

import { snapshotPath } from "../../src/engine/config/cache.ts";
import { Failure } from "../../src/engine/failure.ts";
import { type Hub, hubOf } from "../../src/engine/hub/endpoint.ts";
import { findPublished, type PublishedModel } from "../../src/engine/hub/manifest.ts";
import { pullModel } from "../../src/engine/hub/pull.ts";
import type { Retry } from "../../src/engine/hub/retry.ts";
import type { Download } from "../../src/engine/protocol.ts";
import type { HubServer } from "./hub-server.ts";
import type { ScratchFolder } from "./scratch-folder.ts";

export const model = findPublished("framepack") as PublishedModel;
export const shard = "diffusion_pytorch_model-00001-of-00003.safetensors";
export const transformer = {
  repo: "lllyasviel/FramePackI2V_HY",
  revision: model.repositories[0]?.revision ?? "",
};

/** Retries at once, and notes how long it was to wait. */
export const patient = (waits: number[] = []): Retry => ({
  tries: 4,
  first_ms: 100,
  idle_ms: 20_000,
  wait: async (ms) => {
    waits.push(ms);
  },
});

export type PullingOptions = Readonly<{
  hub?: Hub;
  retry?: Retry;
  signal?: AbortSignal;
  onProgress?: (download: Download) => void;
  isLatest?: boolean;
}>;

export const pull = (
  server: HubServer,
  folder: ScratchFolder,
  options: PullingOptions = {},
): Promise<void> =>
  pullModel({
    model,
    cache: folder.path,
    hub: hubOf({ HF_ENDPOINT: server.url, HF_TOKEN: "hf_secretToken", HF_HOME: folder.path }),
    signal: new AbortController().signal,
    retry: patient(),
    onProgress: () => undefined,
    ...options,
  });

export const failureOf = async (act: Promise<unknown>): Promise<Failure> => {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return error;
  throw new Error(`no Failure but ${error}`);
};

export const at = (folder: ScratchFolder, path: string): string =>
  snapshotPath(transformer.repo, folder.path, transformer.revision, path);
