import { expect, test } from "bun:test";
import { History, type Latents } from "../../../src/engine/sections/history.ts";
import type { Order } from "../../../src/engine/sections/order.ts";

const size = { channels: 2, height: 1, width: 2 };
const start = new Float32Array(4).fill(100);

/** Latents whose every value is the frame's number. */
const numbered = (from: number, n: number): Latents => {
  const data = new Float32Array(2 * n * 2);
  for (let c = 0; c < 2; c++) {
    for (let t = 0; t < n; t++) data.fill(from + t, (c * n + t) * 2, (c * n + t + 1) * 2);
  }
  return { data, frames: n };
};

/** The number of each frame, read from both channels. */
const numbers = ({ data, frames }: Latents): number[] => {
  const first = Array.from({ length: frames }, (_, t) => data[t * 2] ?? Number.NaN);
  const second = Array.from({ length: frames }, (_, t) => data[(frames + t) * 2 + 1] ?? Number.NaN);
  expect(second).toEqual(first);
  return first;
};

const seen = (order: Order, sections: number, w = 9): Record<string, number[]> => {
  const history = new History(order, size, start, 2 * w + 1);
  for (let k = 0; k < sections; k++) {
    const from = order === "f1" ? 1 + k * w : 1 + (10 - k) * w;
    history.add(numbered(from, w), false);
  }
  const { clean, clean2x, clean4x } = history.context();
  return { clean: numbers(clean), clean2x: numbers(clean2x), clean4x: numbers(clean4x) };
};

const zeros = (n: number): number[] => Array<number>(n).fill(0);
const run = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);

test("the inverted order's first section sees the start and zeros", () => {
  expect(seen("inverted", 0)).toEqual({ clean: [100, 0], clean2x: zeros(2), clean4x: zeros(16) });
});

test("the inverted order's second section sees the first behind its window, then zeros", () => {
  expect(seen("inverted", 1)).toEqual({
    clean: [100, 91],
    clean2x: [92, 93],
    clean4x: [...run(94, 6), ...zeros(10)],
  });
});

test("the inverted order's fourth section sees no zeros any more", () => {
  expect(seen("inverted", 3)).toEqual({
    clean: [100, 73],
    clean2x: [74, 75],
    clean4x: run(76, 16),
  });
});

test("the forward order's first section sees the start twice", () => {
  expect(seen("f1", 0)).toEqual({ clean: [100, 100], clean2x: zeros(2), clean4x: zeros(16) });
});

test("the forward order's second section sees nine zeros, the start and the first", () => {
  expect(seen("f1", 1)).toEqual({
    clean: [100, 9],
    clean2x: [7, 8],
    clean4x: [...zeros(9), 100, ...run(1, 6)],
  });
});

test("the inverted order's last section brings the start latent into the video", () => {
  const history = new History("inverted", size, start, 19);
  history.add(numbered(10, 9), false);
  history.add(numbered(1, 9), true);

  expect(history.total).toBe(19);
  expect(numbers(history.newest(19))).toEqual([100, ...run(1, 18)]);
});

test("latents that nothing needs any more are dropped", () => {
  const history = new History("f1", size, start, 19);
  for (let k = 0; k < 40; k++) history.add(numbered(1 + k * 9, 9), false);

  expect(history.held().frames).toBe(19);
  expect(history.total).toBe(361);
  expect(() => history.newest(20)).toThrow("holds 19");
});

test("a restored history shows the next section the same context", () => {
  const history = new History("inverted", size, start, 19);
  history.add(numbered(10, 9), false);
  const other = new History("inverted", size, start, 19);

  other.restore(history.held());

  expect(other.context()).toEqual(history.context());
  expect(other.total).toBe(9);
});
