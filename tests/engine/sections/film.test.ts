import { beforeAll, expect, test } from "bun:test";
import { GrowingFilm, softAppend } from "../../../src/engine/sections/film.ts";
import { memory, openLibrary } from "../../../src/ffi/library.ts";
import { Tensor } from "../../../src/ffi/tensor.ts";
import { Golden, maxAbs } from "../../support/golden.ts";

beforeAll(() => {
  openLibrary({ backend: "cpu", threads: 1 });
});

const inputs = new Golden("section-plan/inputs.safetensors");
const outputs = new Golden("section-plan/outputs.safetensors");

/** [1, 3, T, H, W] of the file as frames [T, H, W, 3]. */
const frames = (name: string): Tensor => {
  const { data, dims } = inputs.get(name);
  using planes = Tensor.from(data as Float32Array, dims.slice(1));
  using turned = planes.permute([1, 2, 3, 0]);
  return turned.contiguous();
};

test.each([
  ["soft.0", 5],
  ["soft.1", 5],
  ["soft.2", 1],
  ["soft.3", 0],
])("%s, overlap %p: the joined clip is the known one", (key, overlap) => {
  using history = frames(`${key}.history`);
  using current = frames(`${key}.current`);

  using joined = softAppend(history, current, overlap);

  using planes = joined.permute([3, 0, 1, 2]);
  expect(maxAbs(planes.f32(), outputs.f32(`${key}.o${overlap}`))).toBeLessThanOrEqual(1e-6);
});

test("clips shorter than the overlap are refused", () => {
  using short = Tensor.zeros([2, 1, 1, 3], "f32");
  using long = Tensor.zeros([9, 1, 1, 3], "f32");

  expect(() => softAppend(long, short, 5)).toThrow("cannot share 5");
});

/** A clip whose frames show their number, −1 … 1 in steps of 1/127.5. */
const clip = (numbers: readonly number[]): Tensor =>
  Tensor.from(
    Float32Array.from(numbers.flatMap((n) => Array<number>(3).fill((n + 0.5) / 127.5 - 1))),
    [numbers.length, 1, 1, 3],
  );
const run = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);
const shown = (rgb: Uint8Array): number[] => [...rgb].filter((_, i) => i % 3 === 0);

test("in the inverted order every frame is final once, from the end to the start", () => {
  using film = new GrowingFilm("inverted", 5); // window 2

  const made = [
    { from: 20, n: 5 },
    { from: 12, n: 13 },
    { from: 0, n: 17 },
  ].map(({ from, n }, i) => {
    using part = clip(run(from, n));
    return film.grow(part, i === 2);
  });

  expect(made.map(({ joined }) => shown(joined.rgb))).toEqual([[], run(17, 8), run(0, 17)]);
  expect(made.map(({ open }) => shown(open.rgb))).toEqual([run(20, 5), run(12, 5), []]);
});

test("in the forward order every frame is final once, from the start to the end", () => {
  using film = new GrowingFilm("f1", 5);

  const made = [
    { from: 0, n: 9 },
    { from: 4, n: 13 },
    { from: 12, n: 13 },
  ].map(({ from, n }, i) => {
    using part = clip(run(from, n));
    return film.grow(part, i === 2);
  });

  expect(made.map(({ joined }) => shown(joined.rgb))).toEqual([run(0, 4), run(4, 8), run(12, 13)]);
  expect(made.map(({ open }) => shown(open.rgb))).toEqual([run(4, 5), run(12, 5), []]);
});

test("a film frees the pixels it kept", () => {
  const before = memory().tensors;
  {
    using film = new GrowingFilm("f1", 5);
    using part = clip(run(0, 9));
    film.grow(part, false);
  }

  expect(memory().tensors).toBe(before);
});
