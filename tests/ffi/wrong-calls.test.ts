// Ten thousand seeded wrong calls: whatever arrives, the library answers with a status and a text,
// keeps its other tensors as they were, and works on.

import { expect, test } from "bun:test";
import * as library from "../../src/ffi/library.ts";
import { fp, KernelError } from "../../src/ffi/library.ts";
import * as ops from "../../src/ffi/ops.ts";
import { symbols } from "../../src/ffi/symbols.gen.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import type { Dtype } from "../../src/ffi/types.ts";
import { withLibrary } from "./open.ts";

withLibrary(64 << 20);

type Name = keyof typeof symbols;
type Random = () => number;

/** A small seeded generator: numbers in [0, 1). */
const seeded = (seed: number): Random => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
};
const pick = <T>(random: Random, list: readonly T[]): T =>
  list[Math.floor(random() * list.length)] as T;

const dtypes: readonly Dtype[] = ["f32", "bf16", "f16", "i32", "u8"];
const sizes = [0, 1, 1, 2, 3, 4, 5, 8, 16, 17];
const hugeSizes = [2 ** 16, 2 ** 31, 2 ** 32 - 1];

const someDims = (random: Random, list: readonly number[] = sizes): number[] =>
  Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(random, list));

/** Live tensors of every kind: whole, sliced, permuted, broadcast; and handles that died. */
const zoo = (random: Random): { alive: Tensor[]; dead: number[] } => {
  const alive: Tensor[] = [];
  for (let i = 0; i < 120; i++) {
    const whole = Tensor.zeros(someDims(random), pick(random, dtypes));
    alive.push(whole, whole.permute(whole.dims.map((_, axis) => axis).reverse()));
    const axis = Math.floor(random() * whole.dims.length);
    const size = whole.dims[axis] ?? 0;
    const from = Math.floor(random() * size);
    alive.push(whole.slice(axis, from, from + Math.floor(random() * (size - from + 1))));
    if (whole.count > 0) alive.push(whole.view(0, [Math.min(whole.count, 4), 1], [0, 1]));
  }
  const dead = alive.splice(0, 60).map((tensor) => {
    tensor[Symbol.dispose]();
    return tensor.handle;
  });
  return { alive, dead };
};

// What is left out ends or reshapes the library itself, or takes memory of the caller's word.
const leftOut: readonly Name[] = ["fp_shutdown", "fp_set_threads", "fp_set_budget", "fp_cancel"];
const names = (Object.keys(symbols) as Name[]).filter((name) => !leftOut.includes(name));

/** More than any call reads or writes through a pointer with the counts that are thrown here. */
const junk = new Uint8Array(1 << 16);
const small = [0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 1000, 2 ** 31, 2 ** 32 - 1];
const floats = [0, 1, -1, 1e-6, 0.5, 1e30, Number.NaN, Number.POSITIVE_INFINITY];

const argument = (random: Random, type: string, handles: readonly number[]): unknown => {
  switch (type) {
    case "u32":
      if (random() < 0.75) return pick(random, handles);
      return random() < 0.8 ? pick(random, small) : Math.floor(random() * 2 ** 32);
    case "u64":
      return pick(random, [0, 1, 2, 4, 16, 64, 2 ** 40, 2 ** 52]);
    case "ptr":
      return random() < 0.1 ? null : junk;
    default:
      return pick(random, floats);
  }
};

const fillJunk = (random: Random, handles: readonly number[]): void => {
  const words = new Uint32Array(junk.buffer, 0, 16);
  for (let i = 0; i < words.length; i++) {
    words[i] = random() < 0.4 ? pick(random, handles) : pick(random, small);
  }
};

