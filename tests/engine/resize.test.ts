import { expect, test } from "bun:test";
import { cropToBucket, fit } from "../../src/engine/buckets.ts";
import { type Picture, picture } from "../../src/engine/picture.ts";
import { resize } from "../../src/engine/resize.ts";
import { Golden, goldenJson } from "../support/golden.ts";

const inputs = new Golden("image/inputs.safetensors");
const outputs = new Golden("image/outputs.safetensors");
const { crops, siglip_image_size: siglipSize } = goldenJson("image/case.json") as {
  siglip_image_size: number;
  crops: {
    key: string;
    crop_left: number;
    crop_top: number;
    resized_h: number;
    resized_w: number;
    target_h: number;
    target_w: number;
  }[];
};
const stored = (golden: Golden, name: string): Picture => {
  const [height = 0, width = 0] = golden.get(name).dims;
  return picture(width, height, golden.u8(name));
};

test.each(crops)("$key: the resized picture is the known one, byte for byte", (want) => {
  const image = stored(inputs, `${want.key}.image`);

  const got = resize(image, { height: want.resized_h, width: want.resized_w }, "lanczos");

  expect(got).toEqual(stored(outputs, `${want.key}.resized`));
});

test.each(crops)("$key: size, offsets and pixels of the crop are the known ones", (want) => {
  const image = stored(inputs, `${want.key}.image`);
  const bucket = { height: want.target_h, width: want.target_w };

  expect(fit(image, bucket)).toEqual({
    resized: { height: want.resized_h, width: want.resized_w },
    left: want.crop_left,
    top: want.crop_top,
  });
  expect(cropToBucket(image, bucket)).toEqual(stored(outputs, `${want.key}.cropped`));
});

test("the vision encoder's square is the known bicubic one, byte for byte", () => {
  const image = stored(inputs, "siglip.image");

  const got = resize(image, { height: siglipSize, width: siglipSize }, "bicubic");

  expect(got).toEqual(stored(outputs, "siglip.resized"));
});

test("a window of the scaled picture equals that part of the whole", () => {
  const image = stored(inputs, "down.image");
  const whole = resize(image, { height: 53, width: 72 }, "lanczos");

  const part = resize(image, { height: 53, width: 72 }, "lanczos", {
    left: 10,
    top: 7,
    width: 20,
    height: 30,
  });

  for (let y = 0; y < 30; y++) {
    const at = ((y + 7) * 72 + 10) * 3;
    expect(part.rgb.subarray(y * 60, y * 60 + 60)).toEqual(whole.rgb.subarray(at, at + 60));
  }
});

test.each([
  [1, 1],
  [1, 30_000],
  [30_000, 1],
])("a picture of %p × %p still fills a bucket", (width, height) => {
  const image = picture(width, height, new Uint8Array(width * height * 3).fill(77));

  const got = cropToBucket(image, { height: 64, width: 48 });

  expect(got).toMatchObject({ width: 48, height: 64 });
  expect(got.rgb.every((v) => v === 77)).toBe(true);
});
