// framepack models sparse: the published file layout without the weights.

import { resolve } from "node:path";
import { exitCodes, Failure } from "../engine/failure.ts";
import { jsonLine, quoted } from "../engine/printable.ts";
import { writeSparseModel } from "../engine/weights/sparse.ts";
import { count, size } from "../engine/words.ts";
import type { ModelsOptions } from "./models-actions.ts";
import { say } from "./say.ts";

const variants = {
  framepack: "inverted",
  inverted: "inverted",
  "framepack-f1": "f1",
  f1: "f1",
} as const;

export const writeSparse = async (
  folder: string,
  variant: string | undefined,
  { json }: ModelsOptions,
): Promise<number> => {
  const name = variant ?? "framepack";
  if (!Object.hasOwn(variants, name)) {
    throw new Failure("usage.variant", `There is no variant ${quoted(name, 40)}.`, {
      hint: "They are: framepack, f1.",
    });
  }
  const path = resolve(folder);
  const made = await writeSparseModel(path, variants[name as keyof typeof variants]);
  if (json) console.log(jsonLine({ type: "sparse", path, ...made }));
  else {
    const text = `${count(made.tensors, "tensor")} in ${count(made.files, "file")}, ${size(made.bytes)}`;
    say(`${text}, all of it holes. It makes no video; it is for trying plans and loaders.`);
    console.log(path);
  }
  return exitCodes.ok;
};
