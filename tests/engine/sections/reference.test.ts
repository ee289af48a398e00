// The complete section loop with a tiny transformer and a tiny autoencoder, against the reference's
// run.

import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type LoadOptions, loadTransformer, loadVae } from "../../../src/engine/models/load.ts";
import { posteriorLatents } from "../../../src/engine/models/vae.ts";
import { guidanceOf, timestepOf } from "../../../src/engine/sampling/sampler.ts";
import { scheduleTokens, sigmas } from "../../../src/engine/sampling/schedule.ts";
import { decodeClip } from "../../../src/engine/sections/decode-clip.ts";
import { makeSections, type SectionState } from "../../../src/engine/sections/make-sections.ts";
import type { Order } from "../../../src/engine/sections/order.ts";
import { sampleSection } from "../../../src/engine/sections/sample-section.ts";
import { memory, openLibrary } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import * as ops from "../../../src/ffi/ops.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import { Golden, goldenFolder, goldenJson, maxAbs, relL2 } from "../../support/golden.ts";

setDefaultTimeout(60_000);
beforeAll(() => {
  openLibrary({ backend: "cpu", threads: 2 });
});

type Case = {
  mode: Order;
  latent_window_size: number;
  steps: number;
  total_latent_sections: number;
  distilled_guidance_scale: number;
  use_teacache: boolean;
  rel_l1_thresh: number;
  target_height: number;
  target_width: number;
  teacache_decisions: boolean[][] | null;
  tolerance: { fp32_rel_l2: number; bf16_rel_l2: number };
};

type Seen = { rel: Record<string, number>; bytes: Record<string, number>; decisions: boolean[][] };

const run = async (name: string, dtype: "f32" | "bf16", resumeAfter?: number): Promise<Seen> => {
  const facts = goldenJson(`${name}/case.json`) as Case;
  const inputs = new Golden(`${name}/inputs.safetensors`);
  const outputs = new Golden(`${name}/outputs.safetensors`);
  const load: LoadOptions = { dtype, mapper: tensorMapper, upload: false };
  using transformer = loadTransformer(`${goldenFolder}${name}/transformer`, load);
  using vae = loadVae(`${goldenFolder}${name}/vae`, load);
  const size = {
    channels: 16,
    height: facts.target_height / 8,
    width: facts.target_width / 8,
  };
  const seen: Seen = { rel: {}, bytes: {}, decisions: [] };
  const note = (key: string, got: Float32Array): void => {
    seen.rel[key] = relL2(got, outputs.f32(key));
  };

  const image = inputs.u8("image_cropped_uint8");
  using bytes = Tensor.from(image, [1, facts.target_height, facts.target_width, 3]);
  using pixels = ops.fromU8(bytes, "f32");
  using posterior = await vae.network.encode(pixels);
  const scale = vae.network.config.scalingFactor;
  const start = posteriorLatents(posterior, scale, inputs.f32("posterior_noise"));
  note("start_latent", start);

  const rounding = dtype;
  const list = sigmas(
    scheduleTokens({ frames: facts.latent_window_size, height: size.height, width: size.width }),
    { steps: facts.steps },
  );
  const guidance = facts.distilled_guidance_scale;
  const rows = [...inputs.get("llama_attention_mask").data].reduce((a, b) => a + b, 0);
  using padded = matrix(inputs, "llama_vec");
  using text = padded.rows(0, rows);
  using pooledRow = matrix(inputs, "clip_l_pooler");
  using pooled = pooledRow.reshape([pooledRow.dims[1] ?? 0]);
  using vision = matrix(inputs, "image_embeddings");
  using job = await transformer.network.begin({
    timesteps: Array.from({ length: facts.steps }, (_, step) =>
      timestepOf(step, { sigmas: list, rounding }),
    ),
    guidance: guidanceOf({ guidance, rounding }),
    text,
    pooled,
    image: vision,
  });

  let denoised: number[] = [];
  let decisions: boolean[] = [];
  const work = (resume?: SectionState) => ({
    order: facts.mode,
    window: facts.latent_window_size,
    sections: facts.total_latent_sections,
    size,
    start,
    noise: (k: number) => inputs.f32(`section.${k}.noise`),
    sample: (task: Parameters<typeof sampleSection>[1]) =>
      sampleSection(
        {
          positive: job,
          sigmas: list,
          guidance,
          cfg: 1,
          cfgRescale: 0,
          rounding,
          teacacheThreshold: facts.use_teacache ? facts.rel_l1_thresh : null,
          onDecision: ({ compute }) => decisions.push(compute),
          onStep: (step) => void denoised.push(...step.denoised.f32()),
        },
        task,
        size,
      ),
    decode: (latents: Tensor) => decodeClip(vae.network, latents),
    keepAll: resume === undefined,
    ...(resume && { resume }),
  });

  let movie = new Uint8Array(0);
  let state: SectionState | undefined;
  const follow = async (from?: SectionState): Promise<void> => {
    for await (const made of makeSections(work(from))) {
      const key = `section.${made.span.index}`;
      note(`${key}.denoised`, Float32Array.from(denoised));
      note(`${key}.sampled`, made.sampled.f32());
      if (from === undefined) note(`${key}.history_latents`, made.history.held().data);
      using turned = made.clip.permute([3, 0, 1, 2]);
      note(`${key}.current_pixels`, turned.f32());
      expect(made.positions.window).toEqual([...outputs.get(`${key}.latent_indices`).data]);
      const { joined, open } = made.growth;
      const isFront = facts.mode === "inverted";
      movie = isFront ? concat(joined.rgb, movie) : concat(movie, joined.rgb);
      const whole = isFront ? concat(open.rgb, movie) : concat(movie, open.rgb);
      seen.bytes[key] = maxAbs(whole, planesLast(outputs, `${key}.frames_uint8`));
      seen.decisions.push(decisions);
      [denoised, decisions] = [[], []];
      if (made.span.index === resumeAfter && from === undefined) {
        state = made.state();
        return;
      }
    }
  };
  await follow();
  if (state !== undefined) await follow(state);
  return seen;
};

