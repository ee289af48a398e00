import { expect, test } from "bun:test";
import { resolveModel } from "../../../src/engine/config/model-folder.ts";
import { planSchema } from "../../../src/engine/events.ts";
import { Failure } from "../../../src/engine/failure.ts";
import { type Recipe, recipeDefaults } from "../../../src/engine/job.ts";
import { countTokens, decodeTiles, transformerFlops } from "../../../src/engine/plan/cost.ts";
import { type ModelFacts, readFacts } from "../../../src/engine/plan/facts.ts";
import { refuseUnfit } from "../../../src/engine/plan/fit.ts";
import { type PlanInput, planJob, planPlacement } from "../../../src/engine/plan/plan.ts";

const demo = readFacts(resolveModel("demo"));

/**
 * The published transformer's and autoencoder's sizes, which the arithmetic of the specification is
 * about.
 */
const published: ModelFacts = {
  ...demo,
  settings: { ...demo.settings, buckets: [[544, 704]], steps: 25, sectionsMax: null },
  transformer: {
    ...demo.transformer,
    ...{ heads: 24, headDim: 128, dim: 3072, mlpDim: 12288, doubleLayers: 20, singleLayers: 40 },
  },
  vae: { ...demo.vae, blocks: [128, 256, 512, 512], layersPerBlock: 2 },
  siglip: { ...demo.siglip, tokens: 729 },
};

const recipe = (change: Partial<Recipe> = {}): Recipe => ({
  ...recipeDefaults,
  image: "/tmp/start.png",
  ...change,
});
const plan = (change: Partial<PlanInput> = {}) =>
  planJob({
    recipe: recipe(),
    model: published,
    picture: { height: 768, width: 1024 },
    textTokens: 64,
    isCpu: false,
    deviceBytes: null,
    rate: null,
    ...change,
  });

test("five seconds are announced as four sections, 145 frames and 4.83 s", () => {
  const got = plan();

  expect(got).toMatchObject({ sections: 4, frames: 145, askedSeconds: 5, paddings: [3, 2, 1, 0] });
  expect(got.seconds).toBeCloseTo(4.833, 3);
  expect(got.warnings).toContain("5 s asked: 4 sections make 145 frames, 4.83 s.");
  expect(planSchema.parse(got)).toEqual(got);
});

test("tokens are those of the published table", () => {
  expect(plan().tokens).toEqual({
    noise: 13464,
    clean1x: 2992,
    clean2x: 374,
    clean4x: 396,
    image: 729,
    text: 64,
    total: 18019,
  });
  const small = countTokens({ frames: 9, height: 76, width: 80 }, 2, { image: 0, text: 0 });
  expect(small.total).toBe(17500);
});

test("a full pass of the published model takes about 484 TFLOP", () => {
  expect(transformerFlops(published.transformer, 18019) / 1e12).toBeCloseTo(484, 0);
});

test.each([
  [9, [5, 5, 3]],
  [10, [5, 5, 4]],
  [18, [5, 5, 5, 5, 5, 3]],
  [19, [5, 5, 5, 5, 5, 4]],
  [3, [3]],
])("%p latents are decoded in tiles of %p", (latents, tiles) => {
  expect(decodeTiles(latents)).toEqual(tiles);
});

test("the frames of each section are told in the order they are made", () => {
  expect(plan({ recipe: recipe({ order: "f1" }) }).sectionFrames).toEqual([
    { from: 0, to: 4 },
    { from: 4, to: 40 },
    { from: 40, to: 76 },
    { from: 76, to: 145 },
  ]);
});

test.each([0, -1, 1e9, Number.NaN, Number.POSITIVE_INFINITY])(
  "%p seconds are refused",
  (seconds) => {
    const attempt = (): unknown => plan({ recipe: recipe({ seconds }) });

    expect(attempt).toThrow(Failure);
    expect(attempt).toThrow(`cannot be ${seconds} seconds long`);
  },
);

