// framepack models: which models are on this machine and where, and getting, proving or removing them.

import { hubCache } from "../engine/config/cache.ts";
import { type PartName, partNames } from "../engine/config/known-models.ts";
import { resolveModel } from "../engine/config/model-folder.ts";
import { exitCodes, Failure } from "../engine/failure.ts";
import { listModels } from "../engine/hub/list.ts";
import { didYouMean } from "../engine/nearest.ts";
import { jsonLine, quoted } from "../engine/printable.ts";
import { size } from "../engine/words.ts";
import { parseFlags, text, toggle } from "./flags.ts";
import { type ModelsOptions, pull, remove, verify } from "./models-actions.ts";
import { say } from "./say.ts";

const modelFlags = {
  cache: text("FOLDER", "the Hugging Face cache to use"),
  json: toggle("one line of JSON a model, part or event"),
  yes: toggle("answer every question with yes"),
  check: toggle("pull: prove what is there first, and fetch it again where it is damaged"),
  latest: toggle("pull: what is newest instead of the pinned revisions"),
  variant: text("NAME", "sparse: framepack or f1"),
};

const actions = ["list", "pull", "verify", "path", "remove", "sparse"] as const;
type Action = (typeof actions)[number];
const usage = "list | pull MODEL | verify MODEL | path MODEL [PART] | remove MODEL | sparse FOLDER";

export const run = async (args: readonly string[]): Promise<number> => {
  const { flags, rest } = parseFlags("models", modelFlags, args, { usage, rest_max: 3 });
  const [word, name, part] = rest;
  const action = actions.find((each) => each === word);
  const options: ModelsOptions = {
    cache: flags.cache ?? hubCache(),
    json: flags.json ?? false,
    yes: flags.yes ?? false,
    check: flags.check ?? false,
    latest: flags.latest ?? false,
  };
  if (action === "list" && name === undefined) return list(options);
  if (action === "path" && name !== undefined) return path(name, part, options);
  if (action === "sparse" && name !== undefined && part === undefined) {
    const { writeSparse } = await import("./models-sparse.ts");
    return writeSparse(name, flags.variant, options);
  }
  if (action !== undefined && name !== undefined && part === undefined) {
    return act(action, name, options);
  }
  const guess = word === undefined ? "" : didYouMean(word, actions);
  throw new Failure("usage.models", `framepack models takes: ${usage}.${guess}`, {
    hint: "framepack models --help lists its flags.",
  });
};

const act = (action: Action, name: string, options: ModelsOptions): Promise<number> => {
  switch (action) {
    case "pull":
      return pull(name, options);
    case "verify":
      return verify(name, options);
    case "remove":
      return remove(name, options);
    default:
      throw new Failure("usage.models", `framepack models takes: ${usage}.`);
  }
};

const list = ({ cache, json }: ModelsOptions): number => {
  for (const { status, problem } of listModels(cache)) {
    const { name, title, state, bytesPresent, bytesTotal, missing } = status;
    if (json) {
      const isComplete = state === "complete";
      const row = { type: "model", name, about: title, state, isComplete, bytes: bytesPresent };
      console.log(jsonLine({ ...row, bytesTotal, missing, ...(problem && { problem }) }));
      continue;
    }
    const bytes =
      state === "partial" ? `${size(bytesPresent)} of ${size(bytesTotal)}` : size(bytesTotal);
    console.log(`${name.padEnd(14)} ${state.padEnd(9)} ${bytes.padEnd(18)} ${title}`);
  }
  if (!json) say(`The cache is ${cache}.`);
  return exitCodes.ok;
};

const path = (name: string, part: string | undefined, { cache, json }: ModelsOptions): number => {
  const { parts } = resolveModel(name, { cache });
  if (part !== undefined && !isPart(part)) {
    const message = `A model has no part ${quoted(part, 40)}.${didYouMean(part, partNames)}`;
    throw new Failure("usage.part", message, { hint: `Parts are: ${partNames.join(", ")}.` });
  }
  for (const each of part === undefined ? partNames : [part]) {
    const folder = parts[each];
    if (json) console.log(jsonLine({ type: "part", part: each, path: folder }));
    else console.log(part === undefined ? `${each.padEnd(18)} ${folder}` : folder);
  }
  return exitCodes.ok;
};

const isPart = (word: string): word is PartName => partNames.some((part) => part === word);
