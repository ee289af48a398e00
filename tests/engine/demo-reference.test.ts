// The demo model's recorded run, part by part, through the code of a job: prompt to ids, ids to
// embeddings, picture to start latent, one forward, and both orders of sections sampled to the end.

import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { demoFolder, resolveModel } from "../../src/engine/config/model-folder.ts";
import { holdBreath } from "../../src/engine/models/breathe.ts";
import { readFacts } from "../../src/engine/plan/facts.ts";
import {
  embedPicture,
  embedPrompt,
  encodeStart,
  type TextEmbedding,
} from "../../src/engine/run/conditioning.ts";
import type { Machine } from "../../src/engine/run/machine.ts";
import { type Networks, openNetworks } from "../../src/engine/run/networks.ts";
import { guidanceOf, type SamplerStep, timestepOf } from "../../src/engine/sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../../src/engine/sampling/schedule.ts";
import { decodeClip } from "../../src/engine/sections/decode-clip.ts";
import { makeSections, type SectionTask } from "../../src/engine/sections/make-sections.ts";
import type { Order } from "../../src/engine/sections/order.ts";
import { sampleSection } from "../../src/engine/sections/sample-section.ts";
import { PromptTokenizer } from "../../src/engine/text/prompt.ts";
import { openLibrary } from "../../src/ffi/library.ts";
import * as ops from "../../src/ffi/ops.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import type { FloatDtype } from "../../src/ffi/types.ts";
import { Golden, maxAbs, relL2 } from "../support/golden.ts";

const golden = new Golden(`${demoFolder}/examples/reference.safetensors`);
const model = resolveModel("demo");
const facts = readFacts(model);
const prompt = "A yellow square bounces up and down.";
const picture = { height: 48, width: 48, rgb: golden.u8("input.image") };
const size = { channels: 16, height: 6, width: 6 };
const steps = 12;
const breathe = holdBreath;

setDefaultTimeout(60_000);
beforeAll(() => {
  openLibrary({ backend: "cpu", threads: 2 });
});

const machineWith = (dtype: FloatDtype): Machine => ({
  info: openLibrary({ backend: "cpu", threads: 2 }),
  isCpu: true,
  deviceBytes: 1e9,
  dtypes: { transformer: dtype, encoders: "f32", vae: "f32" },
});

const tokens = new PromptTokenizer(model.parts).encode(prompt);
const embed = (networks: Networks): Promise<TextEmbedding> =>
  embedPrompt({ llama: networks.llama.network, clip: networks.clip.network }, tokens, breathe);

test("the prompt becomes the recorded ids", () => {
  expect([...tokens.llama.ids]).toEqual([...golden.get("input.llama_ids").data]);
  expect([...tokens.clip.ids]).toEqual([...golden.get("input.clip_ids").data]);
});

test("ids and picture become the recorded embeddings and start latent", async () => {
  using networks = openNetworks(model, machineWith("f32"));

  using text = await embed(networks);
  const { siglip, vae } = networks;
  using vision = await embedPicture(siglip.network, picture, facts.preprocessor, breathe);
  const start = await encodeStart(vae.network, picture, {
    ...{ kind: "mean", seed: 0, spatialTiles: false, breathe },
  });

  const kept = text.text.count;
  expect(relL2(text.text.f32(), golden.f32("cond.llama_vec").subarray(0, kept))).toBeLessThan(2e-5);
  expect(relL2(text.pooled.f32(), golden.f32("cond.clip_pooled"))).toBeLessThan(2e-5);
  expect(relL2(vision.f32(), golden.f32("cond.image_embeds"))).toBeLessThan(2e-5);
  expect(relL2(start, golden.f32("cond.start_latent"))).toBeLessThan(2e-5);
});

type Sampled = { latents: Float32Array; velocity: Float32Array };

/** Two sections of twelve steps from the recorded noise, as [1, 16, 19, 6, 6]. */
const sampleTwo = async (order: Order, dtype: FloatDtype): Promise<Sampled> => {
  using networks = openNetworks(model, machineWith(dtype));
  using text = await embed(networks);
  const { siglip, transformer, vae } = networks;
  using vision = await embedPicture(siglip.network, picture, facts.preprocessor, breathe);
  const name = order === "f1" ? "forward" : "inverted";
  const list = sigmas(scheduleTokens({ frames: 9, ...size }), { steps });
  using job = await transformer.network.begin({
    timesteps: Array.from({ length: steps }, (_, step) =>
      timestepOf(step, { sigmas: list, rounding: dtype }),
    ),
    guidance: guidanceOf({ guidance: 10, rounding: dtype }),
    text: text.text,
    pooled: text.pooled,
    image: vision,
  });
  const sampler = {
    ...{ positive: job, sigmas: list, guidance: 10, cfg: 1, cfgRescale: 0, rounding: dtype },
    teacacheThreshold: null,
  };
  let first: Float32Array | undefined;
  let latents = new Float32Array(0);
  const sections = makeSections({
    ...{ order, window: 9, sections: 2, size, keepAll: true },
    start: golden.f32("cond.start_latent"),
    noise: (k) => golden.f32(`${name}.noise.${k}`),
    sample: (task: SectionTask) => {
      const onStep = ({ denoised }: SamplerStep): void => {
        first ??= denoised.f32();
      };
      return sampleSection({ ...sampler, onStep }, task, size);
    },
    decode: (part) => decodeClip(vae.network, part),
  });
  for await (const { span, history } of sections) {
    if (span.last) latents = history.newest(19).data.slice();
  }
  // At sigma 1 the denoised value is the noise less the velocity.
  const velocity = golden.f32(`${name}.noise.0`).map((v, i) => v - (first?.[i] ?? 0));
  return { latents, velocity };
};

test.each([
  ["inverted", "f32", 2e-5],
  ["f1", "f32", 2e-5],
  ["inverted", "bf16", 0.02],
  ["f1", "bf16", 0.02],
] as const)(
  "two sections in the %s order, %s, end at the recorded latents",
  async (order, dtype, limit) => {
    const { latents, velocity } = await sampleTwo(order, dtype);

    const name = order === "f1" ? "forward" : "inverted";
    if (order === "inverted") {
      expect(relL2(velocity, golden.f32("check.velocity_t1000"))).toBeLessThan(limit);
    }
    expect(relL2(latents, golden.f32(`${name}.unipc12.latents`))).toBeLessThan(limit);
  },
);

test.each(["inverted", "forward"])(
  "the recorded %s latents decode to the recorded pixels",
  async (name) => {
    using networks = openNetworks(model, machineWith("f32"));
    using latents = Tensor.from(golden.f32(`${name}.euler12.latents`), [16, 19, 6, 6]);

    using clip = await decodeClip(networks.vae.network, latents);

    using bytes = ops.toU8(clip);
    const frame = 48 * 48 * 3;
    const every4th = Uint8Array.from({ length: 19 * frame }, () => 0);
    const all = bytes.u8();
    for (let k = 0; k < 19; k++) {
      every4th.set(all.subarray(4 * k * frame, (4 * k + 1) * frame), k * frame);
    }
    // The recorded bytes were rounded, those of a video are cut off.
    expect(maxAbs(every4th, golden.u8(`${name}.euler12.pixels_every_4th`))).toBeLessThanOrEqual(1);
  },
);
