// The reference run that a model folder may bring (examples/reference.safetensors): one complete
// job from picture and prompt, in both orders, run by the same code as any job.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { preprocessorConfig } from "../config/encoders.ts";
import { type ModelFolder, resolveModel } from "../config/model-folder.ts";
import { readConfig } from "../config/read.ts";
import { holdBreath } from "../models/breathe.ts";
import {
  type LoadOptions,
  loadClip,
  loadLlama,
  loadSiglip,
  loadTransformer,
  loadVae,
} from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import type { TransformerInput } from "../models/transformer.ts";
import { picture } from "../picture.ts";
import { embedPicture, embedPrompt, encodeStart } from "../run/conditioning.ts";
import { guidanceOf, timestepOf } from "../sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../sampling/schedule.ts";
import { decodeClip } from "../sections/decode-clip.ts";
import { History, type LatentSize } from "../sections/history.ts";
import { makeSections, type SectionTask, tensorOf } from "../sections/make-sections.ts";
import { type Order, positions, sectionSpans } from "../sections/order.ts";
import { type SectionSampler, sampleSection } from "../sections/sample-section.ts";
import { PromptTokenizer } from "../text/prompt.ts";
import { readSafetensors } from "../weights/safetensors.ts";
import type { Limit } from "./case.ts";
import { Judge, valuesOf } from "./measure.ts";
import { ReferenceFile } from "./tensors.ts";

/** Where a reference run lies in a model folder. */
const referencePath = ["examples", "reference.safetensors"] as const;

/**
 * What errors are held against. In float32 the bounds of the published cases of the same networks
 * and of whole section loops. In bf16 about 2.5 times what rounding to bf16 was measured to change
 * here: 0.5 % of an embedding, 0.8 % of a velocity, 0.7 % of latents, 3 in a byte.
 */
const limits: Readonly<Record<FloatDtype, Readonly<Record<Stage, number>>>> = {
  f32: { embedding: 1.2e-5, start: 3.2e-5, velocity: 3e-5, latents: 3e-5, bytes: 1 },
  bf16: { embedding: 0.018, start: 0.018, velocity: 0.02, latents: 0.018, bytes: 8 },
  f16: { embedding: 0, start: 0, velocity: 0, latents: 0, bytes: 0 },
};
type Stage = "embedding" | "start" | "velocity" | "latents" | "bytes";

const factsSchema = z.object({
  prompt: z.string(),
  steps: z.coerce.number().int().positive(),
  sections: z.coerce.number().int().positive(),
  window: z.coerce.number().int().positive(),
  guidance: z.coerce.number().positive(),
});
type Facts = z.output<typeof factsSchema>;

export class ReferenceRun {
  readonly name: string;
  readonly #model: ModelFolder;
  readonly #file: ReferenceFile;
  readonly #facts: Facts;

  private constructor(model: ModelFolder, path: string) {
    this.name = `${model.name} reference run`;
    this.#model = model;
    this.#file = new ReferenceFile(path);
    this.#facts = factsSchema.parse(readSafetensors(path).metadata);
  }

  /** Undefined where `word` names no model that brings a reference run. */
  static find(word: string): ReferenceRun | undefined {
    if (word !== "demo" && !existsSync(join(word, ...referencePath))) return undefined;
    const model = resolveModel(word);
    const folder = join(model.parts.transformer, "..");
    return new ReferenceRun(model, join(folder, ...referencePath));
  }

  readonly dtypes: readonly FloatDtype[] = ["f32", "bf16"];

  isFinal(tensor: string): boolean {
    return /unipc\d+\.latents$/.test(tensor);
  }

  /** Runs everything in one dtype. */
  async run(load: LoadOptions): Promise<Judge> {
    const { dtype } = load;
    const judge = new Judge(this, "main", dtype, this.#limit(dtype, "latents"));
    using held = new Bag();
    const conditions = await this.#conditions(load, judge, held);
    using vae = loadVae(this.#model.parts.vae, load);
    const start = await encodeStart(vae.network, this.#picture(), {
      kind: "mean",
      seed: 0,
      spatialTiles: false,
      breathe: holdBreath,
    });
    this.#compare(judge, "cond.start_latent", start, "start");
    using transformer = loadTransformer(this.#model.parts.transformer, load);
    const scalars = { ...this.#scalars(), rounding: dtype };
    const { steps } = this.#facts;
    using job = await transformer.network.begin({
      ...conditions,
      timesteps: Array.from({ length: steps }, (_, i) => timestepOf(i, scalars)),
      guidance: guidanceOf(scalars),
    });
    const sampler = { ...scalars, positive: job, cfg: 1, cfgRescale: 0, teacacheThreshold: null };
    await this.#velocity(judge, sampler, start);
    for (const [order, name] of [
      ["inverted", "inverted"],
      ["f1", "forward"],
    ] as const) {
      await this.#sections(judge, sampler, start, { order, name });
      await this.#pixels(judge, name, (latents) => decodeClip(vae.network, latents));
    }
    return judge;
  }

  #limit(dtype: FloatDtype, stage: Stage): Limit {
    return { metric: "rel_l2", value: limits[dtype][stage] };
  }

  #compare(judge: Judge, name: string, got: ArrayLike<number>, stage: Stage): void {
    const want = this.#file.find(name);
    if (want !== undefined) judge.compare(name, got, want.data, this.#limit(judge.dtype, stage));
  }

  #picture(): ReturnType<typeof picture> {
    const { dims, data } = this.#file.get("input.image");
    return picture(dims[1] ?? 0, dims[0] ?? 0, Uint8Array.from(data));
  }

  get #size(): LatentSize {
    const [, channels = 0, , height = 0, width = 0] = this.#file.get("cond.start_latent").dims;
    return { channels, height, width };
  }

