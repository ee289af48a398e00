// Opens the networks of a model folder: config checked, every tensor looked up, weights lent from
// memory. What a run and a reference case use alike.

import { join } from "node:path";
import type { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { clipConfig, llamaConfig, siglipConfig } from "../config/encoders.ts";
import { readConfig } from "../config/read.ts";
import { transformerConfig } from "../config/transformer.ts";
import { vaeConfig } from "../config/vae.ts";
import { type TensorMapper, WeightSource } from "../weights/source.ts";
import { Clip } from "./clip.ts";
import { type Lender, ResidentLender, type ResidentOptions, type Weights } from "./lender.ts";
import { Llama } from "./llama.ts";
import { Siglip } from "./siglip.ts";
import { Transformer } from "./transformer.ts";
import { Vae } from "./vae.ts";
import { packConv } from "./vae-blocks.ts";

export interface LoadOptions {
  readonly dtype: FloatDtype;
  readonly mapper: TensorMapper<Tensor>;
  /** Whether the backend computes on copies of the mapped file (a GPU) or on the file itself. */
  readonly upload: boolean;
  /** Lends in another way than from memory, for example block by block. */
  readonly lender?: ((weights: Weights, options: ResidentOptions) => Lender) | undefined;
}

/** A network with the files behind it; disposing frees both. */
export class Loaded<N> implements Disposable {
  readonly network: N;
  readonly #held: readonly Disposable[];

  constructor(network: N, held: readonly Disposable[]) {
    this.network = network;
    this.#held = held;
  }

  [Symbol.dispose](): void {
    for (const part of this.#held) part[Symbol.dispose]();
  }
}

export const loadTransformer = (folder: string, options: LoadOptions): Loaded<Transformer> => {
  const config = readConfig(join(folder, "config.json"), transformerConfig);
  return load(folder, options, {
    check: (weights) => Transformer.check(config, weights),
    make: (lender) => new Transformer(config, lender, options.dtype),
  });
};

export const loadVae = (folder: string, options: LoadOptions): Loaded<Vae> => {
  const config = readConfig(join(folder, "config.json"), vaeConfig);
  return load(folder, options, {
    check: (weights) => Vae.check(config, weights),
    make: (lender) => new Vae(config, lender, options.dtype),
    prepare: packConv,
  });
};

export const loadLlama = (folder: string, options: LoadOptions): Loaded<Llama> => {
  const config = readConfig(join(folder, "config.json"), llamaConfig);
  return load(folder, options, {
    check: (weights) => Llama.check(config, weights),
    make: (lender) => new Llama(config, lender, options.dtype),
  });
};

export const loadClip = (folder: string, options: LoadOptions): Loaded<Clip> => {
  const config = readConfig(join(folder, "config.json"), clipConfig);
  return load(folder, options, {
    check: (weights) => Clip.check(config, weights),
    make: (lender) => new Clip(config, lender, options.dtype),
  });
};

export const loadSiglip = (folder: string, options: LoadOptions): Loaded<Siglip> => {
  const config = readConfig(join(folder, "config.json"), siglipConfig);
  return load(folder, options, {
    check: (weights) => Siglip.check(config, weights),
    make: (lender) => new Siglip(config, lender, options.dtype),
  });
};

/** The weights of a folder as a resident lender, for parts of a network that stand alone. */
export const loadPart = (folder: string, options: LoadOptions): Loaded<Lender> =>
  load(folder, options, { check: () => undefined, make: (lender) => lender });

interface Maker<N> {
  readonly check: (weights: Weights) => void;
  readonly make: (lender: Lender) => N;
  readonly prepare?: NonNullable<ResidentOptions["prepare"]>;
}

const load = <N>(folder: string, options: LoadOptions, maker: Maker<N>): Loaded<N> => {
  const { dtype, upload, mapper } = options;
  const weights = new WeightSource(folder, mapper);
  const resident = { dtype, upload, ...(maker.prepare && { prepare: maker.prepare }) };
  try {
    maker.check(weights);
    const lender = options.lender?.(weights, resident) ?? new ResidentLender(weights, resident);
    return new Loaded(maker.make(lender), [lender, weights]);
  } catch (error) {
    weights[Symbol.dispose]();
    throw error;
  }
};
