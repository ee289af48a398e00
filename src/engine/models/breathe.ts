// What a forward tells its caller between blocks. The caller may cancel by throwing, show progress,
// look for bad numbers, or just let other work run. No scope may be open across this await.

import type { Tensor } from "../../ffi/tensor.ts";

export type Network = "transformer" | "vae" | "llama" | "clip" | "siglip";

export interface Breath {
  readonly network: Network;
  /** Names the part that has just finished, for example "double 3" or "tile 2". */
  readonly part: string;
  readonly done: number;
  readonly total: number;
  /** What that part left behind; borrowed, valid until the callback's promise settles. */
  readonly state: Tensor;
}

export type Breathe = (breath: Breath) => Promise<void> | void;

export const holdBreath: Breathe = () => undefined;

/** Receives intermediates by name; the tensor is borrowed for the duration of the call. */
export type Tap = (name: string, tensor: Tensor) => void;
