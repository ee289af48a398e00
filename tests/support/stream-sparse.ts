// Runs as a process of its own under a memory limit: opens a whole model folder, checks every tensor
// of every network, and streams transformer blocks through the device's slots. Prints what it took.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { resolveModel } from "../../src/engine/config/model-folder.ts";
import { readConfig } from "../../src/engine/config/read.ts";
import { transformerConfig } from "../../src/engine/config/transformer.ts";
import { checkStructure } from "../../src/engine/hub/structure.ts";
import { StreamingLender } from "../../src/engine/models/streaming-lender.ts";
import { transformerStream } from "../../src/engine/plan/placement.ts";
import { WeightSource } from "../../src/engine/weights/source.ts";
import { memory, openLibrary } from "../../src/ffi/library.ts";
import { tensorMapper } from "../../src/ffi/mapped-file.ts";

const [folder = "", count = "3"] = process.argv.slice(2);

const anonymousBytes = (): number => {
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
};

openLibrary({ backend: "cpu", threads: 2 });
const { tensors } = checkStructure(resolveModel(folder));
const part = join(folder, "transformer");
const plan = transformerStream(readConfig(join(part, "config.json"), transformerConfig), 0);
using source = new WeightSource(part, tensorMapper);
using lender = new StreamingLender(source, { dtype: "bf16", upload: true }, plan);
const begun = performance.now();
let anonymous = 0;
for (const group of plan.stream.slice(0, Number(count))) {
  using loan = await lender.lend(group);
  for (const name of Object.keys(group.shapes)) loan.get(name);
  anonymous = Math.max(anonymous, anonymousBytes());
}
const ms = performance.now() - begun;
console.log(JSON.stringify({ tensors, anonymous, devicePeak: memory().peak, ms }));
