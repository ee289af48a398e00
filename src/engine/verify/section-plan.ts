// Cases of section plans: lengths, paddings and positions as tables, and soft append alone.

import { z } from "zod";
import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import { softAppend } from "../sections/film.ts";
import { paddings, positions as placesOf, sectionCount } from "../sections/order.ts";
import { channelsFirst, type Judge } from "./measure.ts";
import type { CaseKind, CaseRun } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";

const order = z.enum(["inverted", "f1"]);
const numbers = z.array(z.number());

const plansSchema = z.object({
  plans: z.array(
    z.object({
      latent_paddings: numbers,
      latent_window_size: z.int().positive(),
      total_latent_sections: z.int().positive(),
      total_second_length: z.number(),
    }),
  ),
  indices: z.array(
    z.object({
      mode: order,
      latent_window_size: z.int().positive(),
      latent_padding: z.int().nullable(),
      latent_indices: numbers,
      clean_latent_indices: numbers,
      clean_latent_2x_indices: numbers,
      clean_latent_4x_indices: numbers,
    }),
  ),
});

const runPlan = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const { plans, indices } = plansSchema.parse(of.json("plan.json"));
  for (const plan of plans) {
    const { total_second_length: seconds, latent_window_size: window } = plan;
    const name = `plan ${seconds} s × ${window}`;
    const sections = sectionCount(seconds, window);
    judge.whole(`${name} sections`, [sections], [plan.total_latent_sections]);
    judge.whole(`${name} paddings`, paddings(sections), plan.latent_paddings);
  }
  for (const row of indices) {
    const got = placesOf(row.mode, row.latent_window_size, row.latent_padding ?? 0);
    const name = `${row.mode} ${row.latent_padding ?? ""} × ${row.latent_window_size}`;
    judge.whole(`${name} window`, got.window, row.latent_indices);
    judge.whole(`${name} 1x`, got.clean, row.clean_latent_indices);
    judge.whole(`${name} 2x`, got.clean2x, row.clean_latent_2x_indices);
    judge.whole(`${name} 4x`, got.clean4x, row.clean_latent_4x_indices);
  }
  compareAppends(of.inputs(), of.outputs(), judge);
};

export const sectionPlan: CaseKind = { dtypes: ["f32"], perVariant: false, run: runPlan };

/** Outputs are called soft.<k>.o<overlap>. */
const compareAppends = (inputs: ReferenceFile, outputs: ReferenceFile, judge: Judge): void => {
  for (const name of outputs.names()) {
    const match = /^(soft\.\d+)\.o(-?\d+)$/.exec(name);
    if (match === null) continue;
    using scratch = ops.scope();
    const clip = (part: string): Tensor =>
      inputs.tensor(`${match[1]}.${part}`).permute([1, 2, 3, 0]).contiguous();
    const joined = softAppend(clip("history"), clip("current"), Number(match[2]));
    judge.compare(name, channelsFirst(joined), outputs.get(name).data);
  }
};
