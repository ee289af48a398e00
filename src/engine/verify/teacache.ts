// Cases of TeaCache: one sampling run with every decision, the numbers behind it, its result.

import { z } from "zod";
import { loadTransformer } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import { TeaCache, type TeaCacheDecision } from "../models/teacache.ts";
import { guidanceOf, sample, timestepOf } from "../sampling/sampler.ts";
import { valuesOf } from "./measure.ts";
import { type CaseKind, type CaseRun, Series } from "./runner.ts";
import { positions, sizeOf, transformerInput } from "./transformer.ts";

const teacacheSchema = z.object({
  steps: z.int().positive(),
  rel_l1_thresh: z.number(),
  distilled_guidance_scale: z.number(),
});

const runTeaCache = async ({ case: of, judge, load }: CaseRun): Promise<void> => {
  const settings = teacacheSchema.parse(of.raw);
  const { dtype: rounding } = load;
  const inputs = of.inputs();
  const levels = inputs.floats("sigmas");
  const scalars = { sigmas: levels, guidance: settings.distilled_guidance_scale, rounding };
  const timesteps = Array.from({ length: levels.length - 1 }, (_, i) => timestepOf(i, scalars));
  using loaded = loadTransformer(of.folder, load);
  using held = new Bag();
  const noise = held.add(inputs.tensor("noise"));
  const input = transformerInput(inputs, held, timesteps, guidanceOf(scalars));
  using job = await loaded.network.begin(input);
  using section = await job.section({ size: sizeOf(noise), ...positions(inputs, held) });
  using cache = new TeaCache({ steps: settings.steps, threshold: settings.rel_l1_thresh });
  const seen = new Series();
  const onDecision = (decision: TeaCacheDecision): void => {
    seen.push("rel_l1", [decision.delta]);
    seen.push("accumulated", [decision.accumulated]);
    seen.push("should_calc", [decision.compute ? 1 : 0]);
  };
  const result = await sample(noise, {
    ...scalars,
    model: async (x, { step }) => {
      const velocity = await section.step(x, step, { cache, onDecision });
      seen.push("pred", valuesOf(velocity));
      return velocity;
    },
    onStep: ({ x, denoised }) => {
      seen.push("x", valuesOf(x));
      seen.push("denoised", valuesOf(denoised));
    },
  });
  held.add(result);
  seen.push("latents", valuesOf(result));
  seen.compare(of.outputs(), judge);
};

export const teacacheRun: CaseKind = {
  dtypes: ["f32", "bf16"],
  perVariant: false,
  run: runTeaCache,
};
