// Counting what other tools report, above all when they fail.

import { expect, test } from "bun:test";
import { countsOfJunit, countsOfZig, sumOf } from "../../src/cli/test-counts.ts";

test("the summary of the kernel tests is read with and without failures", () => {
  const good = "Build Summary: 4/4 steps succeeded; 73/73 tests passed\n";
  const bad =
    "Build Summary: 3/5 steps succeeded (1 failed); 70/74 tests passed (2 skipped, 2 failed)";

  expect(countsOfZig(good, 0, false)).toEqual({ passed: 73, failed: 0, skipped: 0 });
  expect(countsOfZig(bad, 1, false)).toEqual({ passed: 70, failed: 2, skipped: 2 });
});

test("crashed tests are failures", () => {
  const text = "Build Summary: 3/5 steps succeeded; 7/9 tests passed (1 crashed, 1 timed out)";

  expect(countsOfZig(text, 1, false).failed).toBe(2);
});

test("kernels that do not compile are one failure", () => {
  expect(countsOfZig("error: expected ;", 1, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("a report of unit tests is read", () => {
  const xml =
    '<?xml?>\n<testsuites name="bun test" tests="9" assertions="3" failures="1" skipped="2">';

  expect(countsOfJunit(xml, 1, false)).toEqual({ passed: 6, failed: 1, skipped: 2 });
});

test("a runner that crashed after good tests is a failure", () => {
  expect(countsOfJunit('<testsuites tests="9" failures="0">', 139, false).failed).toBe(1);
  expect(countsOfJunit("", 139, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("no tests at all fail, unless a filter was given", () => {
  expect(countsOfJunit("", 0, false).failed).toBe(1);
  expect(countsOfJunit("", 1, true).failed).toBe(0);
});

test("sums are sums", () => {
  const one = { passed: 1, failed: 2, skipped: 3 };

  expect(sumOf([one, one])).toEqual({ passed: 2, failed: 4, skipped: 6 });
});
