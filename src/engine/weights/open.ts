// Weights as the networks use them: a source whose tensors the library makes.

import { tensorMapper } from "../../ffi/mapped-file.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import { WeightSource } from "./source.ts";

/** Opens a folder or a .safetensors file; the library has to be open. Dispose it after the run. */
export const openWeights = (path: string): WeightSource<Tensor> =>
  new WeightSource(path, tensorMapper);
