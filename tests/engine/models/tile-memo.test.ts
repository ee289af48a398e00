import { expect, setDefaultTimeout, test } from "bun:test";
import { loadVae } from "../../../src/engine/models/load.ts";
import { TileMemo } from "../../../src/engine/models/tile-memo.ts";
import { joinFrames, type Vae } from "../../../src/engine/models/vae.ts";
import { NoiseGenerator } from "../../../src/engine/sampling/noise.ts";
import { openLibrary } from "../../../src/ffi/library.ts";
import { tensorMapper } from "../../../src/ffi/mapped-file.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import type { FloatDtype } from "../../../src/ffi/types.ts";
import { goldenFolder } from "../../support/golden.ts";

setDefaultTimeout(60_000); // a busy machine takes its time

openLibrary({ backend: "cpu", threads: 2 });

const open = (dtype: FloatDtype) =>
  loadVae(`${goldenFolder}vae-tiled`, { dtype, mapper: tensorMapper, upload: false });

/** Latents of a whole video, [16, 18, 3, 2]. */
const video = (): Tensor => Tensor.from(new NoiseGenerator(7).normals(16 * 18 * 6), [16, 18, 3, 2]);

/** Decodes the latents [from, to) of the video; with a memo they are known by their place. */
const decode = async (vae: Vae, from: number, to: number, memo?: TileMemo): Promise<Uint8Array> => {
  using all = video();
  using part = all.slice(1, from, to);
  using latents = part.contiguous();
  const frameIds = Array.from({ length: to - from }, (_, i) => String(from + i));
  const frames: Tensor[] = [];
  for await (const chunk of vae.decode(latents, { memo, frameIds })) frames.push(chunk);
  using clip = joinFrames(frames);
  for (const chunk of frames) chunk[Symbol.dispose]();
  return clip.bytes();
};

test.each(["f32", "bf16", "f16"] as const)(
  "a remembered tile gives the same bits in %s",
  async (dtype) => {
    using loaded = open(dtype);
    using memo = new TileMemo(1e9);
    const plain = await decode(loaded.network, 0, 18);

    await decode(loaded.network, 9, 18, memo); // the section made first, later in the video
    const again = await decode(loaded.network, 0, 18, memo);

    expect(memo.hits).toBe(3);
    expect(again).toEqual(plain);
  },
);

test("a memo without room forgets the oldest tiles and still gives the same bits", async () => {
  using loaded = open("f32");
  using memo = new TileMemo(17 * 24 * 16 * 3 * 4); // one tile of five latents
  const plain = await decode(loaded.network, 0, 18);

  await decode(loaded.network, 0, 18, memo);
  const again = await decode(loaded.network, 0, 18, memo);

  expect(memo.bytes).toBeLessThanOrEqual(17 * 24 * 16 * 3 * 4);
  expect(again).toEqual(plain);
});

test("progress counts every block of every tile, remembered ones at once", async () => {
  using loaded = open("f32");
  using memo = new TileMemo(1e9);
  using all = video();
  const frameIds = Array.from({ length: 18 }, (_, i) => String(i));
  const seen: number[] = [];
  const breathe = ({ done, total }: Readonly<{ done: number; total: number }>): void => {
    seen.push(done / total);
  };

  await decode(loaded.network, 0, 9, memo);
  for await (const chunk of loaded.network.decode(all, { breathe, memo, frameIds })) {
    chunk[Symbol.dispose]();
  }

  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen[0]).toBeGreaterThan(2 / 6); // two of six tiles were remembered
  expect(seen.at(-1)).toBe(1);
});

test("blending does not reach what is remembered", async () => {
  using loaded = open("f32");
  using memo = new TileMemo(1e9);
  const first = await decode(loaded.network, 0, 9, memo);

  const second = await decode(loaded.network, 0, 9, memo);

  expect(second).toEqual(first);
});
