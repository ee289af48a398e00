// The picture sizes a model was trained for, and the one that suits a given start picture.

import type { Picture } from "./picture.ts";
import { resize } from "./resize.ts";
import { roundHalfEven } from "./sampling/schedule.ts";

export type Bucket = Readonly<{ height: number; width: number }>;

/** The bucket nearest in shape. The measure is a cross product, and the last of equals wins. */
export const chooseBucket = (
  image: Readonly<{ height: number; width: number }>,
  buckets: readonly (readonly [height: number, width: number])[],
): Bucket => {
  let best: Bucket | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [height, width] of buckets) {
    const distance = Math.abs(image.height * width - image.width * height);
    if (distance > least) continue;
    least = distance;
    best = { height, width };
  }
  if (best === undefined) throw new RangeError("a model needs at least one picture size");
  return best;
};

export type Fit = Readonly<{ resized: Bucket; left: number; top: number }>;

/** How a picture is scaled to cover the bucket, and where the bucket is cut out of it. */
export const fit = (image: Readonly<{ height: number; width: number }>, bucket: Bucket): Fit => {
  const scale = Math.max(bucket.width / image.width, bucket.height / image.height);
  const resized = {
    height: roundHalfEven(image.height * scale),
    width: roundHalfEven(image.width * scale),
  };
  return {
    resized,
    left: roundHalfEven((resized.width - bucket.width) / 2),
    top: roundHalfEven((resized.height - bucket.height) / 2),
  };
};

/** The picture scaled (Lanczos) and cut to the bucket. Only the part that is kept is computed. */
export const cropToBucket = (image: Picture, bucket: Bucket): Picture => {
  if (image.width === bucket.width && image.height === bucket.height) return image;
  const { resized, left, top } = fit(image, bucket);
  return resize(image, resized, "lanczos", { left, top, ...bucket });
};
