// Everything about a job that can go wrong before anything is computed: the picture, the model, the
// length, memory, the place for the video and the encoder are all tried here, in the order of how
// cheap it is to find out.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../../package.json";
import { cropToBucket } from "../buckets.ts";
import { type ModelFolder, resolveModel } from "../config/model-folder.ts";
import { modelHash } from "../config/model-hash.ts";
import type { Plan } from "../events.ts";
import type { Recipe } from "../job.ts";
import { chooseOutput, chooseOutputAgain, dropPartial } from "../media/output-name.ts";
import { pictureWarnings, readPicture } from "../media/picture.ts";
import type { FrameSink } from "../media/sink.ts";
import { type VideoOptions, videoSink } from "../media/video.ts";
import type { Picture } from "../picture.ts";
import { type ModelFacts, readFacts } from "../plan/facts.ts";
import { refuseUnfit } from "../plan/fit.ts";
import { planJob, planPlacement, usesSpatialTiles } from "../plan/plan.ts";
import { type Rate, readRate } from "../plan/rates.ts";
import { printable } from "../printable.ts";
import { cutWarnings, PromptTokenizer, type PromptTokens } from "../text/prompt.ts";
import type { Placement } from "../weights/residency.ts";
import {
  type Checkpoint,
  loadCheckpoint,
  notedOutput,
  noteOutput,
  refuseOther,
} from "./checkpoint.ts";
import { type Machine, machineFor, openMachine } from "./machine.ts";
import type { Reporter } from "./reporter.ts";

export type PrepareOptions = Readonly<{
  stateDir: string;
  jobDir: string;
  resume: boolean;
  reporter: Reporter;
  makeSink?: ((options: VideoOptions) => FrameSink) | undefined;
}>;

export type Prepared = Readonly<{
  recipe: Recipe;
  machine: Machine;
  model: ModelFolder;
  modelId: string;
  facts: ModelFacts;
  plan: Plan;
  /** The autoencoder works in tiles. */
  tiled: boolean;
  /** Where the transformer's blocks lie in a step; null on the CPU. */
  placement: Placement | null;
  rate: Rate | null;
  /** Cut to the bucket. */
  picture: Picture;
  prompt: PromptTokens;
  /** Only with real guidance. */
  negative: PromptTokens | undefined;
  checkpoint: Checkpoint | undefined;
  sink: FrameSink;
  out: string;
}>;

export const prepareJob = async (recipe: Recipe, options: PrepareOptions): Promise<Prepared> => {
  const { reporter, stateDir, jobDir } = options;
  reporter.phase("check");
  const opened = openMachine(recipe);
  const { info } = opened;
  const device = info.device || info.cpu;
  reporter.emit({ type: "started", backend: info.backend, device, version });
  const whole = await readPicture(recipe.image);
  const model = resolveModel(recipe.model);
  const facts = readFacts(model);
  const machine = machineFor(opened, facts.vaeHalf);
  const modelId = modelHash(model);
  const tokenizer = new PromptTokenizer(model.parts, model.settings.promptTemplate);
  const prompt = tokenizer.encode(recipe.prompt);
  const { ids, crop } = prompt.llama;
  const rate = readRate(stateDir, { ...recipe, modelId });
  const { isCpu, deviceBytes } = machine;
  const textTokens = ids.length - crop;
  const question = { recipe, model: facts, picture: whole, textTokens, isCpu, deviceBytes, rate };
  const plan = planJob(question);
  reporter.emit({ type: "planned", plan });
  for (const text of plan.warnings) reporter.warn("plan", text);
  for (const text of pictureWarnings(whole, plan.bucket)) reporter.warn("picture", text);
  for (const text of cutWarnings(prompt)) reporter.warn("prompt", printable(text));
  if (model.variant !== undefined && model.variant !== recipe.order) {
    reporter.warn("order", `This model was made for the ${model.variant} order.`);
  }
  refuseUnfit(question, plan);
  const checkpoint = options.resume ? loadCheckpoint(jobDir) : undefined;
  if (checkpoint !== undefined) refuseOther(checkpoint, { recipe, model: modelId });
  const out = checkpoint?.out ?? (await beginAfresh(recipe, options));
  noteOutput(jobDir, out);
  const sink = (options.makeSink ?? videoSink)({
    out,
    workDir: join(jobDir, "parts"),
    framesDir: recipe.frames,
    crf: recipe.crf,
    recipe: { ...recipe, modelHash: modelId, version },
    title: recipe.prompt,
  });
  await sink.begin({
    ...plan.bucket,
    fps: recipe.fps,
    framesExpected: plan.frames,
    grows: recipe.order === "f1" ? "back" : "front",
    ...(checkpoint && { resume: checkpoint.film }),
  });
  const picture = cropToBucket(whole, plan.bucket);
  const negative = recipe.cfg === 1 ? undefined : tokenizer.encode(recipe.negativePrompt);
  const tiled = usesSpatialTiles(question, plan.latent);
  const placement = planPlacement(question);
  const made = { recipe, machine, model, modelId, facts, plan, tiled, placement, rate };
  return { ...made, picture, prompt, negative, checkpoint, sink, out };
};

/** A name for the video; a partial file that a killed run of the same job left goes first. */
const beginAfresh = async (recipe: Recipe, options: PrepareOptions): Promise<string> => {
  if (!options.resume) return chooseOutput(recipe.out, recipe);
  options.reporter.warn("resume", "Nothing was left to go on from: the job begins again.");
  const before = notedOutput(options.jobDir);
  if (before !== null) await dropPartial(before);
  return before !== null && !existsSync(before) ? before : chooseOutputAgain(recipe.out, recipe);
};
