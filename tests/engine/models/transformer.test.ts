import { expect, test } from "bun:test";
import { loadTransformer } from "../../../src/engine/models/load.ts";
import { Bag } from "../../../src/engine/models/ownership.ts";
import type { Transformer, TransformerInput } from "../../../src/engine/models/transformer.ts";
import { Case } from "../../../src/engine/verify/case.ts";
import { positions, sizeOf, transformerInput } from "../../../src/engine/verify/transformer.ts";
import { memory, openLibrary } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import type { Tensor } from "../../../src/ffi/tensor.ts";
import { goldenFolder } from "../../support/golden.ts";

openLibrary({ backend: "cpu", threads: 2 });

const of = Case.open(`${goldenFolder}dit-packed`);
const inputs = of.inputs();
const open = (dtype: "f32" | "bf16") =>
  loadTransformer(of.folder, { dtype, mapper: tensorMapper, upload: false });

interface Setup {
  readonly input: TransformerInput;
  readonly latents: Tensor;
}

const setUp = (held: Bag, timesteps: readonly number[]): Setup => ({
  latents: held.add(inputs.tensor("hidden_states")),
  input: transformerInput(inputs, held, timesteps),
});

/** The velocity at one step of a job with these timesteps. */
const velocity = async (
  model: Transformer,
  timesteps: readonly number[],
  step: number,
  isWatched = false,
): Promise<Uint8Array> => {
  using held = new Bag();
  const { input, latents } = setUp(held, timesteps);
  using job = await model.begin(input);
  using section = await job.section({ size: sizeOf(latents), ...positions(inputs, held) });
  const tap = isWatched ? { tap: () => undefined } : {};
  using result = await section.step(latents, step, tap);
  return result.bytes();
};

test.each(["f32", "bf16"] as const)(
  "the last block's shortcut changes nothing in %s",
  async (dtype) => {
    using loaded = open(dtype);

    const short = await velocity(loaded.network, [700], 0);

    expect(await velocity(loaded.network, [700], 0, true)).toEqual(short);
  },
);

test.each(["f32", "bf16"] as const)(
  "a step of a long job equals a job of that step alone in %s",
  async (dtype) => {
    using loaded = open(dtype);
    const timesteps = [1000, 900, 777, 300];

    const alone = await velocity(loaded.network, [777], 0);

    expect(await velocity(loaded.network, timesteps, 2)).toEqual(alone);
  },
);

test("a forward stops between blocks when its caller throws and leaves nothing", async () => {
  using loaded = open("f32");
  using held = new Bag();
  const { input, latents } = setUp(held, [700]);
  using job = await loaded.network.begin(input);
  using section = await job.section({ size: sizeOf(latents), ...positions(inputs, held) });
  using whole = await section.step(latents, 0); // lends every group once
  void whole;
  const before = memory().tensors;
  const seen: string[] = [];

  const stopped = section.step(latents, 0, {
    breathe: ({ part }) => {
      seen.push(part);
      if (part === "double 1") throw new Error("enough");
    },
  });

  expect(stopped).rejects.toThrow("enough");
  await stopped.catch(() => undefined);
  expect(seen).toEqual(["its embeddings", "double 0", "double 1"]);
  expect(memory().tensors).toBe(before);
});

test("a job gives back every tensor", async () => {
  using loaded = open("f32");
  await velocity(loaded.network, [500], 0);
  const before = memory().tensors;

  await velocity(loaded.network, [500], 0);

  expect(memory().tensors).toBe(before);
});

test("clean latents of another size are refused", async () => {
  using loaded = open("f32");
  using held = new Bag();
  const { input, latents } = setUp(held, [700]);
  using job = await loaded.network.begin(input);
  const [frames, rows, columns] = sizeOf(latents);

  const section = job.section({ size: [frames, rows + 2, columns], ...positions(inputs, held) });

  expect(section).rejects.toThrow("do not fit");
});
