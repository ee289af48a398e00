import { expect, test } from "bun:test";
import { halvesTable, ropeTable } from "../../../src/engine/models/rope-table.ts";

const grid = { axes: [4, 6, 6], theta: 256, rows: 5, columns: 7 };

/** cos and sin of one token, as pairs of one value each. */
const row = (table: Float32Array, token: number): { cos: number[]; sin: number[] } => {
  const values = [...table.subarray(token * 32, (token + 1) * 32)];
  return { cos: values.slice(0, 16), sin: values.slice(16) };
};

test("a row holds time, row and column angles, each twice, cosines before sines", () => {
  const { cos, sin } = row(ropeTable(grid, [4]), 1 * 7 + 2); // frame 4, row 1, column 2

  // Frequencies 256^(-2k/4) = 1, 1/16; 256^(-2k/6) = 1, 0.157490, 0.024803.
  const angles = [4, 4 / 16, 1, 0.1574901, 0.0248031, 2, 0.3149803, 0.0496063];
  angles.forEach((angle, i) => {
    for (const at of [2 * i, 2 * i + 1]) {
      expect(cos[at]).toBeCloseTo(Math.cos(angle), 5);
      expect(sin[at]).toBeCloseTo(Math.sin(angle), 5);
    }
  });
});

test("pooled rows average cosines and sines of the padded grid", () => {
  const table = ropeTable(grid, [4, 5], 2);
  const { cos, sin } = row(table, 2 * 4 + 3); // last row and column: both repeated at the edge

  expect(table.length).toBe(1 * 3 * 4 * 32);
  expect(cos[0]).toBeCloseTo((Math.cos(4) + Math.cos(5)) / 2, 6);
  expect(cos[4]).toBeCloseTo(Math.cos(4), 6); // rows 4 and, repeated, 4
  expect(sin[10]).toBeCloseTo(Math.sin(6), 6); // columns 6 and, repeated, 6
});

test("pooled rows are shorter than unit length", () => {
  const { cos, sin } = row(ropeTable(grid, [1, 2, 3, 4], 4), 0);

  expect(Math.hypot(cos[0] ?? 0, sin[0] ?? 0)).toBeLessThan(0.8);
});

test("the half-split table repeats its angles in both halves", () => {
  const table = halvesTable(4, 8, 10_000);
  const third = [...table.subarray(3 * 16, 4 * 16)];

  expect(third.slice(0, 4)).toEqual(third.slice(4, 8));
  expect(third[1]).toBeCloseTo(Math.cos(0.3), 6);
  expect(third[9]).toBeCloseTo(Math.sin(0.3), 6);
});

test("frequencies rounded to float16 move the angles of far positions", () => {
  const exact = halvesTable(351, 128, 500_000);
  const rounded = halvesTable(351, 128, 500_000, Math.f16round);
  const at = 350 * 256 + 1; // position 350, second frequency

  const moved = Math.acos(exact[at] ?? 0) - Math.acos(rounded[at] ?? 0);

  expect(Math.abs(moved)).toBeCloseTo(0.057, 3);
});
