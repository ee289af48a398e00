// Which blocks stay on a card and which stream, at the sizes of the published transformer.

import { expect, test } from "bun:test";
import {
  allocated,
  passMs,
  placeBlocks,
  placeFirst,
  placeHost,
} from "../../../src/engine/weights/residency.ts";

const GB = 1e9;
/** 20 double blocks of 453 MB, 40 single ones of 226.5 MB, without modulation. */
const blocks = [
  ...Array.from({ length: 20 }, () => ({ bytes: 453e6, slotBytes: 453e6 })),
  ...Array.from({ length: 40 }, () => ({ bytes: 226.5e6, slotBytes: 226.5e6 })),
];
/** Activations, prepared vectors, the decoder and what sections share, at 544x704. */
const fixedBytes = 2.3 * GB;

test.each([
  // 2.3 fixed + 0.906 of slots leave room for 4 blocks.
  [5.2 * GB, 4, 2, 5.018 * GB],
  [7.2 * GB, 8, 2, 6.83 * GB],
  [23 * GB, 60, 0, 20.42 * GB],
  [140 * GB, 60, 0, 20.42 * GB],
])("with %p bytes %p blocks stay and %p slots stream the rest", (limit, resident, slots, bytes) => {
  const placement = placeBlocks(limit, { fixedBytes, blocks });

  expect(placement).toMatchObject({ resident, slots, fits: true });
  expect(placement.deviceBytes).toBeCloseTo(bytes, -3);
});

test("with nothing resident two slots of the largest block are all it takes", () => {
  const placement = placeFirst(0, { fixedBytes, blocks });

  expect(placement.deviceBytes).toBe(2.3 * GB + 906e6);
  expect(placement.streamedBytes).toBe(18.12 * GB);
});

test("slots shrink once all the large blocks stay", () => {
  const placement = placeFirst(20, { fixedBytes, blocks });

  expect(placement).toMatchObject({ slotBytes: 226.5e6, slots: 2 });
});

test("a card that is too small says so and keeps nothing", () => {
  expect(placeBlocks(3 * GB, { fixedBytes, blocks })).toMatchObject({ fits: false, resident: 0 });
});

test.each([
  [32 * GB, 18.12 * GB, 0],
  [16 * GB, 15.7 * GB, 18.12 * GB],
  [null, 18.12 * GB, 0],
])("with %p bytes of memory %p are kept and %p come from the disk", (ramBytes, cached, disk) => {
  const streamedBytes = 18.12 * GB;

  const host = placeHost({ streamedBytes, programBytes: 0.3 * GB, ramBytes });

  expect(host).toEqual({ cachedBytes: cached, diskBytes: disk });
});

test("a pass takes as long as the slowest of computing, the link and the disk", () => {
  const placement = placeFirst(0, { fixedBytes, blocks });
  const links = { device: 24 * GB, disk: 3 * GB };
  const cached = { cachedBytes: 18.12 * GB, diskBytes: 0 };
  const read = { cachedBytes: 0, diskBytes: 18.12 * GB };

  expect(passMs(3600, placement, cached, links)).toBe(3600);
  expect(passMs(300, placement, cached, links)).toBe(755);
  expect(passMs(3600, placement, read, links)).toBe(6040);
});

test("what one tensor takes is rounded as the library rounds", () => {
  expect([1, 64, 65, 16_385, 100_000, 453_120_000].map(allocated)).toEqual([
    64, 64, 128, 20_480, 102_400, 469_762_048,
  ]);
});
