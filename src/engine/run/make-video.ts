// From a prepared job to frames: encoders, then section after section, each sampled, decoded and
// handed to the sink while the next one computes. What the rest of the job depends on is in a
// checkpoint once a section's film is on disk.

import { version } from "../../../package.json";
import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { Film } from "../media/sink.ts";
import { TileMemo } from "../models/tile-memo.ts";
import type { TransformerJob } from "../models/transformer.ts";
import { transformerFlops } from "../plan/cost.ts";
import { clipFlops, memoBytes } from "../plan/phases.ts";
import { writeRate } from "../plan/rates.ts";
import { guarded } from "../sampling/guard.ts";
import { NoiseGenerator } from "../sampling/noise.ts";
import { guidanceOf, timestepOf } from "../sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../sampling/schedule.ts";
import { decodeClip } from "../sections/decode-clip.ts";
import type { LatentSize } from "../sections/history.ts";
import { type MadeSection, makeSections, type SectionTask } from "../sections/make-sections.ts";
import { type SectionSpan, sectionSpans } from "../sections/order.ts";
import { type SectionSampler, sampleSection } from "../sections/sample-section.ts";
import { type Checkpoint, saveCheckpoint } from "./checkpoint.ts";
import { embedPicture, embedPrompt, encodeStart, type TextEmbedding } from "./conditioning.ts";
import { type Networks, openNetworks, streamsOf } from "./networks.ts";
import { Pace } from "./pace.ts";
import type { Prepared } from "./prepare.ts";
import { Progress } from "./progress.ts";
import type { Reporter } from "./reporter.ts";

export type VideoRun = Readonly<{
  prepared: Prepared;
  reporter: Reporter;
  stateDir: string;
  jobDir: string;
  now: () => number;
  /** Stops the job when its film can no longer be written. */
  stop: AbortController;
  kept: Kept;
}>;

/** What is on disk by now; the caller keeps it when the job ends early. */
export type Kept = {
  sections: number;
  film: Film | null;
  /** Ends when the last film given is on disk. Never rejects: a failure stops the job. */
  publishing: Promise<void>;
};

export const makeVideo = async (run: VideoRun): Promise<void> => {
  const { prepared, reporter, now } = run;
  const begunAt = now();
  if (prepared.checkpoint !== undefined) await takeUpFilm(run, prepared.checkpoint);
  using held = new DisposableStack();
  reporter.phase("load");
  const { model, machine, facts, placement } = prepared;
  const streams = placement === null ? undefined : streamsOf(facts, placement);
  const networks = held.use(openNetworks(model, machine, streams));
  const { positive, negative, start } = await condition(run, networks, held);
  const sampler = samplerOf(run, positive, negative);
  const pace = paceOf(run);
  const beforeMs = now() - begunAt;
  await makeAllSections(run, { networks, start, sampler, pace });
  await run.kept.publishing;
  const measured = pace.measured();
  if (measured === null) return;
  const { sample, decode, computed } = measured;
  const rate = { sample: sample * 1000, decode: decode * 1000, before: beforeMs, computed };
  writeRate(run.stateDir, { ...prepared.recipe, modelId: prepared.modelId }, rate);
};

/**
 * Gives the sink the growing end of the film again, so that it is whole even if the job ends before
 * its next section.
 */
const takeUpFilm = async (run: VideoRun, { sections }: Checkpoint): Promise<void> => {
  const { edge, done } = sections;
  if (edge !== null) {
    using pixels = Tensor.from(edge.data, edge.dims);
    using bytes = ops.toU8(pixels);
    await run.prepared.sink.provisional(bytes.u8(), edge.dims[0] ?? 0);
  }
  run.kept.sections = done;
  publish(run, () => undefined);
};

type Conditions = Readonly<{
  positive: TransformerJob;
  negative: TransformerJob | undefined;
  start: Float32Array;
}>;

