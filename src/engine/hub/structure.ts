// Whether a model's folders hold what their configs promise: every config, every header, the length
// of every weight file, and every tensor of every network in its shape. Reads no weights.

import { join } from "node:path";
import { clipConfig, llamaConfig, siglipConfig } from "../config/encoders.ts";
import type { ModelFolder } from "../config/model-folder.ts";
import { readConfig } from "../config/read.ts";
import { transformerConfig } from "../config/transformer.ts";
import { vaeConfig } from "../config/vae.ts";
import { Clip } from "../models/clip.ts";
import type { Weights } from "../models/lender.ts";
import { Llama } from "../models/llama.ts";
import { Siglip } from "../models/siglip.ts";
import { Transformer } from "../models/transformer.ts";
import { Vae } from "../models/vae.ts";
import { PromptTokenizer } from "../text/prompt.ts";
import { type TensorMapper, WeightSource } from "../weights/source.ts";

export type Structure = Readonly<{ tensors: number; bytes: number }>;

/** Throws the Failure of the first part that is not whole. */
export const checkStructure = ({ parts, settings }: ModelFolder): Structure => {
  const checks = [
    check(parts.transformer, transformerConfig, Transformer.check),
    check(parts.vae, vaeConfig, Vae.check),
    check(parts.text_encoder, llamaConfig, Llama.check),
    check(parts.text_encoder_2, clipConfig, Clip.check),
    check(parts.image_encoder, siglipConfig, Siglip.check),
  ];
  new PromptTokenizer(parts, settings.promptTemplate).encode("");
  return {
    tensors: checks.reduce((sum, { tensors }) => sum + tensors, 0),
    bytes: checks.reduce((sum, { bytes }) => sum + bytes, 0),
  };
};

const check = <C>(
  folder: string,
  schema: Parameters<typeof readConfig<C>>[1],
  test: (config: C, weights: Weights) => void,
): Structure => {
  const config = readConfig(join(folder, "config.json"), schema);
  using source = new WeightSource(folder, headersOnly);
  test(config, source);
  return { tensors: source.names().length, bytes: source.bytes };
};

const headersOnly: TensorMapper<never> = {
  map: (path) => {
    throw new Error(`${path} was to be read up to its header only`);
  },
  copy: () => {
    throw new Error("no tensor was to be made");
  },
};
