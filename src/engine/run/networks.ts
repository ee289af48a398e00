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
import { StreamingLender, type StreamPlan } from "../models/streaming-lender.ts";
import type { Transformer } from "../models/transformer.ts";
import type { Vae } from "../models/vae.ts";
import type { ModelFacts } from "../plan/facts.ts";
import { llamaStream, transformerStream } from "../plan/placement.ts";
import type { Placement } from "../weights/residency.ts";
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

/** How the large networks come to a device block by block. */
export type Streams = Readonly<{ transformer: StreamPlan; llama: StreamPlan }>;

export const streamsOf = (facts: ModelFacts, placement: Placement): Streams => ({
  transformer: transformerStream(facts.transformer, placement.resident),
  llama: llamaStream(facts.llama),
});

/**
 * Checks every tensor of every network; weights stay in their mapped files until they are used.
 * Without `streams` all of a network's weights stay where they are computed with.
 */
export const openNetworks = (
  { parts }: ModelFolder,
  { dtypes, info }: Machine,
  streams?: Streams,
): Networks => {
  const options = (dtype: LoadOptions["dtype"]): LoadOptions => ({
    dtype,
    mapper: tensorMapper,
    // Only the CPU computes on the mapped files themselves.
    upload: info.backend !== "cpu",
  });
  const streaming = (dtype: LoadOptions["dtype"], plan: StreamPlan | undefined): LoadOptions => ({
    ...options(dtype),
    ...(plan && { lender: (weights, rest) => new StreamingLender(weights, rest, plan) }),
  });
  using opened = new DisposableStack();
  const networks = {
    transformer: opened.use(
      loadTransformer(parts.transformer, streaming(dtypes.transformer, streams?.transformer)),
    ),
    encoder: opened.use(loadVae(parts.vae, options(dtypes.vae))),
    vae: opened.use(loadVae(parts.vae, options(dtypes.vae))),
    llama: opened.use(loadLlama(parts.text_encoder, streaming(dtypes.encoders, streams?.llama))),
    clip: opened.use(loadClip(parts.text_encoder_2, options(dtypes.encoders))),
    siglip: opened.use(loadSiglip(parts.image_encoder, options(dtypes.encoders))),
  };
  const held = opened.move();
  return { ...networks, [Symbol.dispose]: () => held.dispose() };
};
