// The networks of a job, opened together so that a damaged model is found before anything is
// computed, and let go as soon as each has done its part.

import { tensorMapper } from "../../ffi/mapped-file.ts";
import type { ModelFolder } from "../config/model-folder.ts";
import type { Clip } from "../models/clip.ts";
import type { Llama } from "../models/llama.ts";
import {
  type Loaded,
  type LoadOptions,
  loadClip,
  loadLlama,
  loadSiglip,
  loadTransformer,
  loadVae,
} from "../models/load.ts";
import type { Siglip } from "../models/siglip.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Vae } from "../models/vae.ts";
import type { Machine } from "./machine.ts";

export type Networks = Disposable &
  Readonly<{
    llama: Loaded<Llama>;
    clip: Loaded<Clip>;
    siglip: Loaded<Siglip>;
    transformer: Loaded<Transformer>;
    /** The autoencoder twice: its encoder is let go after the start picture, its decoder stays. */
    encoder: Loaded<Vae>;
    vae: Loaded<Vae>;
  }>;

/** Checks every tensor of every network; weights stay in their mapped files until they are used. */
export const openNetworks = (model: ModelFolder, machine: Machine): Networks => {
  const { dtypes, isCpu } = machine;
  const { parts } = model;
  const options = (dtype: LoadOptions["dtype"]): LoadOptions => ({
    dtype,
    mapper: tensorMapper,
    upload: !isCpu,
  });
  using opened = new DisposableStack();
  const networks = {
    transformer: opened.use(loadTransformer(parts.transformer, options(dtypes.transformer))),
    encoder: opened.use(loadVae(parts.vae, options(dtypes.vae))),
    vae: opened.use(loadVae(parts.vae, options(dtypes.vae))),
    llama: opened.use(loadLlama(parts.text_encoder, options(dtypes.encoders))),
    clip: opened.use(loadClip(parts.text_encoder_2, options(dtypes.encoders))),
    siglip: opened.use(loadSiglip(parts.image_encoder, options(dtypes.encoders))),
  };
  const held = opened.move();
  return { ...networks, [Symbol.dispose]: () => held.dispose() };
};