  #scalars(): Pick<SectionSampler, "sigmas" | "guidance"> {
    const { window: frames, steps, guidance } = this.#facts;
    const { height, width } = this.#size;
    return { sigmas: sigmas(scheduleTokens({ frames, height, width }), { steps }), guidance };
  }

  /** Prompt and picture through tokenizers and encoders. */
  async #conditions(
    load: LoadOptions,
    judge: Judge,
    held: Bag,
  ): Promise<Pick<TransformerInput, "text" | "pooled" | "image">> {
    const { parts } = this.#model;
    const tokens = new PromptTokenizer(parts, this.#model.settings.promptTemplate).encode(
      this.#facts.prompt,
    );
    judge.whole("input.llama_ids", tokens.llama.ids, this.#file.numbers("input.llama_ids"));
    judge.whole("input.clip_ids", tokens.clip.ids, this.#file.numbers("input.clip_ids"));
    using llama = loadLlama(parts.text_encoder, load);
    using clip = loadClip(parts.text_encoder_2, load);
    using siglip = loadSiglip(parts.image_encoder, load);
    const encoders = { llama: llama.network, clip: clip.network };
    const { text, pooled } = await embedPrompt(encoders, tokens, holdBreath);
    held.add(text);
    held.add(pooled);
    const config = readConfig(
      join(parts.feature_extractor, "preprocessor_config.json"),
      preprocessorConfig,
    );
    const image = await embedPicture(siglip.network, this.#picture(), config, holdBreath);
    held.add(image);
    this.#compare(judge, "cond.llama_vec", valuesOf(text), "embedding");
    this.#compare(judge, "cond.clip_pooled", valuesOf(pooled), "embedding");
    this.#compare(judge, "cond.image_embeds", valuesOf(image), "embedding");
    return { text, pooled, image };
  }

  /** One forward at the first step of the first section in the inverted order. */
  async #velocity(judge: Judge, sampler: SectionSampler, start: Float32Array): Promise<void> {
    const { window, sections } = this.#facts;
    const span = sectionSpans("inverted", sections, window)[0];
    if (span === undefined) return;
    const size = this.#size;
    const context = new History("inverted", size, start).context();
    const places = positions("inverted", window, span.padding);
    using held = new Bag();
    const clean = (latents: SectionTask["context"]["clean"], indices: readonly number[]) => ({
      latents: held.add(tensorOf(latents, size)),
      indices,
    });
    using section = await sampler.positive.section({
      size: [window, size.height, size.width],
      indices: places.window,
      clean1x: clean(context.clean, places.clean),
      clean2x: clean(context.clean2x, places.clean2x),
      clean4x: clean(context.clean4x, places.clean4x),
    });
    const noise = held.add(this.#file.tensor("inverted.noise.0"));
    using velocity = await section.step(noise, 0);
    this.#compare(judge, "check.velocity_t1000", valuesOf(velocity), "velocity");
  }

  /** All sections of one order, and the latents of the whole video. */
  async #sections(
    judge: Judge,
    sampler: SectionSampler,
    start: Float32Array,
    { order, name }: Readonly<{ order: Order; name: string }>,
  ): Promise<void> {
    const { window, sections, steps } = this.#facts;
    const size = this.#size;
    const made = makeSections({
      order,
      window,
      sections,
      size,
      start,
      keepAll: true,
      noise: (section) => this.#file.floats(`${name}.noise.${section}`),
      sample: (task) => sampleSection(sampler, task, size),
      decode: (latents) => Promise.resolve(blank(latents)), // pixels are compared on their own
    });
    for await (const { span, history } of made) {
      if (!span.last) continue;
      const latents = history.newest(window * sections + 1).data;
      this.#compare(judge, `${name}.unipc${steps}.latents`, latents, "latents");
    }
  }

  /** The reference's latents of another solver, decoded: every fourth frame as bytes. */
  async #pixels(
    judge: Judge,
    name: string,
    decode: (latents: Tensor) => Promise<Tensor>,
  ): Promise<void> {
    const at = `${name}.euler${this.#facts.steps}`;
    const want = this.#file.find(`${at}.pixels_every_4th`);
    if (want === undefined) return;
    using latents = this.#file.tensor(`${at}.latents`);
    using clip = await decode(latents);
    using bytes = ops.toU8(clip);
    const all = bytes.u8();
    const frame = all.length / (bytes.dims[0] ?? 1);
    const every = Array.from({ length: want.dims[0] ?? 0 }, (_, i) =>
      all.subarray(4 * i * frame, (4 * i + 1) * frame),
    );
    const got = Uint8Array.from(every.flatMap((part) => [...part]));
    judge.whole(`${at}.pixels_every_4th`, got, want.data, limits[judge.dtype].bytes);
  }
}

/** A clip of the right length with nothing on it. */
const blank = ({ dims }: Tensor): Tensor => Tensor.zeros([4 * (dims[1] ?? 1) - 3, 1, 1, 3], "f32");
