// What a section loop's case compares: each section's positions, steps, latents and pixels, and the
// film as it grows.

import type { Tensor } from "../../ffi/tensor.ts";
import type { TeaCacheDecision } from "../models/teacache.ts";
import type { SamplerStep } from "../sampling/sampler.ts";
import { type Frames, softAppend } from "../sections/film.ts";
import type { MadeSection } from "../sections/make-sections.ts";
import { type Order, overlapOf } from "../sections/order.ts";
import { channelsFirst, type Judge, type Values, valuesOf } from "./measure.ts";
import type { ReferenceFile } from "./tensors.ts";

export interface LoopFacts {
  readonly order: Order;
  readonly window: number;
  readonly outputs: ReferenceFile;
  readonly judge: Judge;
  /** The largest difference that a byte of a frame may have. */
  readonly byteLimit: number;
  /** What each section's steps have to decide, if the case says. */
  readonly decisions?: readonly (readonly boolean[])[] | undefined;
}

export class LoopWatch implements Disposable {
  readonly #facts: LoopFacts;
  #denoised: number[] = [];
  #decided: boolean[] = [];
  #final: Frames[] = [];
  #film: Tensor | undefined;

  constructor(facts: LoopFacts) {
    this.#facts = facts;
  }

  /** Callbacks for one section's sampling. */
  begin(): { onStep: (step: SamplerStep) => void; onDecision: (made: TeaCacheDecision) => void } {
    this.#denoised = [];
    this.#decided = [];
    return {
      onStep: ({ denoised }) => {
        for (const value of valuesOf(denoised)) this.#denoised.push(value);
      },
      onDecision: ({ compute }) => this.#decided.push(compute),
    };
  }

  /** Compares a section when it is done. */
  finish({ span, positions, sampled, clip, growth, history }: MadeSection): void {
    const { decisions, judge } = this.#facts;
    const at = `section.${span.index}.`;
    this.#whole(`${at}latent_indices`, positions.window);
    this.#whole(`${at}clean_latent_indices`, positions.clean);
    this.#whole(`${at}clean_latent_2x_indices`, positions.clean2x);
    this.#whole(`${at}clean_latent_4x_indices`, positions.clean4x);
    const wanted = decisions?.[span.index];
    if (wanted !== undefined) {
      judge.whole(`${at}teacache_decisions`, this.#decided.map(Number), wanted.map(Number));
    }
    this.#compare(`${at}denoised`, this.#denoised);
    this.#compare(`${at}sampled`, valuesOf(sampled));
    this.#compare(`${at}history_latents`, history.held().data);
    this.#compare(`${at}current_pixels`, channelsFirst(clip));
    const [, height = 0, width = 0] = clip.dims;
    this.#whole(`${at}frames_uint8`, this.#frames(growth, height * width), this.#facts.byteLimit);
    this.#grow(clip);
  }

  /** Compares the whole film. */
  end(): void {
    if (this.#film !== undefined) this.#compare("history_pixels", channelsFirst(this.#film));
  }

  /** All frames so far, the open ones included, as planes [3, frames, height, width]. */
  #frames({ joined, open }: MadeSection["growth"], pixels: number): Uint8Array {
    const isInverted = this.#facts.order === "inverted";
    this.#final = isInverted ? [joined, ...this.#final] : [...this.#final, joined];
    const all = isInverted ? [open, ...this.#final] : [...this.#final, open];
    const total = all.reduce((sum, part) => sum + part.count, 0) * pixels;
    const planes = new Uint8Array(3 * total);
    let at = 0;
    for (const { rgb, count } of all) {
      for (let i = 0; i < count * pixels; i++, at++) {
        for (let c = 0; c < 3; c++) planes[c * total + at] = rgb[3 * i + c] ?? 0;
      }
    }
    return planes;
  }

  /** The film as float pixels, joined by the function that a run joins with. */
  #grow(clip: Tensor): void {
    const { order, window } = this.#facts;
    const before = this.#film;
    if (before === undefined) {
      this.#film = clip.contiguous();
      return;
    }
    const [first, second] = order === "inverted" ? [clip, before] : [before, clip];
    this.#film = softAppend(first, second, overlapOf(window));
    before[Symbol.dispose]();
  }

  #compare(name: string, got: Values): void {
    const want = this.#facts.outputs.find(name);
    if (want !== undefined) this.#facts.judge.compare(name, got, want.data);
  }

  #whole(name: string, got: Values, limit = 0): void {
    const want = this.#facts.outputs.find(name);
    if (want !== undefined) this.#facts.judge.whole(name, got, want.data, limit);
  }

  [Symbol.dispose](): void {
    this.#film?.[Symbol.dispose]();
    this.#film = undefined;
  }
}
