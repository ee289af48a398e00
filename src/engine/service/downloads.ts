// Pulls and proofs of models that the engine runs for its clients: one at a time for a model, stopped
// by name. Progress goes to whoever listens to the engine.

import { hubCache } from "../config/cache.ts";
import { resolveModel } from "../config/model-folder.ts";
import { Failure } from "../failure.ts";
import { hubOf } from "../hub/endpoint.ts";
import { listModels } from "../hub/list.ts";
import { findPublished, type PublishedModel } from "../hub/manifest.ts";
import { pullModel } from "../hub/pull.ts";
import { PullProgress } from "../hub/pull-progress.ts";
import type { Retry } from "../hub/retry.ts";
import { checkStructure } from "../hub/structure.ts";
import { verifyModel } from "../hub/verify.ts";
import { quoted } from "../printable.ts";
import type { Download } from "../protocol.ts";
import { count } from "../words.ts";
import type { EngineServices } from "./engine.ts";

type Listen = (download: Download) => void;
type Services = Pick<EngineServices, "models" | "pull" | "verifyModel" | "cancelPull" | "isBusy">;
type Options = Readonly<{ env?: NodeJS.ProcessEnv; retry?: Retry }>;

export const downloads = ({ env = process.env, retry }: Options = {}): Services => {
  const running = new Map<string, AbortController>();
  /** Begins and does not wait: how it goes on and ends, failures too, is told as progress. */
  const begin = (name: string, act: (signal: AbortSignal) => Promise<void>): void => {
    if (running.has(name)) {
      throw new Failure("usage.busy", `The model ${quoted(name, 100)} is being worked on already.`);
    }
    const stop = new AbortController();
    running.set(name, stop);
    void act(stop.signal)
      .catch((error: unknown) => {
        if (!(error instanceof Failure)) throw error;
      })
      .finally(() => running.delete(name));
  };
  const common = () => ({ cache: hubCache(env), hub: hubOf(env), ...(retry && { retry }) });
  return {
    models: async () => listModels(hubCache(env)).map(({ status }) => status),
    pull: async (name, onProgress) => {
      const model = published(name);
      const options = { model, ...common(), onProgress };
      begin(name, (signal) => pullModel({ ...options, signal }));
    },
    verifyModel: async (name, onProgress) => {
      const options = common();
      begin(name, (signal) => proven(name, { ...options, signal }, onProgress));
    },
    cancelPull: (name) => running.get(name)?.abort(new Error("stopped by a client")),
    isBusy: () => running.size > 0,
  };
};

const published = (name: string): PublishedModel => {
  const model = findPublished(name);
  if (model !== undefined) return model;
  throw new Failure("usage.model", `${quoted(name, 100)} is no published model.`, {
    hint: "framepack models list shows them.",
  });
};

type Common = Readonly<{
  cache: string;
  hub: ReturnType<typeof hubOf>;
  retry?: Retry;
  signal: AbortSignal;
}>;

const proven = async (name: string, common: Common, listen: Listen): Promise<void> => {
  const progress = new PullProgress(name, listen, () => performance.now());
  try {
    const model = findPublished(name);
    if (model === undefined) {
      const { tensors } = checkStructure(resolveModel(name, { cache: common.cache }));
      progress.end("finished", `${count(tensors, "tensor")}: as its configs promise.`);
      return;
    }
    const { proven, files } = await verifyModel({ model, ...common, progress });
    progress.end("finished", `${proven} of ${count(files, "file")} proven by hash.`);
  } catch (error) {
    const isStopped = common.signal.aborted;
    const message = error instanceof Failure ? error.message : String(error);
    progress.end(isStopped ? "cancelled" : "failed", isStopped ? "Stopped." : message);
    // A bug is no news for a client alone.
    if (!isStopped && !(error instanceof Failure)) throw error;
  }
};
