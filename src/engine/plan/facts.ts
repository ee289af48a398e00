// What a plan needs to know about a model: its configs and the bytes of its weights, read from
// headers alone.

import { join } from "node:path";
import {
  type ClipConfig,
  clipConfig,
  type LlamaConfig,
  llamaConfig,
  type PreprocessorConfig,
  preprocessorConfig,
  type SiglipConfig,
  siglipConfig,
} from "../config/encoders.ts";
import type { FramepackSettings } from "../config/framepack-json.ts";
import type { ModelFolder } from "../config/model-folder.ts";
import { readConfig } from "../config/read.ts";
import { type TransformerConfig, transformerConfig } from "../config/transformer.ts";
import { type VaeConfig, vaeConfig } from "../config/vae.ts";
import { type TensorMapper, WeightSource } from "../weights/source.ts";

export type ModelFacts = Readonly<{
  settings: FramepackSettings;
  transformer: TransformerConfig;
  vae: VaeConfig;
  llama: LlamaConfig;
  clip: ClipConfig;
  siglip: SiglipConfig;
  preprocessor: PreprocessorConfig;
  /**
   * The half precision that the autoencoder keeps its range in: the published one's is float16; one
   * that was made in bfloat16 may overflow there.
   */
  vaeHalf: "f16" | "bf16";
  /** Bytes of the weights as they lie in their files. */
  bytes: Readonly<Record<"transformer" | "vae" | "llama" | "clip" | "siglip", number>>;
}>;

/** Reads every config and header of a model; the first that is missing or damaged is a Failure. */
export const readFacts = ({ parts, settings }: ModelFolder): ModelFacts => ({
  settings,
  transformer: readConfig(join(parts.transformer, "config.json"), transformerConfig),
  vae: readConfig(join(parts.vae, "config.json"), vaeConfig),
  llama: readConfig(join(parts.text_encoder, "config.json"), llamaConfig),
  clip: readConfig(join(parts.text_encoder_2, "config.json"), clipConfig),
  siglip: readConfig(join(parts.image_encoder, "config.json"), siglipConfig),
  preprocessor: readConfig(
    join(parts.feature_extractor, "preprocessor_config.json"),
    preprocessorConfig,
  ),
  vaeHalf: halfOf(parts.vae),
  bytes: {
    transformer: weightBytes(parts.transformer),
    vae: weightBytes(parts.vae),
    llama: weightBytes(parts.text_encoder),
    clip: weightBytes(parts.text_encoder_2),
    siglip: weightBytes(parts.image_encoder),
  },
});

const halfOf = (folder: string): ModelFacts["vaeHalf"] => {
  using source = new WeightSource(folder, headersOnly);
  const isBf16 = source.names().some((name) => source.info(name)?.dtype === "bf16");
  return isBf16 ? "bf16" : "f16";
};

const weightBytes = (folder: string): number => {
  using source = new WeightSource(folder, headersOnly);
  return source.bytes;
};

const headersOnly: TensorMapper<never> = {
  map: (path) => {
    throw new Error(`${path} was to be read up to its header only`);
  },
  copy: () => {
    throw new Error("no tensor was to be made");
  },
};
