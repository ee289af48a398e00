import { beforeAll, expect, test } from "bun:test";
import { NoiseGenerator } from "../../../src/engine/sampling/noise.ts";
import {
  type ModelCall,
  type SampleOptions,
  sample,
  type VelocityModel,
} from "../../../src/engine/sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../../../src/engine/sampling/schedule.ts";
import { memory, openLibrary } from "../../../src/ffi/library.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import { Golden, goldenJson, relL2 } from "../../support/golden.ts";

beforeAll(() => {
  openLibrary({ backend: "cpu", threads: 1 });
});

type Run = { x: Float32Array; denoised: Float32Array; final: Float32Array };

/** Runs the sampler and collects what each step shows. */
const collect = async (
  noise: Float32Array,
  dims: readonly number[],
  options: SampleOptions,
): Promise<Run> => {
  const seen: { x: number[]; denoised: number[] } = { x: [], denoised: [] };
  using start = Tensor.from(noise, dims);
  using final = await sample(start, {
    ...options,
    onStep: ({ x, denoised }) => {
      seen.x.push(...x.f32());
      seen.denoised.push(...denoised.f32());
    },
  });
  return {
    x: Float32Array.from(seen.x),
    denoised: Float32Array.from(seen.denoised),
    final: final.f32(),
  };
};

/** A model that is a formula of each value. */
const pointwise =
  (velocity: (x: number, call: ModelCall) => number): VelocityModel =>
  (x, call) =>
    Tensor.from(
      x.f32().map((v) => velocity(v, call)),
      x.dims,
    );

const expectRun = (got: Run, outputs: Golden, key: string, limit: number): void => {
  for (const part of ["x", "denoised", "final"] as const) {
    expect(relL2(got[part], outputs.f32(`${key}.${part}`))).toBeLessThanOrEqual(limit);
  }
};

// ------------------------------------------------------------------------------------------------

const unipc = {
  inputs: new Golden("unipc/inputs.safetensors"),
  outputs: new Golden("unipc/outputs.safetensors"),
  runs: (goldenJson("unipc/case.json") as { runs: { key: string; variant: "bh1" | "bh2" }[] }).runs,
};

test.each(unipc.runs)("$key: every step is the known one", async ({ key, variant }) => {
  const list = unipc.inputs.f32(`${key}.sigmas`);
  const { data, dims } = unipc.inputs.get("noise");
  const model = pointwise((x, { step }) => {
    return 0.7 * x + 0.3 * Math.cos(2 * x) + 0.5 * Math.sin(3 * (list[step] ?? 0));
  });

  const got = await collect(data as Float32Array, dims.slice(1), {
    sigmas: list,
    guidance: 1,
    variant,
    model,
  });

  expectRun(got, unipc.outputs, key, 2e-5);
});

// ------------------------------------------------------------------------------------------------

type HunyuanRun = {
  key: string;
  steps: number;
  distilled_guidance_scale: number;
  real_guidance_scale?: number;
  guidance_rescale?: number;
  shift?: number;
  strength?: number;
  use_init?: boolean;
  bf16?: boolean;
};
const hunyuan = {
  inputs: new Golden("sample-hunyuan/inputs.safetensors"),
  outputs: new Golden("sample-hunyuan/outputs.safetensors"),
  ...(goldenJson("sample-hunyuan/case.json") as {
    runs: HunyuanRun[];
    seq_len: number;
    tolerance: { fp32_rel_l2: number; bf16_run_rel_l2: number };
  }),
};
const meanOf = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length;

test.each(hunyuan.runs)("the whole sampling call, $key, is the known one", async (run) => {
  const { data, dims } = hunyuan.inputs.get(`${run.key}.noise`);
  const prompt = meanOf(hunyuan.inputs.f32("prompt_embeds"));
  const negative = meanOf(hunyuan.inputs.f32("negative_prompt_embeds"));
  const rounding = run.bf16 ? "bf16" : "f32";
  const model: VelocityModel = (x, call) => {
    using rounded = x.to(rounding);
    const e = call.branch === "positive" ? prompt : negative;
    const formula = (v: number): number =>
      0.7 * v +
      0.3 * Math.cos(2 * v) +
      0.5 * Math.sin((3 * call.timestep) / 1000) +
      0.4 * e +
      0.1 * Math.sin(v + call.guidance / 1000);
    return Tensor.from(rounded.f32().map(formula), x.dims);
  };
  const { steps, shift = null, strength = 1 } = run;
  using initial = Tensor.from(hunyuan.inputs.f32("initial_latent"), dims.slice(1));

  const got = await collect(data as Float32Array, dims.slice(1), {
    sigmas: sigmas(hunyuan.seq_len, { steps, shift, strength }),
    guidance: run.distilled_guidance_scale,
    cfg: run.real_guidance_scale ?? 1,
    cfgRescale: run.guidance_rescale ?? 0,
    rounding,
    ...(run.use_init ? { initial } : {}),
    model,
  });

  const { fp32_rel_l2, bf16_run_rel_l2 } = hunyuan.tolerance;
  expectRun(got, hunyuan.outputs, run.key, run.bf16 ? bf16_run_rel_l2 : fp32_rel_l2);
});

// ------------------------------------------------------------------------------------------------

test.each([
  ["f32", -212.220619, 5446.565733, [0.8361632, -0.086654, 0.6936834, -0.4146686]],
  ["bf16", -211.141957, 5446.209928, [0.8377883, -0.086262, 0.6959952, -0.4134401]],
] as const)(
  "noise, schedule, rounding and solver together: the worked example in %s",
  async (rounding, sum, absolutes, first) => {
    const dims = [16, 9, 8, 8];
    const noise = new NoiseGenerator(31337).normals(16 * 9 * 64);
    const tokens = scheduleTokens({ frames: 9, height: 8, width: 8 });

    const got = await collect(noise, dims, {
      sigmas: sigmas(tokens, { steps: 25 }),
      guidance: 10,
      rounding,
      model: (x, { timestep }) => {
        using rounded = x.to(rounding);
        const velocity = (v: number): number => 0.3 * v + (0.2 * timestep) / 1000 - 0.05;
        return Tensor.from(rounded.f32().map(velocity), x.dims);
      },
    });

    const limit = rounding === "f32" ? 3 : 1;
    expect(got.final.reduce((a, b) => a + b, 0)).toBeCloseTo(sum, limit - 1);
    expect(got.final.reduce((a, b) => a + Math.abs(b), 0)).toBeCloseTo(absolutes, limit - 1);
    for (const [i, value] of first.entries()) expect(got.final[i]).toBeCloseTo(value, limit + 1);
  },
);

test("a sampling run leaves nothing behind, also when the model fails", async () => {
  const before = memory().tensors;
  const run = (model: VelocityModel): Promise<Run> =>
    collect(new Float32Array(16), [16, 1, 1, 1], {
      sigmas: sigmas(4, { steps: 5 }),
      guidance: 1,
      model,
    });

  await run(pointwise((x) => x));
  const failing = run((x, { step }) => {
    if (step === 3) throw new Error("no more");
    return pointwise((v) => v)(x, { step, timestep: 0, guidance: 0, branch: "positive" });
  });

  await expect(failing).rejects.toThrow("no more");
  expect(memory().tensors).toBe(before);
});
