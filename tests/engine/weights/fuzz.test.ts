// Ten thousand broken headers: each is read or refused with a sentence, never anything else.

import { expect, test } from "bun:test";
import { Failure } from "../../../src/engine/failure.ts";
import { readSafetensors } from "../../../src/engine/weights/safetensors.ts";
import { ScratchFolder } from "../../support/scratch-folder.ts";

/** A small generator with a fixed seed (xorshift), so that a failure can be repeated. */
const randomFrom = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

const header =
  '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},' +
  '"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}';

const pieces = ["{", "}", "[", "]", '"', ",", ":", "\\", "0", "-", "e9", "null", '"a"', "\u0000"];

test("no change of a few characters makes the reader do anything but read or refuse", () => {
  using folder = new ScratchFolder();
  const random = randomFrom(31337);
  let refused = 0;
  for (let round = 0; round < 10_000; round++) {
    let text = header;
    for (let i = random(3); i >= 0; i--) {
      const at = random(text.length);
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? "") + text.slice(at + random(3));
    }
    const bytes = new TextEncoder().encode(text);
    const file = new Uint8Array(8 + bytes.length + 32);
    const length = random(8) === 0 ? random(400) : bytes.length;
    new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
    file.set(bytes, 8);
    const path = folder.write("w.safetensors", file);

    try {
      for (const { from, bytes: size } of readSafetensors(path).tensors.values()) {
        expect(from + size).toBeLessThanOrEqual(file.length);
      }
    } catch (error) {
      if (!(error instanceof Failure))
        throw new Error(`on ${JSON.stringify(text)}`, { cause: error });
      refused++;
    }
  }

  expect(refused).toBeGreaterThan(5_000);
});