/** Text, picture and start latent; encoders are let go as soon as they are done. */
const condition = async (
  { prepared, reporter }: VideoRun,
  networks: Networks,
  held: DisposableStack,
): Promise<Conditions> => {
  const { recipe, picture, facts, prompt, tiled } = prepared;
  const { breathe } = reporter;
  const pair = { llama: networks.llama.network, clip: networks.clip.network };
  reporter.phase("text");
  using text = await embedPrompt(pair, prompt, breathe);
  using opposite =
    prepared.negative === undefined
      ? undefined
      : await embedPrompt(pair, prepared.negative, breathe);
  networks.llama[Symbol.dispose]();
  networks.clip[Symbol.dispose]();
  reporter.phase("vision");
  using vision = await embedPicture(networks.siglip.network, picture, facts.preprocessor, breathe);
  networks.siglip[Symbol.dispose]();
  reporter.phase("encode");
  const start = await encodeStart(networks.encoder.network, picture, {
    kind: recipe.startLatent,
    seed: recipe.seed,
    spatialTiles: tiled,
    breathe,
  });
  networks.encoder[Symbol.dispose]();
  reporter.phase("prepare");
  const begin = async (embedding: TextEmbedding): Promise<TransformerJob> =>
    held.use(
      await networks.transformer.network.begin(
        { ...scalarsOf(prepared), text: embedding.text, pooled: embedding.pooled, image: vision },
        { breathe },
      ),
    );
  const positive = await begin(text);
  const negative = opposite === undefined ? undefined : await begin(opposite);
  return { positive, negative, start };
};

const sigmasOf = ({ recipe, plan }: Prepared): Float32Array =>
  sigmas(scheduleTokens(plan.latent), { steps: recipe.steps, shift: recipe.shift });

/**
 * What the transformer is told of the noise levels and the guidance, rounded to its own precision.
 */
const scalarsOf = (prepared: Prepared): { timesteps: number[]; guidance: number } => {
  const rounding = prepared.machine.dtypes.transformer;
  const list = sigmasOf(prepared);
  const { steps, guidance } = prepared.recipe;
  return {
    timesteps: Array.from({ length: steps }, (_, step) =>
      timestepOf(step, { sigmas: list, rounding }),
    ),
    guidance: guidanceOf({ guidance, rounding }),
  };
};

const samplerOf = (
  { prepared, reporter }: VideoRun,
  positive: TransformerJob,
  negative: TransformerJob | undefined,
): SectionSampler => {
  const { recipe, machine } = prepared;
  return {
    positive,
    negative,
    sigmas: sigmasOf(prepared),
    guidance: recipe.guidance,
    cfg: recipe.cfg,
    cfgRescale: recipe.cfgRescale,
    rounding: machine.dtypes.transformer,
    teacacheThreshold: recipe.teacache ? recipe.teacacheThreshold : null,
    breathe: reporter.breathe,
  };
};

const paceOf = ({ prepared }: VideoRun): Pace => {
  const { recipe, plan, facts, rate, tiled } = prepared;
  const cost = { model: facts, latent: plan.latent, tiled };
  const branches = recipe.cfg === 1 ? 1 : 2;
  return new Pace({
    steps: recipe.steps,
    sections: plan.sections,
    skips: recipe.teacache,
    stepFlops: branches * transformerFlops(facts.transformer, plan.tokens.total),
    clipFlops: sectionSpans(recipe.order, plan.sections, recipe.window).map(({ decoded }) =>
      clipFlops(cost, decoded.to - decoded.from),
    ),
    decodeRate: rate === null ? null : rate.decode / 1000,
    computedShare: rate?.computed ?? null,
  });
};

type Parts = Readonly<{
  networks: Networks;
  start: Float32Array;
  sampler: SectionSampler;
  pace: Pace;
}>;