/** [1, n, c] of the file as a matrix. */
const matrix = (golden: Golden, name: string): Tensor => {
  const { data, dims } = golden.get(name);
  return Tensor.from(data as Float32Array, dims.length === 3 ? dims.slice(1) : dims);
};

/** u8 [1, 3, T, H, W] as [T, H, W, 3]. */
const planesLast = (golden: Golden, name: string): Uint8Array => {
  const { dims } = golden.get(name);
  const source = golden.u8(name);
  const plane = source.length / 3;
  expect(dims[1]).toBe(3);
  return Uint8Array.from(source, (_, i) => source[(i % 3) * plane + Math.floor(i / 3)] ?? 0);
};

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
};

const cases = [
  ["section-inverted", "f32", 1],
  ["section-f1", "f32", 1],
  ["section-inverted", "bf16", 12],
  ["section-f1", "bf16", 16],
] as const;

test.each(cases)("%s in %s: every section is the reference's", async (name, dtype, bytesMax) => {
  const { tolerance, teacache_decisions } = goldenJson(`${name}/case.json`) as Case;
  const limit = dtype === "f32" ? tolerance.fp32_rel_l2 : tolerance.bf16_rel_l2;
  const before = memory().tensors;

  const seen = await run(name, dtype);

  const missed = Object.entries(seen.rel).filter(([, error]) => !(error <= limit));
  expect(missed).toEqual([]);
  expect(Math.max(...Object.values(seen.bytes))).toBeLessThanOrEqual(bytesMax);
  if (teacache_decisions !== null) expect(seen.decisions).toEqual(teacache_decisions);
  expect(memory().tensors).toBe(before);
});

test.each([
  ["section-inverted", 0],
  ["section-f1", 1],
] as const)("%s goes on after section %p as if nothing had happened", async (name, after) => {
  const { tolerance } = goldenJson(`${name}/case.json`) as Case;

  const seen = await run(name, "f32", after);

  const missed = Object.entries(seen.rel).filter(([, error]) => !(error <= tolerance.fp32_rel_l2));
  expect(missed).toEqual([]);
  expect(Math.max(...Object.values(seen.bytes))).toBeLessThanOrEqual(1);
});
