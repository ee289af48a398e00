// What a recipe would do, without doing it: for the screen where somebody writes one. Pictures, tokenizers and model facts
// are kept between calls, since a prompt is inspected at every pause in the typing.

import { statSync } from "node:fs";
import { chooseBucket, cropToBucket } from "../buckets.ts";
import { type ModelFolder, resolveModel } from "../config/model-folder.ts";
import { Failure, reportOf } from "../failure.ts";
import type { Recipe } from "../job.ts";
import { readPicture } from "../media/picture.ts";
import { stateDir } from "../paths.ts";
import type { Picture } from "../picture.ts";
import { planInputOf } from "../plan/ask.ts";
import { type ModelFacts, readFacts } from "../plan/facts.ts";
import { refuseUnfit } from "../plan/fit.ts";
import { planJob } from "../plan/plan.ts";
import type { Inspection } from "../protocol.ts";
import { resize } from "../resize.ts";
import { PromptTokenizer } from "../text/prompt.ts";
import { clip_tokens_max, prompt_tokens_max } from "../text/template.ts";

/** Longest side of the crop that is sent along. */
const cropSide = 192;

type Problem = Inspection["problems"][number];
type Loaded = Readonly<{ folder: ModelFolder; facts: ModelFacts; tokenizer: PromptTokenizer }>;

export class Inspector {
  /** The last picture, by path, size and time: editing a prompt must not decode it again. */
  #picture: Readonly<{ key: string; picture: Picture }> | null = null;
  #model: Readonly<{ name: string; loaded: Loaded }> | null = null;

  async inspect(recipe: Recipe): Promise<Inspection> {
    const problems: Problem[] = [];
    const picture = await noting(problems, "image", () => this.#readPicture(recipe.image));
    const model = await noting(problems, "model", () => this.#load(recipe.model));
    const tokens = model === null ? null : countTokens(model.tokenizer, recipe.prompt);
    const plan =
      picture === null || model === null
        ? null
        : await noting(problems, "seconds", async () => {
            const question = planInputOf({
              ...{ recipe, picture, folder: model.folder, facts: model.facts },
              textTokens: tokens === null ? null : tokens.llama.used,
              stateDir: stateDir(),
            });
            const plan = planJob(question);
            await noting(problems, "vramBytes", () => refuseUnfit(question, plan));
            return plan;
          });
    return {
      plan,
      problems,
      crop: picture === null || model === null ? null : smallCrop(picture, model.facts),
      picture: picture === null ? null : { width: picture.width, height: picture.height },
      tokens,
    };
  }

  async #readPicture(path: string): Promise<Picture> {
    const key = `${path}\0${stampOf(path)}`;
    if (this.#picture?.key !== key) this.#picture = { key, picture: await readPicture(path) };
    return this.#picture.picture;
  }

  #load(name: string): Loaded {
    if (this.#model?.name !== name) {
      const folder = resolveModel(name);
      const facts = readFacts(folder);
      const tokenizer = new PromptTokenizer(folder.parts, folder.settings.promptTemplate);
      this.#model = { name, loaded: { folder, facts, tokenizer } };
    }
    return this.#model.loaded;
  }
}

/** What changes when a file does; nothing where there is none to look at. */
const stampOf = (path: string): string => {
  try {
    const { size, mtimeMs } = statSync(path);
    return `${size}\0${mtimeMs}`;
  } catch {
    return ""; // Absent, below a file, or out of reach: reading it says which.
  }
};

/** Runs a part; what it fails with is a problem of that field. Anything but a Failure is a bug and goes on. */
const noting = async <T>(
  problems: Problem[],
  field: string,
  part: () => T | Promise<T>,
): Promise<T | null> => {
  try {
    return await part();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { message, hint } = reportOf(error);
    problems.push({ field, message, hint: hint ?? null });
    return null;
  }
};

const countTokens = (
  tokenizer: PromptTokenizer,
  prompt: string,
): NonNullable<Inspection["tokens"]> => {
  const { llama, clip } = tokenizer.encode(prompt);
  return {
    llama: { used: llama.ids.length - llama.crop, max: prompt_tokens_max, cut: llama.cut },
    clip: { used: clip.length, max: clip_tokens_max, cut: clip.cut },
  };
};

const smallCrop = (picture: Picture, facts: ModelFacts): Inspection["crop"] => {
  const bucket = chooseBucket(picture, facts.settings.buckets);
  const crop = cropToBucket(picture, bucket);
  const shrink = Math.min(1, cropSide / Math.max(crop.width, crop.height));
  const size = {
    width: Math.max(1, Math.round(crop.width * shrink)),
    height: Math.max(1, Math.round(crop.height * shrink)),
  };
  const { width, height, rgb } = shrink === 1 ? crop : resize(crop, size, "lanczos");
  return { frames: 1, width, height, rgb: Buffer.from(rgb).toString("base64") };
};