/** Arguments that would let the library touch more than `junk` holds, or end the test's tensors. */
const isTooWild = (name: Name, args: readonly unknown[], sentinel: number): boolean => {
  if (name === "fp_init") return args[1] === 0;
  const touched = ["fp_tensor_free", "fp_upload", "fp_fill", "fp_copy"] as const;
  if (touched.some((n) => n === name) && args[0] === sentinel) return true;
  const lengths = ["fp_error", "fp_info", "fp_symbols", "fp_file_map"] as const;
  return lengths.some((n) => n === name) && Number(args[1]) > junk.length;
};

test("10,000 wrong calls end in statuses with a text, and harm nothing", () => {
  const random = seeded(20_240_607);
  using sentinel = Tensor.from(
    Float32Array.from({ length: 4096 }, (_, i) => i),
    [4096],
  );
  const { alive, dead } = zoo(random);
  const handles = [...alive.map((x) => x.handle), ...dead];
  const seen = new Map<number, number>();

  for (let i = 0; i < 10_000; i++) {
    const name = pick(random, names);
    const args = symbols[name].args.map((type) => argument(random, type, handles));
    fillJunk(random, handles);
    if (isTooWild(name, args, sentinel.handle)) continue;
    const status = (fp[name] as (...all: unknown[]) => number)(...args);
    if (symbols[name].returns !== "u32" || /info|error|symbols|version/.test(name)) continue;
    seen.set(status, (seen.get(status) ?? 0) + 1);
    expect(status).toBeLessThan(12);
    if (status !== 0) expect(library.kernelError(name, status).detail).not.toBe("");
  }

  expect([...seen.keys()].sort((a, b) => a - b)).toEqual(expect.arrayContaining([0, 1, 2, 3, 4]));
  expect([...sentinel.f32()]).toEqual(Array.from({ length: 4096 }, (_, i) => i));
  using sum = ops.add(sentinel, sentinel);
  expect(sum.f32()[4095]).toBe(8190);
});

test("typed calls with wrong tensors, sizes and numbers throw KernelErrors and nothing else", () => {
  const random = seeded(77);
  const { alive } = zoo(random);
  const x = (): Tensor => pick(random, alive);
  const n = (): number => pick(random, [...small, -1, 0.5, Number.NaN, 2 ** 53]);
  const some = (): Tensor | undefined => (random() < 0.5 ? undefined : x());
  const calls: readonly (() => unknown)[] = [
    () => Tensor.empty(someDims(random, hugeSizes), pick(random, dtypes)),
    () => x().slice(n(), n(), n()),
    () => x().reshape(someDims(random)),
    () => x().view(n(), someDims(random), someDims(random, [0, 1, 2, 2 ** 32 - 1])),
    () => ops.matmul(x(), x(), { bias: some(), residual: some(), gate: some(), out: some() }),
    () =>
      ops.attention(x(), x(), x(), { scale: n(), frame: n(), mask: "frame_causal", cuQ: some() }),
    () => ops.qkNormRope(x(), { weight: some(), table: some(), eps: n() }),
    () => ops.conv3d(x(), x(), x(), { coeffs: some(), stride: [n(), n(), n()], upT: true }),
    () => ops.groupNormCoeffs(x(), x(), x(), { groups: n(), eps: n() }),
    () => ops.patchGather(x(), [n(), n(), n()]),
    () => ops.unpatchify(x(), someDims(random), [n(), n()]),
    () => ops.embed(x(), x()),
    () =>
      ops.lincomb(
        [
          [n(), x()],
          [n(), x()],
        ],
        { out: some() },
      ),
    () => ops.unipc({ x: x(), mt: x(), m0: x(), m1: some(), correct: [n()], predict: [n()] }),
    () => ops.blend(x(), x(), x(), n(), { out: some() }),
    () => ops.latentRgb(x(), x(), x()),
    () => ops.teacache(x(), x()),
    () => ops.stats(x()),
  ];
  let refused = 0;

  for (let i = 0; i < 5000; i++) {
    using scope = ops.scope();
    try {
      pick(random, calls)();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      refused++;
    }
  }

  expect(refused).toBeGreaterThan(3000);
});
