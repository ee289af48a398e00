// Cases of the packed transformer: one forward with whatever optional inputs it has.

import type { Tensor } from "../../ffi/tensor.ts";
import { loadTransformer } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import type { TransformerInput } from "../models/transformer.ts";
import type { CleanLatents, SectionInput } from "../models/transformer-section.ts";
import { type CaseKind, type CaseRun, tapInto } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";

/** The sample is taken from the forward that a job runs; intermediates come from a watched one. */
const run = async ({ case: of, variant, judge, load }: CaseRun): Promise<void> => {
  using loaded = loadTransformer(of.folder, load);
  const inputs = of.inputs(variant);
  const tap = tapInto(judge, of.outputs(variant));
  using held = new Bag();
  const latents = held.add(inputs.tensor("hidden_states"));
  const input = transformerInput(inputs, held, inputs.numbers("timestep"));
  using job = await loaded.network.begin(input, { tap });
  using section = await job.section({ size: sizeOf(latents), ...positions(inputs, held) });
  held.add(await section.step(latents, 0, { tap }));
  tap("sample", held.add(await section.step(latents, 0)));
};

export const transformerForward: CaseKind = { dtypes: ["f32", "bf16"], perVariant: true, run };

/** Frames, rows and columns of latents [C, T, h, w]. */
export const sizeOf = ({ dims }: Tensor): SectionInput["size"] => {
  const [, frames = 0, rows = 0, columns = 0] = dims;
  return [frames, rows, columns];
};

/** The conditioning of a case, its text cut to the rows that its mask shows. */
export const transformerInput = (
  inputs: ReferenceFile,
  held: Bag,
  timesteps: readonly number[],
  guidance = inputs.has("guidance") ? inputs.numbers("guidance")[0] : undefined,
): TransformerInput => ({
  timesteps,
  guidance,
  text: held.add(textRows(inputs, "encoder_hidden_states", "encoder_attention_mask")),
  pooled: held.add(inputs.tensor("pooled_projections")),
  image: inputs.has("image_embeddings") ? held.add(inputs.tensor("image_embeddings")) : undefined,
});

/** The first rows of a padded text, as many as its mask has ones; all where there is no mask. */
export const textRows = (inputs: ReferenceFile, text: string, mask: string): Tensor => {
  using padded = inputs.tensor(text);
  const all = padded.dims[0] ?? 0;
  const rows = inputs.has(mask) ? inputs.numbers(mask).reduce((a, b) => a + b, 0) : all;
  return padded.rows(0, rows);
};

/** Positions and clean latents, as far as the case has them. */
export const positions = (inputs: ReferenceFile, held: Bag): Omit<SectionInput, "size"> => {
  const clean = (suffix: string): CleanLatents | undefined =>
    inputs.has(`clean_latents${suffix}`)
      ? {
          latents: held.add(inputs.tensor(`clean_latents${suffix}`)),
          indices: inputs.numbers(`clean_latent${suffix}_indices`),
        }
      : undefined;
  return {
    indices: inputs.has("latent_indices") ? inputs.numbers("latent_indices") : undefined,
    clean1x: clean(""),
    clean2x: clean("_2x"),
    clean4x: clean("_4x"),
  };
};
