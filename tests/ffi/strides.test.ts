import { expect, test } from "bun:test";
import { reshaped, rowMajor } from "../../src/ffi/strides.ts";

test("row-major strides count the elements of the dimensions inside", () => {
  expect(rowMajor([2, 3, 4])).toEqual([12, 4, 1]);
  expect(rowMajor([5])).toEqual([1]);
  expect(rowMajor([2, 0, 4])).toEqual([4, 4, 1]);
});

test("columns of a wider matrix split into heads without a copy", () => {
  expect(reshaped([7, 6], [18, 1], [7, 2, 3])).toEqual([18, 3, 1]);
});

test("dimensions without a gap between them merge, others do not", () => {
  expect(reshaped([2, 3, 4], [12, 4, 1], [6, 4])).toEqual([4, 1]);
  expect(reshaped([2, 3, 4], [24, 4, 1], [2, 12])).toEqual([24, 1]);
  expect(reshaped([2, 3, 4], [24, 4, 1], [6, 4])).toBeUndefined();
  expect(reshaped([3, 2], [1, 3], [6])).toBeUndefined();
});

test("dimensions of 1 come and go anywhere", () => {
  expect(reshaped([4, 6], [6, 1], [1, 4, 1, 6, 1])).toHaveLength(5);
  expect(reshaped([1, 4, 1, 6], [24, 6, 6, 1], [24])).toEqual([1]);
  expect(reshaped([3, 1, 2], [1, 9, 3], [3, 2])).toEqual([1, 3]);
});
