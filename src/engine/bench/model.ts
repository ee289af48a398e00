// Times a folder's transformer and autoencoder on inputs that another program wrote, so that both
// can be put beside each other. A forward is timed whole: nothing that a job would share is reused.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Tensor } from "../../ffi/tensor.ts";
import { type LoadOptions, loadTransformer, loadVae } from "../models/load.ts";
import { Bag } from "../models/ownership.ts";
import type { Transformer, TransformerInput } from "../models/transformer.ts";
import type { CleanLatents, SectionInput } from "../models/transformer-section.ts";
import { joinFrames, type Vae } from "../models/vae.ts";
import { channelsFirst, relL2, valuesOf } from "../verify/measure.ts";
import { ReferenceFile, withoutBatch } from "../verify/tensors.ts";

export interface BenchOptions {
  readonly model: string;
  readonly io: string;
  readonly load: LoadOptions;
  /** Rounds after the first, which is not counted. */
  readonly rounds_max: number;
  readonly seconds_max: number;
}

export interface ModelTimes {
  readonly dit_ms: number;
  readonly dit_ms_median: number;
  /** Time of all threads together: what counts on a machine that others use too. */
  readonly dit_cpu_ms: number;
  /** The part of a forward that a job repeats in each step. */
  readonly step_ms: number;
  readonly vae_ms: number;
  readonly vae_ms_median: number;
  readonly vae_cpu_ms: number;
  /** Distance from the other program's float32 outputs, where it wrote any. */
  readonly dit_rel_l2?: number;
  readonly vae_rel_l2?: number;
}

export const benchModel = async (options: BenchOptions): Promise<ModelTimes> => {
  const { io } = options;
  const inputs = new ReferenceFile(join(io, "inputs.safetensors"));
  const wanted = join(io, "outputs_fp32.safetensors");
  const outputs = existsSync(wanted) ? new ReferenceFile(wanted) : undefined;
  const dit = await benchTransformer(options, inputs, outputs);
  const vae = await benchVae(options, inputs, outputs);
  return { ...dit, ...vae };
};

type DitTimes = Omit<ModelTimes, keyof VaeTimes>;
type VaeTimes = Pick<ModelTimes, "vae_ms" | "vae_ms_median" | "vae_cpu_ms" | "vae_rel_l2">;

const benchTransformer = async (
  options: BenchOptions,
  inputs: ReferenceFile,
  outputs: ReferenceFile | undefined,
): Promise<DitTimes> => {
  using loaded = loadTransformer(join(options.model, "transformer"), options.load);
  using held = new Bag();
  const latents = held.add(inputs.tensor("hidden_states"));
  const input = conditioning(inputs, held);
  const section = sectionInput(inputs, latents, held);
  const steps: number[] = [];
  const forward = async (): Promise<Float32Array> =>
    await runForward(loaded.network, { input, section, latents, steps });
  const { times, cpu, last } = await timed(forward, options);
  const want = outputs?.find("dit");
  return {
    dit_ms: Math.min(...times),
    dit_ms_median: median(times),
    dit_cpu_ms: Math.min(...cpu),
    step_ms: Math.min(...steps),
    ...(want === undefined ? {} : { dit_rel_l2: relL2(last, want.data) }),
  };
};

interface Forward {
  readonly input: TransformerInput;
  readonly section: SectionInput;
  readonly latents: Tensor;
  /** Gets the time of the part that is not shared. */
  readonly steps: number[];
}

const runForward = async (model: Transformer, forward: Forward): Promise<Float32Array> => {
  using job = await model.begin(forward.input);
  using section = await job.section(forward.section);
  const start = performance.now();
  using velocity = await section.step(forward.latents, 0);
  const values = valuesOf(velocity);
  forward.steps.push(performance.now() - start);
  return values;
};

const benchVae = async (
  options: BenchOptions,
  inputs: ReferenceFile,
  outputs: ReferenceFile | undefined,
): Promise<VaeTimes> => {
  using loaded = loadVae(join(options.model, "vae"), options.load);
  using latents = scaled(inputs, loaded.network.config.scalingFactor);
  const { times, cpu, last } = await timed(() => decoded(loaded.network, latents), options);
  using clip = last;
  const want = outputs?.find("vae");
  return {
    vae_ms: Math.min(...times),
    vae_ms_median: median(times),
    vae_cpu_ms: Math.min(...cpu),
    ...(want === undefined ? {} : { vae_rel_l2: relL2(channelsFirst(clip), want.data) }),
  };
};

const decoded = async (vae: Vae, latents: Tensor): Promise<Tensor> => {
  using parts = new Bag();
  for await (const part of vae.decode(latents)) parts.add(part);
  return joinFrames(parts.all);
};

/** The other program decodes what it is given; a decode here first divides by the scale. */
const scaled = (inputs: ReferenceFile, factor: number): Tensor => {
  const { dims, data } = inputs.get("vae_latents");
  return Tensor.from(
    Float32Array.from(data, (value) => value * factor),
    withoutBatch(dims),
  );
};

const conditioning = (inputs: ReferenceFile, held: Bag): TransformerInput => {
  const padded = held.add(inputs.tensor("encoder_hidden_states"));
  const rows = inputs.numbers("encoder_attention_mask").reduce((a, b) => a + b, 0);
  return {
    timesteps: inputs.numbers("timestep"),
    guidance: inputs.numbers("guidance")[0],
    text: held.add(padded.rows(0, rows)),
    pooled: held.add(inputs.tensor("pooled_projections")),
    image: held.add(inputs.tensor("image_embeds")),
  };
};

const sectionInput = (inputs: ReferenceFile, latents: Tensor, held: Bag): SectionInput => {
  const clean = (name: string): CleanLatents => ({
    latents: held.add(inputs.tensor(`latents_${name}`)),
    indices: inputs.numbers(`indices_latents_${name}`),
  });
  const [, frames = 0, rows = 0, columns = 0] = latents.dims;
  return {
    size: [frames, rows, columns],
    indices: inputs.numbers("indices_latents"),
    clean1x: clean("clean"),
    clean2x: clean("history_2x"),
    clean4x: clean("history_4x"),
  };
};

/** Runs once to warm up, then until rounds or seconds are over. */
const timed = async <T>(
  act: () => Promise<T>,
  { rounds_max, seconds_max }: Pick<BenchOptions, "rounds_max" | "seconds_max">,
): Promise<{ times: readonly number[]; cpu: readonly number[]; last: T }> => {
  let last = await act();
  const times: number[] = [];
  const cpu: number[] = [];
  const start = performance.now();
  while (times.length < rounds_max) {
    const spent = performance.now() - start;
    if (times.length > 0 && spent + (times.at(-1) ?? 0) > seconds_max * 1000) break;
    release(last);
    const from = performance.now();
    const before = process.cpuUsage();
    last = await act();
    const { user, system } = process.cpuUsage(before);
    times.push(performance.now() - from);
    cpu.push((user + system) / 1000);
  }
  return { times, cpu, last };
};

const release = (value: unknown): void => {
  if (typeof value === "object" && value !== null && Symbol.dispose in value) {
    (value as Disposable)[Symbol.dispose]();
  }
};

const median = (times: readonly number[]): number => {
  const sorted = times.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? 0) + (sorted[Math.floor(half)] ?? 0)) / 2;
};
