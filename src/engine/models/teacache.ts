// TeaCache: decides from how much the first modulated input changed whether a step runs the blocks
// or reuses the last residual. One state a section and guidance branch.

import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import type { FloatDtype } from "../../ffi/types.ts";
import { roundTo } from "./rounding.ts";

const polynomial = [733.226126, -401.131952, 67.5869174, -3.149878, 0.0961237896] as const;

/** Predicted change of the output for a relative change δ of the input; in float64. */
export const rescale = (delta: number): number =>
  polynomial.reduce((sum, coefficient) => sum * delta + coefficient, 0);

/** Whether to compute, from relative changes alone. Pure arithmetic, so that it can be replayed. */
export class TeaCacheClock {
  readonly steps: number;
  readonly threshold: number;
  #step = 0;
  #accumulated = 0;

  constructor(steps: number, threshold: number) {
    this.steps = steps;
    this.threshold = threshold;
  }

  /**
   * Takes the next step's relative change; `accumulated` is the sum that met the threshold.
   * The first and the last step compute whatever changed.
   */
  advance(delta: number): { compute: boolean; accumulated: number } {
    const forced = this.#step === 0 || this.#step === this.steps - 1;
    this.#step = (this.#step + 1) % this.steps;
    if (forced) {
      this.#accumulated = 0;
      return { compute: true, accumulated: 0 };
    }
    const accumulated = this.#accumulated + rescale(delta);
    const compute = accumulated >= this.threshold;
    this.#accumulated = compute ? 0 : accumulated;
    return { compute, accumulated };
  }
}

export interface TeaCacheDecision {
  readonly compute: boolean;
  readonly accumulated: number;
  /** Relative change of the modulated input; 0 on the first step, without effect on the last. */
  readonly delta: number;
}

/** The state of one section: previous modulated input, last residual of the noise rows, clock. */
export class TeaCache implements Disposable {
  readonly #clock: TeaCacheClock;
  #previous: Tensor | undefined;
  #residual: Tensor | undefined;
  #minusOne: Tensor | undefined;

  constructor(options: Readonly<{ steps: number; threshold: number }>) {
    this.#clock = new TeaCacheClock(options.steps, options.threshold);
  }

  /** Compares with the previous step's input, remembers this one, and decides. */
  decide(modulated: Tensor): TeaCacheDecision {
    const dtype = modulated.dtype as FloatDtype;
    let delta = 0;
    if (this.#previous === undefined) {
      this.#previous = modulated.contiguous();
    } else {
      const { diff, base } = ops.teacache(modulated, this.#previous);
      delta = roundTo(roundTo(diff, dtype) / roundTo(base, dtype), dtype);
    }
    const { compute, accumulated } = this.#clock.advance(delta);
    return { compute, accumulated, delta };
  }

  /** Remembers what the blocks added to the noise rows. */
  store(before: Tensor, after: Tensor): void {
    this.#residual?.[Symbol.dispose]();
    this.#minusOne ??= minusOnes(before);
    this.#residual = ops.addGated(after, before, this.#minusOne);
  }

  /** The noise rows as the blocks would leave them, had they added what they added last. */
  apply(before: Tensor): Tensor {
    if (this.#residual === undefined) throw new Error("no step has been computed yet");
    return ops.add(before, this.#residual);
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.#previous, this.#residual, this.#minusOne]) {
      tensor?.[Symbol.dispose]();
    }
    this.#previous = this.#residual = this.#minusOne = undefined;
  }
}

const minusOnes = (like: Tensor): Tensor => {
  const [, dim = 0] = like.dims;
  return Tensor.from(new Float32Array(dim).fill(-1), [dim], like.dtype as FloatDtype);
};
