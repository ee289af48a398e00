// Cases of whole jobs: from a start picture and given noise to the pixels of every section, through
// the loop, the sampler and the networks that a run uses.

import { z } from "zod";
import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import { cropToBucket } from "../buckets.ts";
import { loadTransformer, loadVae } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import type { TransformerInput } from "../models/transformer.ts";
import { posteriorLatents, type Vae } from "../models/vae.ts";
import { picture } from "../picture.ts";
import { guidanceOf, timestepOf } from "../sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../sampling/schedule.ts";
import { decodeClip } from "../sections/decode-clip.ts";
import { makeSections } from "../sections/make-sections.ts";
import { sampleSection } from "../sections/sample-section.ts";
import type { Judge } from "./measure.ts";
import type { CaseKind, CaseRun } from "./runner.ts";
import { LoopWatch } from "./section-watch.ts";
import type { ReferenceFile } from "./tensors.ts";
import { textRows } from "./transformer.ts";

const order = z.enum(["inverted", "f1"]);
const loopSchema = z.object({
  mode: order,
  steps: z.int().positive(),
  latent_window_size: z.int().positive(),
  total_latent_sections: z.int().positive(),
  distilled_guidance_scale: z.number(),
  real_guidance_scale: z.number().default(1),
  guidance_rescale: z.number().default(0),
  use_teacache: z.boolean().default(false),
  rel_l1_thresh: z.number().default(0.15),
  teacache_decisions: z.array(z.array(z.boolean())).nullish(),
  teacache_decisions_bf16: z.array(z.array(z.boolean())).nullish(),
});

const runLoop = async ({ case: of, judge, load }: CaseRun): Promise<void> => {
  const settings = loopSchema.parse(of.raw);
  const inputs = of.inputs();
  const outputs = of.outputs();
  using held = new Bag();
  using vae = loadVae(of.path("vae"), load);
  using transformer = loadTransformer(of.path("transformer"), load);
  compareCrop(inputs, judge);
  const start = await startLatent(vae.network, inputs, held);
  judge.compare("start_latent", start.data, outputs.get("start_latent").data);

  const { channels, height, width } = start;
  const size = { channels, height, width };
  const tokens = scheduleTokens({ frames: settings.latent_window_size, height, width });
  const scalars = {
    sigmas: sigmas(tokens, { steps: settings.steps }),
    guidance: settings.distilled_guidance_scale,
    rounding: load.dtype,
  };
  const timesteps = Array.from({ length: settings.steps }, (_, i) => timestepOf(i, scalars));
  const condition = (suffix: string): TransformerInput => ({
    timesteps,
    guidance: guidanceOf(scalars),
    text: held.add(textRows(inputs, `llama_vec${suffix}`, `llama_attention_mask${suffix}`)),
    pooled: held.add(inputs.tensor(`clip_l_pooler${suffix}`)),
    image: inputs.has("image_embeddings") ? held.add(inputs.tensor("image_embeddings")) : undefined,
  });
  using positive = await transformer.network.begin(condition(""));
  using negative = inputs.has("llama_vec_n")
    ? await transformer.network.begin(condition("_n"))
    : undefined;
  const isExact = load.dtype === "f32";
  using watch = new LoopWatch({
    order: settings.mode,
    window: settings.latent_window_size,
    outputs,
    judge,
    byteLimit: of.namedLimit(isExact ? "frames_uint8" : `${load.dtype}_frames_uint8`) ?? 1,
    decisions:
      (isExact ? settings.teacache_decisions : settings.teacache_decisions_bf16) ?? undefined,
  });
  const sampler = {
    positive,
    negative,
    ...scalars,
    cfg: settings.real_guidance_scale,
    cfgRescale: settings.guidance_rescale,
    teacacheThreshold: settings.use_teacache ? settings.rel_l1_thresh : null,
  };
  const made = makeSections({
    order: settings.mode,
    window: settings.latent_window_size,
    sections: settings.total_latent_sections,
    size,
    start: start.data,
    keepAll: true,
    noise: (section) => inputs.floats(`section.${section}.noise`),
    sample: (task) => sampleSection({ ...sampler, ...watch.begin() }, task, size),
    decode: (latents) => decodeClip(vae.network, latents),
  });
  for await (const section of made) watch.finish(section);
  watch.end();
};

export const sectionLoop: CaseKind = { dtypes: ["f32", "bf16"], perVariant: false, run: runLoop };

/** The start picture cut to the size of the video, where the case has the whole one. */
const compareCrop = (inputs: ReferenceFile, judge: Judge): void => {
  const whole = inputs.find("image_uint8");
  if (whole === undefined) return;
  const { dims, data } = inputs.get("image_cropped_uint8");
  const [height = 0, width = 0] = whole.dims;
  const image = picture(width, height, Uint8Array.from(whole.data));
  const cropped = cropToBucket(image, { height: dims[0] ?? 0, width: dims[1] ?? 0 });
  judge.whole("image_cropped_uint8", cropped.rgb, data);
};

interface Start {
  readonly data: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** The start picture encoded and sampled with the case's noise. */
const startLatent = async (vae: Vae, inputs: ReferenceFile, held: Bag): Promise<Start> => {
  const { dims, data } = inputs.get("image_cropped_uint8");
  const [height = 0, width = 0] = dims;
  const bytes = held.add(Tensor.from(Uint8Array.from(data), [1, height, width, 3]));
  const pixels = held.add(ops.fromU8(bytes, "f32"));
  using posterior = await vae.encode(pixels);
  const noise = inputs.has("posterior_noise") ? inputs.floats("posterior_noise") : undefined;
  const [channels = 0, , h = 0, w = 0] = posterior.mean.dims;
  const latents = posteriorLatents(posterior, vae.config.scalingFactor, noise);
  return { data: latents, channels, height: h, width: w };
};
