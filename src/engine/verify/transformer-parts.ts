// Parts of the transformer alone: the token refiner, the conditioning vector, the rotary tables.

import { z } from "zod";
import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import { readConfig } from "../config/read.ts";
import { timeEmbedConfig, tokenRefinerConfig } from "../config/transformer.ts";
import type { LentWeights } from "../models/lender.ts";
import { loadPart } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import { ropeTable } from "../models/rope-table.ts";
import {
  embedScalars,
  embedVectors,
  sinusoids,
  timeText,
} from "../models/transformer-embeddings.ts";
import { refine } from "../models/transformer-refiner.ts";
import { refinerShapes, timeTextShapes } from "../models/transformer-shape.ts";
import { roundBf16 } from "../sampling/schedule.ts";
import { type Judge, valuesOf } from "./measure.ts";
import { type CaseKind, type CaseRun, tapInto } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";
import { textRows } from "./transformer.ts";

const runRefiner = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  const sizes = readConfig(of.path("config.json"), tokenRefinerConfig);
  const inputs = of.inputs(variant);
  const tap = tapInto(judge, of.outputs(variant));
  using part = loadPart(of.folder, load);
  const shapes = refinerShapes("", sizes);
  using w = await part.network.lend({ id: "refiner", prefix: "", shapes });
  using stored = textRows(inputs, "hidden_states", "attention_mask");
  using text = stored.to(load.dtype);
  const timesteps = inputs.numbers("timestep");
  using refined = new Bag();
  for (const rows of refine(w, "", sizes, { timesteps, text, tap })) refined.add(rows);
  for (const rows of refined.all) tap("refined", rows);
};

export const tokenRefiner: CaseKind = {
  dtypes: ["f32", "bf16"],
  perVariant: true,
  run: runRefiner,
};

const runTimeEmbed = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  const { dim, pooledDim } = readConfig(of.path("config.json"), timeEmbedConfig);
  const inputs = of.inputs(variant);
  const outputs = of.outputs(variant);
  using part = loadPart(of.folder, load);
  const shapes = timeTextShapes("", dim, pooledDim, inputs.has("guidance"));
  using w = await part.network.lend({ id: "embedders", prefix: "", shapes });
  using stored = inputs.tensor("pooled_projections");
  using pooled = stored.to(load.dtype);
  using text = embedVectors(w, "text_embedder", pooled.dims.length === 1 ? oneRow(pooled) : pooled);
  tapInto(judge, outputs)("text_emb", text);
  const timesteps = inputs.numbers("timestep");
  const guidance = inputs.has("guidance") ? inputs.numbers("guidance") : undefined;
  const conditioning = { w, pooled, judge, outputs };
  compareScalars("timestep", "time_proj", timesteps, conditioning);
  if (guidance !== undefined) compareScalars("guidance", "guidance_proj", guidance, conditioning);
  compareVectors("temb", timesteps, guidance, conditioning);
  const rounded = guidance?.map(roundBf16);
  compareVectors("temb_with_bf16_rounded_inputs", timesteps.map(roundBf16), rounded, conditioning);
};

export const timeEmbed: CaseKind = { dtypes: ["f32", "bf16"], perVariant: true, run: runTimeEmbed };

interface Conditioning {
  readonly w: LentWeights;
  readonly pooled: Tensor;
  readonly judge: Judge;
  readonly outputs: ReferenceFile;
}

/** Sinusoids, embeddings and bf16 roundings of the scalars called `name`. */
const compareScalars = (
  name: string,
  projection: string,
  scalars: readonly number[],
  { w, pooled, judge, outputs }: Conditioning,
): void => {
  const waves = outputs.find(projection);
  if (waves !== undefined) judge.compare(projection, sinusoids(scalars), waves.data);
  const rounded = outputs.find(`${name}_bf16`);
  if (rounded !== undefined) {
    judge.whole(`${name}_bf16`, scalars.map(roundBf16), rounded.data);
  }
  const dtype = pooled.dtype === "bf16" || pooled.dtype === "f16" ? pooled.dtype : "f32";
  using embedded = embedScalars(w, `${name}_embedder`, scalars, dtype);
  tapInto(judge, outputs)(`${name}_emb`, embedded);
};

/** One conditioning vector a row of the batch, each as a job computes it. */
const compareVectors = (
  name: string,
  timesteps: readonly number[],
  guidance: readonly number[] | undefined,
  { w, pooled, judge, outputs }: Conditioning,
): void => {
  const want = outputs.find(name);
  if (want === undefined) return;
  using scratch = ops.scope();
  const rows = timesteps.flatMap((timestep, i) => {
    const text = pooled.dims.length === 1 ? pooled : row(pooled, i);
    const input = { timesteps: [timestep], guidance: guidance?.[i], text };
    return [...valuesOf(timeText(w, "", input))];
  });
  judge.compare(name, rows, want.data);
};

const row = (matrix: Tensor, i: number): Tensor =>
  matrix.rows(i, i + 1).reshape([matrix.dims[1] ?? 0]);

const oneRow = (vector: Tensor): Tensor => vector.reshape([1, vector.dims[0] ?? 0]);

const tablesSchema = z.array(
  z.object({
    key: z.string(),
    axes: z.array(z.int().positive()).length(3),
    theta: z.number().positive(),
    height: z.int().positive(),
    width: z.int().positive(),
  }),
);

const runRope = async ({ case: of, variant, judge }: CaseRun): Promise<void> => {
  const inputs = of.inputs(variant);
  const outputs = of.outputs(variant);
  const { tables } = z.object({ tables: tablesSchema }).parse(of.raw);
  for (const { key, axes, theta, height: rows, width: columns } of tables) {
    const grid = { axes, theta, rows, columns };
    const frames = inputs.numbers(`${key}.frame_indices`);
    for (const pool of [1, 2, 4] as const) {
      const name = `${key}.freqs${pool === 1 ? "" : `_${pool}x`}`;
      const want = outputs.find(name);
      if (want !== undefined) judge.compare(name, ropeTable(grid, frames, pool), want.data);
    }
    compareRotation(ropeTable(grid, frames), inputs, outputs, judge);
  }
};

export const rope: CaseKind = { dtypes: ["f32"], perVariant: true, run: runRope };

/** Rotates the case's heads with the table that fits them. */
const compareRotation = (
  table: Float32Array,
  inputs: ReferenceFile,
  outputs: ReferenceFile,
  judge: Judge,
): void => {
  const want = outputs.find("apply.rotated");
  if (want === undefined) return;
  using scratch = ops.scope();
  const x = inputs.tensor("apply.x");
  const [tokens = 0, , headDim = 0] = x.dims;
  if (tokens * 2 * headDim !== table.length) return;
  ops.qkNormRope(x, { table: Tensor.from(table, [tokens, 2 * headDim]) });
  judge.compare("apply.rotated", valuesOf(x), want.data);
};
