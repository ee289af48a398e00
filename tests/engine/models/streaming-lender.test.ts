// Streaming lends the same bytes as holding everything, within the memory that was planned.

import { expect, test } from "bun:test";
import { readConfig } from "../../../src/engine/config/read.ts";
import { transformerConfig } from "../../../src/engine/config/transformer.ts";
import type { Lender, ResidentOptions, Weights } from "../../../src/engine/models/lender.ts";
import { loadTransformer } from "../../../src/engine/models/load.ts";
import { Bag } from "../../../src/engine/models/ownership.ts";
import {
  blockBytesOf,
  type Carrier,
  StreamingLender,
  type StreamPlan,
} from "../../../src/engine/models/streaming-lender.ts";
import type { Transformer } from "../../../src/engine/models/transformer.ts";
import { groupsOf } from "../../../src/engine/models/transformer-shape.ts";
import { Case } from "../../../src/engine/verify/case.ts";
import { positions, sizeOf, transformerInput } from "../../../src/engine/verify/transformer.ts";
import { placeFirst } from "../../../src/engine/weights/residency.ts";
import { WeightSource } from "../../../src/engine/weights/source.ts";
import { memory, openLibrary, resetMemoryPeak } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import * as ops from "../../../src/ffi/ops.ts";
import { goldenFolder } from "../../support/golden.ts";

openLibrary({ backend: "cpu", threads: 2 });

const of = Case.open(`${goldenFolder}dit-packed`);
const inputs = of.inputs();
const config = readConfig(`${of.folder}/config.json`, transformerConfig);
const groups = groupsOf(config);
const blocks = [...groups.double, ...groups.single];

const planOf = (resident: number): StreamPlan => ({
  stream: blocks,
  isCycle: true,
  resident,
  kept: [groups.patches, groups.head],
});

type Make = (weights: Weights, options: ResidentOptions) => Lender;

const open = (dtype: "f32" | "bf16", lender?: Make) =>
  loadTransformer(of.folder, { dtype, mapper: tensorMapper, upload: true, lender });

const streaming =
  (resident: number): Make =>
  (weights, options) =>
    new StreamingLender(weights, options, planOf(resident));

/** Velocities of three steps of one job, one after the other. */
const velocities = async (model: Transformer): Promise<readonly Uint8Array[]> => {
  using held = new Bag();
  const latents = held.add(inputs.tensor("hidden_states"));
  using job = await model.begin(transformerInput(inputs, held, [900, 500, 100]));
  using section = await job.section({ size: sizeOf(latents), ...positions(inputs, held) });
  const results: Uint8Array[] = [];
  for (const step of [0, 1, 2]) {
    using result = await section.step(latents, step);
    results.push(result.bytes());
  }
  return results;
};

test.each([
  ["f32", 0],
  ["bf16", 0],
  ["bf16", 1],
  ["bf16", blocks.length - 1],
  ["bf16", blocks.length],
] as const)(
  "in %s with %p blocks resident every byte is as without streaming",
  async (dtype, resident) => {
    using whole = open(dtype);
    using streamed = open(dtype, streaming(resident));

    expect(await velocities(streamed.network)).toEqual(await velocities(whole.network));
  },
);

test.each([0, 1, 2, blocks.length])(
  "with %p blocks resident the device holds what was planned, and nothing afterwards",
  async (resident) => {
    using source = new WeightSource(of.folder, tensorMapper);
    const sizes = blocks.map((group) => blockBytesOf(group, "bf16"));
    const planned = placeFirst(resident, { fixedBytes: 0, blocks: sizes }).deviceBytes;
    const before = memory().live;

    {
      const lender = new StreamingLender(
        source,
        { dtype: "bf16", upload: true },
        { ...planOf(resident), kept: [] },
      );
      using _held = lender;
      resetMemoryPeak();
      for (const group of [...blocks, ...blocks]) (await lender.lend(group))[Symbol.dispose]();

      const held = memory().peak - before;
      // A small tensor may be on its way besides: one that lies crooked in its file is copied first.
      expect(held).toBeLessThanOrEqual(planned + 16_384);
      expect(held).toBeGreaterThan(0.8 * planned);
    }

    expect(memory().live).toBe(before);
  },
);

/** Notes which blocks are carried, and when. */
const watchedCarrier = (log: string[]): Carrier => ({
  mark: () => log.push("mark"),
  carry: (target, stored) => ops.copy(target, stored),
  arrive: () => log.push("arrive"),
});

/** A source that notes which block is read. */
const watchedSource = (source: Weights, log: string[]): Weights => ({
  require: (needs) => source.require(needs),
  get: (name, shape) => {
    const block = name.split(".").slice(0, 2).join(".");
    if (log.at(-1) !== block) log.push(block);
    return source.get(name, shape);
  },
});

test("the next block comes when the work of this one is queued, into the other slot", async () => {
  using source = new WeightSource(of.folder, tensorMapper);
  const log: string[] = [];
  const options = { dtype: "bf16", upload: true, carrier: watchedCarrier(log) } as const;
  using lender = new StreamingLender(watchedSource(source, log), options, planOf(0));

  for (const group of blocks.slice(0, 2)) {
    using _loan = await lender.lend(group);
    log.push("work");
  }

  expect(log).toEqual([
    ...["transformer_blocks.0", "arrive", "mark", "work"],
    ...["transformer_blocks.1", "arrive", "mark", "work"],
    "single_transformer_blocks.0",
  ]);
});

test("a third block at once is a mistake that is told", async () => {
  using source = new WeightSource(of.folder, tensorMapper);
  using lender = new StreamingLender(source, { dtype: "bf16", upload: true }, planOf(0));
  const [first, second, third] = blocks;
  if (first === undefined || second === undefined || third === undefined) throw new Error("blocks");
  using _one = await lender.lend(first);
  using _two = await lender.lend(second);

  expect(lender.lend(third)).rejects.toThrow("while two blocks are lent");
});

test("what is used once leaves the device when it is given back", async () => {
  using source = new WeightSource(of.folder, tensorMapper);
  using lender = new StreamingLender(source, { dtype: "bf16", upload: true }, planOf(0));
  const before = memory().live;

  const loan = await lender.lend(groups.conditioning);
  const during = memory().live;
  loan[Symbol.dispose]();

  expect(during).toBeGreaterThan(before);
  expect(memory().live).toBe(before);
});

test("a resting lender holds no slots, and goes on afterwards", async () => {
  using source = new WeightSource(of.folder, tensorMapper);
  using lender = new StreamingLender(source, { dtype: "bf16", upload: true }, planOf(0));
  const [first] = blocks;
  if (first === undefined) throw new Error("blocks");
  const before = memory().live;
  (await lender.lend(first))[Symbol.dispose]();

  lender.rest();

  expect(memory().live).toBe(before);
  using again = await lender.lend(first);
  expect(again.get(Object.keys(first.shapes)[0] ?? "").dims.length).toBeGreaterThan(0);
});
