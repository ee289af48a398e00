import { expect, test } from "bun:test";
import {
  frameCount,
  paddings,
  positions,
  sectionCount,
  sectionSpans,
} from "../../../src/engine/sections/order.ts";
import { goldenJson } from "../../support/golden.ts";

const golden = goldenJson("section-plan/plan.json") as {
  plans: {
    latent_paddings: number[];
    latent_window_size: number;
    total_latent_sections: number;
    total_second_length: number;
  }[];
  indices: {
    mode: "inverted" | "f1";
    latent_window_size: number;
    latent_padding: number | null;
    latent_indices: number[];
    clean_latent_indices: number[];
    clean_latent_2x_indices: number[];
    clean_latent_4x_indices: number[];
  }[];
};

test.each(golden.plans)(
  "$total_second_length s in windows of $latent_window_size take $total_latent_sections sections",
  (want) => {
    const sections = sectionCount(want.total_second_length, want.latent_window_size);

    expect(sections).toBe(want.total_latent_sections);
    expect([...paddings(sections)]).toEqual(want.latent_paddings);
  },
);

test.each(golden.indices)("$mode order, padding $latent_padding: known positions", (want) => {
  const got = positions(want.mode, want.latent_window_size, want.latent_padding ?? 0);

  expect(got as unknown).toEqual({
    window: want.latent_indices,
    clean: want.clean_latent_indices,
    clean2x: want.clean_latent_2x_indices,
    clean4x: want.clean_latent_4x_indices,
  });
});

test.each([
  [3, 2, 73],
  [4.2, 4, 145],
  [5, 4, 145],
  [5.4, 4, 145],
  [1.8, 2, 73],
  [120, 100, 3601],
])("%p seconds are %p sections and %p frames", (seconds, sections, frames) => {
  expect(sectionCount(seconds, 9)).toBe(sections);
  expect(frameCount(sections, 9)).toBe(frames);
});

test("in the inverted order final frames grow from the end to the start", () => {
  const spans = sectionSpans("inverted", 3, 9);

  expect(spans.map((s) => s.final)).toEqual([
    { from: 109, to: 109 },
    { from: 73, to: 109 },
    { from: 0, to: 73 },
  ]);
  expect(spans.map((s) => s.open)).toEqual([
    { from: 76, to: 109 },
    { from: 40, to: 73 },
    { from: 0, to: 0 },
  ]);
  expect(spans.map((s) => s.decoded)).toEqual([
    { from: 19, to: 28 },
    { from: 10, to: 28 },
    { from: 0, to: 19 },
  ]);
});

test("in the forward order final frames grow from the start to the end", () => {
  const spans = sectionSpans("f1", 3, 9);

  expect(spans.map((s) => s.final)).toEqual([
    { from: 0, to: 4 },
    { from: 4, to: 40 },
    { from: 40, to: 109 },
  ]);
  expect(spans.map((s) => s.open)).toEqual([
    { from: 4, to: 37 },
    { from: 40, to: 73 },
    { from: 109, to: 109 },
  ]);
  expect(spans.map((s) => s.decoded)).toEqual([
    { from: 0, to: 10 },
    { from: 1, to: 19 },
    { from: 10, to: 28 },
  ]);
});

test.each(["inverted", "f1"] as const)("one section is final at once in the %s order", (order) => {
  const [only] = sectionSpans(order, 1, 9);

  expect(only).toMatchObject({
    last: true,
    decoded: { from: 0, to: 10 },
    final: { from: 0, to: 37 },
  });
});

test.each([
  ["inverted", 9, 7],
  ["f1", 9, 7],
  ["inverted", 2, 5],
  ["f1", 1, 4],
  ["inverted", 1, 4],
] as const)("%s, window %p, %p sections: every frame is final exactly once", (order, window, n) => {
  const spans = sectionSpans(order, n, window);

  const seen = new Uint8Array(frameCount(n, window));
  for (const { final } of spans) {
    for (let i = final.from; i < final.to; i++) seen[i] = (seen[i] ?? 0) + 1;
  }

  expect(seen.every((times) => times === 1)).toBe(true);
});
