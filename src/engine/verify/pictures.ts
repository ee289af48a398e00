// Cases of picture handling: buckets, resize and crop, the vision encoder's input, latent preview.

import { existsSync } from "node:fs";
import { z } from "zod";
import * as ops from "../../ffi/ops.ts";
import { Tensor } from "../../ffi/tensor.ts";
import { chooseBucket, cropToBucket, fit } from "../buckets.ts";
import { publishedSettings } from "../config/framepack-json.ts";
import { normalised, squeezed } from "../models/siglip-pixels.ts";
import { type Picture, picture } from "../picture.ts";
import { resize } from "../resize.ts";
import type { Limit } from "./case.ts";
import type { Judge } from "./measure.ts";
import type { CaseKind, CaseRun } from "./runner.ts";
import type { ReferenceFile } from "./tensors.ts";

const pixel = z.int().nonnegative();
const caseSchema = z.object({
  siglip_image_size: z.int().positive().optional(),
  crops: z.array(
    z.object({
      key: z.string(),
      crop_left: pixel,
      crop_top: pixel,
      resized_h: pixel,
      resized_w: pixel,
      target_h: pixel,
      target_w: pixel,
    }),
  ),
});
const bucketsSchema = z.array(z.object({ h: pixel, w: pixel, bucket_h: pixel, bucket_w: pixel }));

const run = async ({ case: of, judge }: CaseRun): Promise<void> => {
  const { crops, siglip_image_size: side } = caseSchema.parse(of.raw);
  const inputs = of.inputs();
  const outputs = of.outputs();
  if (existsSync(of.path("buckets.json"))) compareBuckets(of.json("buckets.json"), judge);
  for (const crop of crops) compareCrop(crop, inputs, outputs, judge);
  if (side !== undefined && inputs.has("siglip.image")) compareVision(side, inputs, outputs, judge);
  if (inputs.has("preview.latents")) comparePreview(inputs, outputs, judge);
};

export const pictures: CaseKind = { dtypes: ["f32"], perVariant: false, run };

const compareBuckets = (raw: unknown, judge: Judge): void => {
  const wrong = bucketsSchema.parse(raw).filter(({ h, w, bucket_h, bucket_w }) => {
    const { height, width } = chooseBucket({ height: h, width: w }, publishedSettings.buckets);
    return height !== bucket_h || width !== bucket_w;
  });
  judge.equal("buckets", wrong.length);
};

type Crop = z.output<typeof caseSchema>["crops"][number];

const compareCrop = (
  crop: Crop,
  inputs: ReferenceFile,
  outputs: ReferenceFile,
  judge: Judge,
): void => {
  const image = pictureOf(inputs, `${crop.key}.image`);
  const bucket = { height: crop.target_h, width: crop.target_w };
  const { resized, left, top } = fit(image, bucket);
  judge.whole(
    `${crop.key} place`,
    [resized.height, resized.width, left, top],
    [crop.resized_h, crop.resized_w, crop.crop_left, crop.crop_top],
  );
  const got = {
    resized: resize(image, resized, "lanczos").rgb,
    cropped: cropToBucket(image, bucket).rgb,
  };
  for (const [name, rgb] of Object.entries(got)) {
    const want = outputs.find(`${crop.key}.${name}`);
    if (want !== undefined) judge.whole(`${crop.key}.${name}`, rgb, want.data);
  }
};

/** What every published preprocessor of this encoder says. */
const range: Parameters<typeof normalised>[1] = {
  rescale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

const compareVision = (
  side: number,
  inputs: ReferenceFile,
  outputs: ReferenceFile,
  judge: Judge,
): void => {
  const image = pictureOf(inputs, "siglip.image");
  const square = squeezed(image, { height: side, width: side });
  const resized = outputs.find("siglip.resized");
  if (resized !== undefined) judge.whole("siglip.resized", square.rgb, resized.data);
  const want = outputs.find("siglip.pixel_values");
  if (want !== undefined)
    judge.compare("siglip.pixel_values", normalised(square, range), want.data);
};

/** What cutting a colour to a byte takes away at most. */
const byteStep: Limit = { metric: "max_abs", value: 1 / 255 + 1e-6 };

const comparePreview = (inputs: ReferenceFile, outputs: ReferenceFile, judge: Judge): void => {
  using scratch = ops.scope();
  const { factors, bias } = publishedSettings.latentRgb;
  const latents = inputs.tensor("preview.latents");
  const matrix = Tensor.from(Float32Array.from(factors.flat()), [factors.length, 3]);
  const offset = Tensor.from(Float32Array.from(bias), [3]);
  const rgb = ops.latentRgb(latents, matrix, offset); // [T, h, w, 3]
  const [frames = 0, rows = 0, columns = 0] = rgb.dims;
  const bytes = rgb.u8();
  const planes = Float32Array.from({ length: bytes.length }, (_, i) => {
    const pixels = bytes.length / 3;
    return (bytes[(i % pixels) * 3 + Math.floor(i / pixels)] ?? 0) / 255;
  });
  const exact = outputs.find("preview.rgb"); // [3, T, h, w], not cut to bytes
  if (exact !== undefined) judge.compare("preview.rgb", planes, exact.data, byteStep);
  const want = outputs.find("preview.uint8"); // frames side by side
  if (want === undefined) return;
  const wide = new Uint8Array(bytes.length);
  for (let t = 0; t < frames; t++) {
    for (let y = 0; y < rows; y++) {
      const from = (t * rows + y) * columns * 3;
      wide.set(bytes.subarray(from, from + columns * 3), (y * frames + t) * columns * 3);
    }
  }
  // One off where a value lies on the edge between two bytes.
  judge.whole("preview.uint8", wide, want.data, 1);
};

const pictureOf = (file: ReferenceFile, name: string): Picture => {
  const { dims, data } = file.get(name);
  const [height = 0, width = 0] = dims;
  return picture(width, height, Uint8Array.from(data));
};
