// Cases of the sampler with analytic models: solver steps alone, and whole sampling calls.

import { z } from "zod";
import { Tensor } from "../../ffi/tensor.ts";
import { Bag } from "../models/ownership.ts";
import { NoiseGenerator } from "../sampling/noise.ts";
import { type SampleOptions, sample, type VelocityModel } from "../sampling/sampler.ts";
import { flowMu, roundBf16, scheduleTokens, sigmas } from "../sampling/schedule.ts";
import type { Limit } from "./case.ts";
import { type Judge, valuesOf } from "./measure.ts";
import type { CaseKind, CaseRun } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";

/** Runs the sampler and compares what its callback sees, and the result, under `key`. */
const compareRun = async (
  key: string,
  noise: Tensor,
  options: SampleOptions,
  { judge, outputs, limit }: { judge: Judge; outputs: ReferenceFile; limit?: Limit | undefined },
): Promise<void> => {
  const seen = { x: [] as number[], denoised: [] as number[], final: [] as number[] };
  using result = await sample(noise, {
    ...options,
    onStep: ({ x, denoised }) => {
      seen.x.push(...valuesOf(x));
      seen.denoised.push(...valuesOf(denoised));
    },
  });
  seen.final.push(...valuesOf(result));
  for (const [name, values] of Object.entries(seen)) {
    const want = outputs.find(`${key}.${name}`);
    if (want !== undefined) judge.compare(`${key}.${name}`, values, want.data, limit);
  }
};

/** v(x, s) = 0.7·x + 0.3·cos(2x) + 0.5·sin(3s) */
const stepModel =
  (levels: Float32Array): VelocityModel =>
  (x, { step }) =>
    mapped(
      x,
      (value) => 0.7 * value + 0.3 * Math.cos(2 * value) + 0.5 * Math.sin(3 * (levels[step] ?? 0)),
    );

const stepsSchema = z.object({
  runs: z.array(z.object({ key: z.string(), variant: z.enum(["bh1", "bh2"]).default("bh1") })),
});

const runSteps = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const inputs = of.inputs();
  const outputs = of.outputs();
  compareSchedules(of.json("sigmas.json"), judge, of.namedLimit("sigmas_max_abs") ?? 3e-7);
  using noise = inputs.tensor("noise");
  for (const { key, variant } of stepsSchema.parse(of.raw).runs) {
    const levels = inputs.floats(`${key}.sigmas`);
    const options = { sigmas: levels, guidance: 0, variant, model: stepModel(levels) };
    await compareRun(key, noise, options, { judge, outputs });
  }
};

export const unipc: CaseKind = { dtypes: ["f32"], perVariant: false, run: runSteps };

const schedulesSchema = z.array(
  z.object({
    mu: z.number(),
    seq_len: z.number().optional(),
    shift: z.number().optional(),
    steps: z.int().positive(),
    sigmas: z.array(z.number()),
    timesteps_bf16: z.array(z.number()),
  }),
);

const compareSchedules = (raw: unknown, judge: Judge, limit: number): void => {
  for (const row of schedulesSchema.parse(raw)) {
    const { seq_len = 0, shift, steps } = row;
    const name = `sigmas ${shift === undefined ? seq_len : `shift ${shift}`} × ${steps}`;
    const got = sigmas(seq_len, { steps, shift: shift ?? null });
    judge.compare(name, got, row.sigmas, { metric: "max_abs", value: limit });
    const timesteps = Array.from(got, (sigma) => roundBf16(Math.fround(1000 * sigma)));
    judge.whole(`${name} timesteps`, timesteps, row.timesteps_bf16);
    if (shift === undefined) {
      judge.compare(`${name} mu`, [flowMu(seq_len)], [row.mu], { metric: "max_abs", value: 1e-6 });
    }
  }
};

const callsSchema = z.object({
  T: z.int().positive(),
  H: z.int().positive(),
  W: z.int().positive(),
  runs: z.array(
    z.object({
      key: z.string(),
      steps: z.int().positive(),
      distilled_guidance_scale: z.number(),
      real_guidance_scale: z.number().default(1),
      guidance_rescale: z.number().default(0),
      shift: z.number().nullish(),
      strength: z.number().default(1),
      use_init: z.boolean().default(false),
      bf16: z.boolean().default(false),
    }),
  ),
});

/** v(x, t, e, g) as the case's `model` states it, with e the mean of the branch's embeddings. */
const callModel =
  (means: Readonly<Record<"positive" | "negative", number>>, isRounded: boolean): VelocityModel =>
  (x, { timestep, guidance, branch }) =>
    mapped(x, (value) => {
      const seen = isRounded ? roundBf16(value) : value;
      const time = 0.5 * Math.sin((3 * timestep) / 1000) + 0.4 * means[branch];
      return 0.7 * seen + 0.3 * Math.cos(2 * seen) + time + 0.1 * Math.sin(seen + guidance / 1000);
    });

const runCalls = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const { T: frames, H: height, W: width, runs } = callsSchema.parse(of.raw);
  const inputs = of.inputs();
  const outputs = of.outputs();
  const bf16Limit = of.namedLimit("bf16_run_rel_l2");
  const means = {
    positive: mean(inputs.floats("prompt_embeds")),
    negative: inputs.has("negative_prompt_embeds")
      ? mean(inputs.floats("negative_prompt_embeds"))
      : 0,
  };
  for (const run of runs) {
    const { key, steps, shift = null, strength, bf16 } = run;
    using held = new Bag();
    const noise = held.add(inputs.tensor(`${key}.noise`));
    const tokens = scheduleTokens({ frames, height, width });
    const limit: Limit | undefined =
      bf16 && bf16Limit !== undefined ? { metric: "rel_l2", value: bf16Limit } : undefined;
    const options: SampleOptions = {
      sigmas: sigmas(tokens, { steps, shift, strength }),
      guidance: run.distilled_guidance_scale,
      cfg: run.real_guidance_scale,
      cfgRescale: run.guidance_rescale,
      rounding: bf16 ? "bf16" : "f32",
      model: callModel(means, bf16),
      ...(run.use_init ? { initial: held.add(inputs.tensor("initial_latent")) } : {}),
    };
    await compareRun(key, noise, options, { judge, outputs, limit });
  }
};

export const samplingCall: CaseKind = { dtypes: ["f32"], perVariant: false, run: runCalls };

const drawsSchema = z.object({
  draws: z.array(z.object({ seed: z.number(), shapes: z.array(z.array(z.int().nonnegative())) })),
});

const runNoise = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const outputs = of.outputs();
  for (const { seed, shapes } of drawsSchema.parse(of.raw).draws) {
    const generator = new NoiseGenerator(seed);
    for (const [i, shape] of shapes.entries()) {
      const got = generator.normals(shape.reduce((all, dim) => all * dim, 1));
      judge.compare(`${seed}.${i}`, got, outputs.get(`${seed}.${i}`).data);
    }
  }
};

export const noise: CaseKind = { dtypes: ["f32"], perVariant: false, run: runNoise };

const mapped = (x: Tensor, f: (value: number) => number): Tensor =>
  Tensor.from(x.f32().map(f), x.dims);

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length;