const makeAllSections = async (run: VideoRun, parts: Parts): Promise<void> => {
  const { prepared, reporter, now } = run;
  const { recipe, plan, facts, checkpoint } = prepared;
  const { vae } = parts.networks;
  const size: LatentSize = { ...plan.latent, channels: facts.vae.latentChannels };
  const done = checkpoint?.sections.done ?? 0;
  const spans = sectionSpans(recipe.order, plan.sections, recipe.window);
  const noise =
    checkpoint === undefined
      ? new NoiseGenerator(recipe.seed)
      : NoiseGenerator.restore(checkpoint.noise);
  using memo = new TileMemo(memoFor(prepared));
  using progress = new Progress({
    ...{ reporter, pace: parts.pace, now, sections: plan.sections },
    latentRgb: facts.settings.latentRgb,
    framesDone: spans.slice(0, done).reduce((sum, s) => sum + s.final.to - s.final.from, 0),
    stepsSkipped: checkpoint?.stepsSkipped ?? 0,
  });
  const sample = (task: SectionTask): Promise<Tensor> => {
    reporter.phase("sample", task.span.index);
    progress.sectionBegun();
    const watched: SectionSampler = {
      ...parts.sampler,
      onDecision: ({ compute }, { branch }) => branch === "positive" && progress.decided(compute),
      onStep: (step) => progress.stepDone(task.span, step),
    };
    return sampleSection(watched, task, size);
  };
  const decode = async (latents: Tensor, span: SectionSpan): Promise<Tensor> => {
    reporter.phase("decode", span.index);
    const from = now();
    const clip = await guarded("vae", reporter.breathe, (breathe, again) =>
      decodeClip(vae.network, latents, {
        ...{ spatialTiles: prepared.tiled, breathe, from: span.decoded.from },
        memo: again ? undefined : memo,
      }),
    );
    progress.decoded(span, now() - from);
    return clip;
  };
  const work = {
    ...{ order: recipe.order, window: recipe.window, sections: plan.sections, size },
    ...{ start: parts.start, sample, decode },
    noise: () => noise.normals(size.channels * recipe.window * size.height * size.width),
    ...(checkpoint && { resume: checkpoint.sections }),
  };
  for await (const made of makeSections(work)) {
    await hand(run, made, { noise, progress });
    progress.sectionDone(made);
  }
};

const memoFor = ({ plan, machine }: Prepared): number =>
  memoBytes(plan.bucket, machine.dtypes.vae === "f32" ? 4 : 2, machine.deviceBytes);

type Writers = Readonly<{ noise: NoiseGenerator; progress: Progress }>;

/** Gives a section's frames to the sink, and lets it write them while the next section computes. */
const hand = async (run: VideoRun, made: MadeSection, writers: Writers): Promise<void> => {
  const { prepared, reporter, kept, stop, jobDir } = run;
  const { sink, recipe, modelId, out } = prepared;
  const { joined, open } = made.growth;
  reporter.phase("write", made.span.index);
  await kept.publishing;
  stop.signal.throwIfAborted();
  await sink.segment(joined.rgb, joined.count);
  await sink.provisional(open.rgb, open.count);
  kept.sections = made.span.index + 1;
  const facts = {
    ...{ recipe, model: modelId, version, out },
    sections: made.state(),
    noise: writers.noise.state(),
    stepsSkipped: writers.progress.stepsSkipped,
  };
  publish(run, () => {
    if (!made.span.last) saveCheckpoint(jobDir, { ...facts, film: sink.state() });
  });
};

/** Brings the film on disk up to date beside the computation, and then does what relies on it. */
const publish = (run: VideoRun, then: () => void): void => {
  const { prepared, reporter, kept, stop } = run;
  const work = async (): Promise<void> => {
    const film = await prepared.sink.publish();
    kept.film = film;
    reporter.emit({ type: "fileWritten", kind: "partial", ...film });
    then();
  };
  kept.publishing = work().catch((error: unknown) => stop.abort(error));
};
