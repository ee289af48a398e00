// Watches for numbers that went bad: not finite, all alike, or absurdly large. What is checked is
// only the end of a forward; when that is bad, the forward runs again and every block is looked at,
// so that the failure names the first.

import * as ops from "../../ffi/ops.ts";
import type { Tensor } from "../../ffi/tensor.ts";
import { Failure } from "../failure.ts";
import type { Breathe, Network } from "../models/breathe.ts";

export type Trouble = "not numbers" | "constant" | "absurd";
type Stats = ReturnType<typeof ops.stats>;

/**
 * Velocities and pixels of working models stay within a few tens. The states of language models do
 * not: single channels of some rows are large on purpose.
 */
const absurdlyLarge: Readonly<Partial<Record<Network, number>>> = { transformer: 1e4, vae: 1e4 };

export const troubleOf = (network: Network, stats: Stats, count: number): Trouble | null => {
  if (stats.bad > 0) return "not numbers";
  if (stats.absMax > (absurdlyLarge[network] ?? Number.POSITIVE_INFINITY)) return "absurd";
  if (count > 1 && stats.min === stats.max) return "constant";
  return null;
};

/**
 * Runs a forward and hands out its result, or fails with the network and block where it went wrong.
 */
export const guarded = async (
  network: Network,
  breathe: Breathe,
  forward: (breathe: Breathe, again: boolean) => Promise<Tensor>,
): Promise<Tensor> => {
  const result = await forward(breathe, false);
  const trouble = troubleOf(network, ops.stats(result), result.count);
  if (trouble === null) return result;
  result[Symbol.dispose]();
  using _again = await forward(blaming(breathe), true);
  throw numbersFailure(network, "its output", trouble);
};

/** Looks at what each block left behind, and fails on the first that is not all numbers. */
export const blaming =
  (breathe: Breathe): Breathe =>
  async (breath) => {
    if (ops.stats(breath.state).bad > 0) {
      throw numbersFailure(breath.network, breath.part, "not numbers");
    }
    await breathe(breath);
  };

const networkNames: Readonly<Record<Network, string>> = {
  transformer: "transformer",
  vae: "video autoencoder",
  llama: "Llama text encoder",
  clip: "CLIP text encoder",
  siglip: "SigLIP vision encoder",
};

export const numbersFailure = (network: Network, part: string, trouble: Trouble): Failure => {
  const name = networkNames[network];
  switch (trouble) {
    case "not numbers":
      return new Failure(
        "numbers.nan",
        `The ${name} made values that are not numbers, first in ${part}.`,
        {
          hint: "Its weights may be damaged; framepack models verify checks them.",
        },
      );
    case "constant":
      return new Failure(
        "numbers.constant",
        `The ${name} made one and the same value everywhere, in ${part}.`,
        {
          hint: "Its weights may be damaged, or belong to another model.",
        },
      );
    case "absurd":
      return new Failure("numbers.absurd", `The ${name} made absurdly large values in ${part}.`, {
        hint: "Its weights may belong to another model, or guidance is set far too high.",
      });
  }
};