test("more sections than the model was trained for are allowed, with a word", () => {
  const got = plan({
    model: demo,
    recipe: recipe({ seconds: 12 }),
    picture: { height: 48, width: 48 },
  });

  expect(got.sections).toBe(10);
  expect(got.warnings).toContain("The model was trained for up to 4 sections; 10 may drift.");
});

test("time is unknown until this machine has been measured", () => {
  const rate = { sample: 1e14, decode: 5e13, before: 2000, computed: null };
  const measured = plan({ rate, recipe: recipe({ teacache: false }) });

  expect(plan().ms).toBeNull();
  expect(measured.basis).toBe("measured on this machine");
  expect((measured.ms ?? 0) / 1000).toBeCloseTo(4 * 25 * 4.84 + 47 + 2, -1);
});

test("the decoder cuts pictures into tiles when a whole one does not fit", () => {
  const decode = (deviceBytes: number | null): number =>
    plan({ deviceBytes }).phases.find((phase) => phase.name === "decode")?.deviceBytes ?? 0;

  expect(decode(6e9)).toBeLessThan(decode(null) / 2);
  expect(decode(80e9)).toBe(decode(null));
});

/** A card's memory and what of the transformer lies on it at 544x704. */
test.each([
  [4.5e9, 2, 4.5e9],
  [6e9, 4, 6e9],
  [8e9, 9, 8e9],
  [24e9, 47, 24e9],
  [141e9, 60, 27e9],
])(
  "with %p bytes of GPU memory %p blocks stay and the peak keeps within it",
  (vram, resident, peak) => {
    const input = {
      ...{ recipe: recipe({ backend: "cuda", vramBytes: vram }), model: published },
      ...{ picture: { height: 544, width: 704 }, textTokens: 64, rate: null },
      ...{ isCpu: false, deviceBytes: vram },
    } as const;

    const got = planJob(input);

    expect(planPlacement(input)?.resident).toBe(resident);
    expect(got.deviceBytesPeak + 600e6).toBeLessThanOrEqual(peak);
    expect(() => refuseUnfit(input, got)).not.toThrow();
  },
);

test("what streams is said, and that it comes from the disk where memory is short", () => {
  const got = plan({ recipe: recipe({ ramBytes: 12e9 }), deviceBytes: 6e9 });

  expect(got.warnings.join(" ")).toMatch(/\d+ of 60 blocks stay on the GPU; 1\d\.\d GB stream/);
  expect(got.warnings.join(" ")).toContain("every step reads them from the disk");
});

test("a job that cannot fit is refused with 3 and the nearest setting that fits", () => {
  const refused = (vram: number, change: Partial<Recipe> = {}): Failure => {
    const asked = recipe({ backend: "cuda", vramBytes: vram, ...change });
    const input: PlanInput = {
      ...{ recipe: asked, model: published, picture: { height: 544, width: 704 } },
      ...{ textTokens: 64, rate: null, isCpu: false, deviceBytes: vram },
    };
    try {
      refuseUnfit(input, planJob(input));
    } catch (error) {
      if (error instanceof Failure) return error;
    }
    throw new Error("it was not refused");
  };

  const untiled = refused(6e9, { spatialTiling: "off" });
  const small = refused(3.4e9);
  const tiny = refused(1e9);

  expect([untiled.code, small.code, tiny.code]).toEqual([3, 3, 3]);
  expect(untiled.hint).toMatch(/^--spatial-tiling on fits, with \d\.\d GB\.$/);
  expect(small.hint).toMatch(/^--spatial-tiling on --window \d fits/);
  expect(tiny.hint).toMatch(/--vram \d\.\dG is the least\.$/);
});

test("weights in a precision that this build lacks are refused, not computed as another", () => {
  expect(() => plan({ recipe: recipe({ precision: "fp8" }) })).toThrow(
    "This build cannot compute with fp8 weights.",
  );
});
