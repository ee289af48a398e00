// The actions of framepack models that take long or change something: pull, verify, remove.

import { resolveModel } from "../engine/config/model-folder.ts";
import { exitCodes, Failure } from "../engine/failure.ts";
import { hubOf } from "../engine/hub/endpoint.ts";
import {
  findPublished,
  licencesOf,
  listedBytes,
  type PublishedModel,
  publishedModels,
} from "../engine/hub/manifest.ts";
import { pullModel } from "../engine/hub/pull.ts";
import { PullProgress } from "../engine/hub/pull-progress.ts";
import { planRemoval, removeFiles } from "../engine/hub/remove.ts";
import { modelStatus } from "../engine/hub/status.ts";
import { checkStructure } from "../engine/hub/structure.ts";
import { dropDamaged, verifyModel } from "../engine/hub/verify.ts";
import { didYouMean } from "../engine/nearest.ts";
import { jsonLine, quoted } from "../engine/printable.ts";
import { count, size } from "../engine/words.ts";
import { agrees } from "./agree.ts";
import { DownloadReporter } from "./download-reporter.ts";
import { say } from "./say.ts";
import { stopOnSignals } from "./stop-signals.ts";

export type ModelsOptions = Readonly<{
  cache: string;
  json: boolean;
  yes: boolean;
  check: boolean;
  latest: boolean;
}>;

export const pull = async (name: string, options: ModelsOptions): Promise<number> => {
  const { cache, json, check, latest } = options;
  const model = published(name);
  const status = modelStatus(model, cache);
  if (status.state === "complete" && !check && !latest) {
    if (json) console.log(jsonLine({ type: "model", ...status }));
    else say(`${model.name} is complete: ${size(status.bytesTotal)} in ${cache}.`);
    return exitCodes.ok;
  }
  if (!(await pullAsked(model, options))) say("Nothing was changed.");
  return exitCodes.ok;
};

/** Shows the licences, asks on a terminal, fetches; false when the answer was no. */
export const pullAsked = async (
  model: PublishedModel,
  options: ModelsOptions,
): Promise<boolean> => {
  const { cache, json, yes, check, latest: isLatest } = options;
  const hub = hubOf();
  sayLicences(model);
  const { bytesTotal, bytesPresent } = modelStatus(model, cache);
  const question = `Fetch about ${size(bytesTotal - bytesPresent)} from ${hub.host} into ${cache}?`;
  if (!yes && !json && !(await agrees(question, { offTerminal: true }))) return false;
  await watched(json, async (signal, report) => {
    if (check) {
      const progress = new PullProgress(model.name, report.listen, () => performance.now());
      const dropped = await dropDamaged({ model, cache, hub, signal, progress });
      if (dropped > 0) report.say(`${count(dropped, "damaged file")} will be fetched again.`);
    }
    await pullModel({ model, cache, hub, signal, isLatest, onProgress: report.listen });
  });
  return true;
};

/** A published model by its hashes and structure, anything else by its structure. */
export const verify = async (name: string, options: ModelsOptions): Promise<number> => {
  const { cache, json } = options;
  const model = findPublished(name);
  if (model === undefined) {
    const { tensors, bytes } = checkStructure(resolveModel(name, { cache }));
    if (json) console.log(jsonLine({ type: "verified", name, tensors, bytes }));
    else say(`${count(tensors, "tensor")}, ${size(bytes)}: as its configs promise.`);
    return exitCodes.ok;
  }
  await watched(json, async (signal, report) => {
    const progress = new PullProgress(model.name, report.listen, () => performance.now());
    const found = await verifyModel({ model, cache, hub: hubOf(), signal, progress });
    const { files, proven, tensors, bytes } = found;
    if (json) console.log(jsonLine({ type: "verified", name: model.name, ...found }));
    else {
      const rest = proven === files ? "" : `, ${files - proven} without a known hash`;
      const whole = `${count(tensors, "tensor")}, ${size(bytes)}`;
      report.say(`${proven} of ${count(files, "file")} proven by hash${rest}; ${whole}.`);
    }
  });
  return exitCodes.ok;
};

export const remove = async (name: string, options: ModelsOptions): Promise<number> => {
  const { cache, json, yes } = options;
  const model = published(name);
  const removal = planRemoval(model, cache);
  const repos = removal.repositories.map(({ repo }) => repo);
  if (repos.length === 0) {
    throw new Failure(
      "model.missing",
      `Nothing of ${quoted(model.name)} is in ${quoted(cache, 300)}.`,
    );
  }
  const question = `Remove ${size(removal.bytes)} (${repos.join(", ")}) from ${cache}?`;
  if (!yes && !(await agrees(question, { offTerminal: false }))) {
    say("Nothing was changed.");
    return exitCodes.ok;
  }
  removeFiles(removal, cache);
  if (json) console.log(jsonLine({ type: "removed", name: model.name, bytes: removal.bytes }));
  else say(`${size(removal.bytes)} are free again.`);
  return exitCodes.ok;
};

const published = (name: string): PublishedModel => {
  const found = findPublished(name);
  if (found !== undefined) return found;
  const names = publishedModels.map((model) => model.name);
  const isHere = name === "demo" ? " It comes with the program." : didYouMean(name, names);
  throw new Failure("usage.model", `${quoted(name, 100)} is no published model.${isHere}`, {
    hint: `They are: ${names.join(", ")}.`,
  });
};

const sayLicences = (model: PublishedModel): void => {
  const { name, about } = model;
  say(`${name}: ${about}; about ${size(listedBytes(model))} in all.`);
  say("The weights are not part of this program. Fetching them means accepting:");
  for (const licence of licencesOf(model)) say(`  ${licence}`);
};

/** Runs something long that Ctrl-C stops, with its progress shown. */
const watched = async (
  json: boolean,
  act: (signal: AbortSignal, report: DownloadReporter) => Promise<void>,
): Promise<void> => {
  const stop = new AbortController();
  using _signals = stopOnSignals(stop, () => undefined);
  using report = new DownloadReporter({ json, terminal: process.stderr });
  await act(stop.signal, report);
};
