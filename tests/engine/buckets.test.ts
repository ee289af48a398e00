import { expect, test } from "bun:test";
import { chooseBucket, fit } from "../../src/engine/buckets.ts";
import { publishedSettings } from "../../src/engine/config/framepack-json.ts";
import { goldenJson } from "../support/golden.ts";

const cases = goldenJson("image/buckets.json") as {
  h: number;
  w: number;
  bucket_h: number;
  bucket_w: number;
}[];

test.each(cases)("a picture of $w × $h takes the bucket $bucket_w × $bucket_h", (want) => {
  const got = chooseBucket({ height: want.h, width: want.w }, publishedSettings.buckets);

  expect(got).toEqual({ height: want.bucket_h, width: want.bucket_w });
});

test("of equally good buckets the last wins", () => {
  const got = chooseBucket({ height: 10, width: 10 }, [
    [32, 32],
    [48, 48],
  ]);

  expect(got).toEqual({ height: 48, width: 48 });
});

test.each([
  [1080, 1920, 853, 480, 10, 0],
  [300, 1000, 1387, 416, 214, 0],
  [1200, 800, 512, 768, 0, 0],
])(
  "a picture %p high and %p wide is scaled to %p × %p and cut at (%p, %p)",
  (h, w, rw, rh, left, top) => {
    const bucket = chooseBucket({ height: h, width: w }, publishedSettings.buckets);

    expect(fit({ height: h, width: w }, bucket)).toEqual({
      resized: { height: rh, width: rw },
      left,
      top,
    });
  },
);
