// Every op once, through every layer between TypeScript and the backend, against literals or a few
// lines of arithmetic. Depth (lengths, edges, precision) is tested beside the kernels.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as ops from "../../src/ffi/ops.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import { refusal, withLibrary } from "./open.ts";

withLibrary();
let scratch: Disposable;
beforeEach(() => {
  scratch = ops.scope();
});
afterEach(() => scratch[Symbol.dispose]());

const t = (values: readonly number[], dims: readonly number[] = [values.length]): Tensor =>
  Tensor.from(Float32Array.from(values), dims);
const ramp = (n: number, f: (i: number) => number = (i) => i): number[] =>
  Array.from({ length: n }, (_, i) => f(i));
const wave = (n: number, seed = 1): number[] => ramp(n, (i) => Math.sin(seed * 3.7 + i * 1.3));

const close = (got: Tensor, want: readonly number[], digits = 5): void => {
  const values = got.f32();
  expect(values).toHaveLength(want.length);
  for (const [i, w] of want.entries()) expect(values[i]).toBeCloseTo(w, digits);
};

const silu = (x: number): number => x / (1 + Math.exp(-x));
const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const quickGelu = (x: number): number => x / (1 + Math.exp(-1.702 * x));

describe("copy and fill", () => {
  test("copy casts and re-lays, also into a strided innermost dimension", () => {
    const into = Tensor.zeros([2, 3], "bf16");

    ops.copy(into.permute([1, 0]), t([0, 1, 2, 3, 4, 5], [3, 2]));

    close(into, [0, 2, 4, 1, 3, 5]);
  });

  test("copy widens i32 and u8, and narrows to neither", () => {
    const numbers = Tensor.from(Int32Array.of(-3, 7), [2]);

    close(numbers.to("f32"), [-3, 7]);
    close(Tensor.from(Uint8Array.of(0, 255), [2]).to("f32"), [0, 255]);
    refusal("bad_dtype", () => t([1, 2]).to("u8"));
    refusal("bad_dtype", () => numbers.to("bf16"));
  });

  test("fill writes any dtype, and only values it can hold", () => {
    expect([...ops.fill(Tensor.empty([2], "i32"), -5).i32()]).toEqual([-5, -5]);
    expect([...ops.fill(Tensor.empty([2], "u8"), 200).u8()]).toEqual([200, 200]);
    refusal("bad_argument", () => ops.fill(Tensor.empty([2], "u8"), 256));
    refusal("bad_argument", () => ops.fill(Tensor.empty([2], "i32"), 0.5));
  });
});

describe("products", () => {
  test("matmul multiplies with the transposed weight and adds the bias", () => {
    const out = ops.matmul(t([1, 2, 3, 4], [2, 2]), t([1, 0, 0, 1, 1, 1], [3, 2]), {
      bias: t([10, 20, 30]),
    });

    close(out, [11, 22, 33, 13, 24, 37]);
  });

  test("matmul applies activation, gate and residual in that order, in place", () => {
    const state = t([100, 200], [1, 2]);
    const w = t([1, 0, 0, 1], [2, 2]);

    ops.matmul(t([1, -2], [1, 2]), w, {
      act: "silu",
      residual: state,
      gate: t([2, 3]),
      out: state,
    });

    close(state, [100 + 2 * silu(1), 200 + 3 * silu(-2)], 3);
  });

  test("matmul of bf16 can give f32, and takes columns of a wider matrix", () => {
    const wide = Tensor.from(Float32Array.from([9, 1, 2, 9, 9, 3, 4, 9]), [2, 4], "bf16");

    const out = ops.matmul(wide.cols(1, 3), t([1, 1], [1, 2]), { outDtype: "f32" });

    expect(out.dtype).toBe("f32");
    close(out, [3, 7]);
  });

  test("attention weighs values by the softmax of q·k", () => {
    const q = t([1, 0], [1, 1, 2]);
    const k = t([1, 0, 0, 1], [2, 1, 2]);
    const v = t([1, 2, 3, 4], [2, 1, 2]);

    const out = ops.attention(q, k, v, { scale: 1 });

    const p = Math.E / (Math.E + 1);
    close(out, [p + 3 * (1 - p), 2 * p + 4 * (1 - p)]);
  });

  test("attention keeps to its mask, its sequences and its kv heads", () => {
    const v = t([1, 2, 3, 4], [4, 1, 1]);
    const zero = Tensor.zeros([4, 1, 1], "f32");
    const cu = Tensor.from(Int32Array.of(0, 1, 4), [3]);

    close(ops.attention(zero, zero, v, { scale: 1, mask: "causal" }), [1, 1.5, 2, 2.5]);
    close(ops.attention(zero, zero, v, { scale: 1, cuQ: cu, cuK: cu }), [1, 3, 3, 3]);
    const framed = ops.attention(zero, zero, v, { scale: 1, mask: "frame_causal", frame: 2 });
    close(framed, [1.5, 1.5, 2.5, 2.5]);
    const two = ops.attention(Tensor.zeros([1, 2, 1], "f32"), zero, v, { scale: 1 });
    close(two, [2.5, 2.5]);
  });

  test("bounds of sequences that fall or leave the tokens are refused", () => {
    const x = Tensor.zeros([4, 1, 2], "f32");
    for (const bounds of [
      [0, 5],
      [0, 3, 2],
      [-1, 4],
    ]) {
      const cu = Tensor.from(Int32Array.from(bounds), [bounds.length]);
      refusal("bad_argument", () => ops.attention(x, x, x, { scale: 1, cuQ: cu, cuK: cu }));
    }
  });

  test("qkNormRope rotates neighbours or halves, and leaves rows beyond the table", () => {
    const quarter = t([0, 0, 1, 1], [1, 4]); // cos 0, 0; sin 1, 1 for D = 2

    const x = ops.qkNormRope(t([1, 2, 3, 4], [2, 1, 2]), { table: quarter });
    close(x, [-2, 1, 3, 4]);

    const table = t([0, 0, 0, 0, 1, 1, 1, 1], [1, 8]);
    close(ops.qkNormRope(t([1, 2, 3, 4], [1, 1, 4]), { table, style: "halves" }), [-3, -4, 1, 2]);
  });

  test("qkNormRope with a weight normalises each head", () => {
    const x = ops.qkNormRope(t([3, 4, 6, 8], [1, 2, 2]), { weight: t([1, 2]), eps: 0 });

    const rms = Math.sqrt(12.5);
    close(x, [3 / rms, 8 / rms, 3 / rms, 8 / rms]);
  });
});

describe("norms", () => {
  test("adaln normalises and modulates", () => {
    close(ops.adaln(t([1, 3], [1, 2]), t([10, 20]), t([1, 2]), { eps: 0 }), [8, 23]);
  });

  test("layerNorm takes weight and bias or neither", () => {
    const x = t([1, 3], [1, 2]);

    close(ops.layerNorm(x, { eps: 0 }), [-1, 1]);
    close(ops.layerNorm(x, { eps: 0, weight: t([2, 3]), bias: t([1, 1]) }), [-1, 4]);
  });

  test("rmsNorm divides by the root mean square", () => {
    close(ops.rmsNorm(t([3, 4], [1, 2]), t([1, 1]), { eps: 0 }), [
      3 / Math.sqrt(12.5),
      4 / Math.sqrt(12.5),
    ]);
  });

  test("group norm is coefficients first, applied second", () => {
    const x = t([1, 10, 3, 30], [1, 1, 2, 2]);

    const coeffs = ops.groupNormCoeffs(x, t([1, 1]), t([0, 5]), { groups: 2, eps: 0 });

    close(coeffs, [1, 0.1, -2, 3]);
    close(ops.scaleShiftAct(x, coeffs), [-1, 4, 1, 6]);
    close(ops.scaleShiftAct(x, coeffs, { act: "silu", out: x }), [-1, 4, 1, 6].map(silu));
  });
});

describe("convolution and patches", () => {
  test("conv3d is causal in time and pads by replication", () => {
    const x = t([1, 2, 3], [3, 1, 1, 1]);
    const w = t([1, 10, 100], [1, 3, 1, 1, 1]);

    close(ops.conv3d(x, w, t([0])), [111, 211, 321]);
  });

  test("conv3d strides, upsamples, activates its input and adds a residual", () => {
    const one = t([1], [1, 1, 1, 1, 1]);
    const x = t([1, 2, 3, 4], [1, 2, 2, 1]);
    const bias = t([0]);

    close(ops.conv3d(x, one, bias, { stride: [1, 2, 2] }), [1]);
    expect(ops.conv3d(x, one, bias, { upS: true }).dims).toEqual([1, 4, 4, 1]);
    close(ops.conv3d(t([1, 2], [2, 1, 1, 1]), one, bias, { upT: true }), [1, 2, 2]);
    const coeffs = t([2, 1], [2, 1]);
    const out = ops.conv3d(x, one, bias, { coeffs, act: "silu", residual: x });
    close(
      out,
      [1, 2, 3, 4].map((v) => v + silu(2 * v + 1)),
    );
  });

  test("conv3dPack moves the input channels inside", () => {
    const packed = ops.conv3dPack(t(ramp(8), [1, 2, 1, 2, 2]), "f32");

    expect(packed.dims).toEqual([1, 1, 2, 2, 2]);
    close(packed, [0, 4, 1, 5, 2, 6, 3, 7]);
  });

  test("patchGather and unpatchify are each other's inverse", () => {
    const x = t(ramp(16), [2, 1, 2, 4]);

    const rows = ops.patchGather(x, [1, 2, 2], { dtype: "f32" });

    expect(rows.dims).toEqual([2, 8]);
    close(rows.rows(0, 1), [0, 1, 4, 5, 8, 9, 12, 13]);
    close(ops.unpatchify(rows, [2, 1, 2, 4], [2, 2]), ramp(16));
  });

  test("patchGather repeats the edge where the size is no multiple", () => {
    close(ops.patchGather(t([1, 2, 3], [1, 1, 1, 3]), [1, 1, 2]), [1, 2, 3, 3]);
  });

  test("embed looks rows up and refuses ids outside the table", () => {
    const table = t([1, 2, 3, 4], [2, 2]);

    close(ops.embed(table, Tensor.from(Int32Array.of(1, 0, 1), [3])), [3, 4, 1, 2, 3, 4]);
    refusal("bad_argument", () => ops.embed(table, Tensor.from(Int32Array.of(2), [1])));
    refusal("bad_argument", () => ops.embed(table, Tensor.from(Int32Array.of(-1), [1])));
  });
});

describe("element by element", () => {
  test("activations", () => {
    const values = [-3, -0.5, 0, 0.5, 3];

    close(ops.activation(t(values), "silu"), values.map(silu));
    close(ops.activation(t(values), "gelu_tanh"), values.map(geluTanh));
    close(ops.activation(t(values), "quick_gelu"), values.map(quickGelu));
    close(ops.activation(t(values), "none"), values);
  });

  test("glu, add, addGated, meanRows", () => {
    const x = t([1, 2, 3, 4], [2, 2]);
    const y = t([5, 6, 7, 8], [2, 2]);

    close(ops.glu(x, y), [5 * silu(1), 6 * silu(2), 7 * silu(3), 8 * silu(4)], 4);
    close(ops.add(x, y), [6, 8, 10, 12]);
    close(ops.add(x, t([10, 20])), [11, 22, 13, 24]);
    close(ops.addGated(x, y, t([2, 0]), { out: x }), [11, 2, 17, 4]);
    close(ops.meanRows(y), [6, 7]);
  });

  test("blend goes along any axis, in place", () => {
    const a = t([0, 0, 0, 0], [2, 2]);
    const b = t([10, 10, 10, 10], [2, 2]);

    close(ops.blend(a, b, t([0.25, 0.5]), 0), [2.5, 2.5, 5, 5]);
    close(ops.blend(a, b, t([0.25, 0.5]), 1, { out: b }), [2.5, 5, 2.5, 5]);
  });

  test("pixels go to bytes and back", () => {
    const bytes = ops.toU8(t([-2, -1, 0, 0.999, 1, 7]));

    expect([...bytes.u8()]).toEqual([0, 0, 127, 254, 255, 255]);
    close(ops.fromU8(bytes, "f32"), [-1, -1, 127 / 127.5 - 1, 254 / 127.5 - 1, 1, 1]);
  });
});

describe("sampler", () => {
  test("lincomb sums up to eight terms, into one of them if asked", () => {
    const a = t([1, 2]);

    close(
      ops.lincomb(
        [
          [2, a],
          [-1, t([10, 20])],
        ],
        { out: a },
      ),
      [-8, -16],
    );
    refusal("bad_argument", () => ops.lincomb([]));
    refusal("bad_argument", () => ops.lincomb(ramp(9).map(() => [1, a] as const)));
    refusal("bad_argument", () => ops.lincomb([[Number.NaN, a]]));
  });

  test("unipc corrects in place and predicts in the same pass", () => {
    const [x, mt, m0, m1, m2] = [t([1]), t([2]), t([3]), t([4]), t([5])];

    const correct = [1, 2, 3, 4, 5];
    const ahead = ops.unipc({ x, mt, m0, m1, m2, correct, predict: [1, 10, 100, 1000] });

    close(x, [1 + 4 + 9 + 16 + 25]);
    expect(ahead?.f32()[0]).toBe(55 + 20 + 300 + 4000);
  });

  test("the last step predicts nothing, and a weight without its tensor is refused", () => {
    const [x, mt, m0] = [t([1]), t([2]), t([3])];
    const last = ops.unipc({ x, mt, m0, correct: [1, 1, 1, 0, 0], predict: [], last: true });

    expect(last).toBeUndefined();
    close(x, [6]);
    refusal("bad_argument", () =>
      ops.unipc({ x, mt, m0, correct: [1, 1, 1, 1, 0], predict: [1, 0, 0, 0] }),
    );
  });

  test("denoised subtracts the velocity from x, rounded as the model saw it", () => {
    const x = t([1 + 1 / 256]);

    close(ops.denoised(x, t([2]), 0.5), [1 / 256], 7);
    close(ops.denoised(x, t([2]), 0.5, { rounding: "bf16" }), [0], 7);
  });

  test("teacache measures the distance and keeps the new state", () => {
    const prev = t([1, -1, 2, -2], [2, 2]);
    const now = t([2, -1, 2, 1], [2, 2]);

    expect(ops.teacache(now, prev)).toEqual({ diff: 1, base: 1.5 });
    close(prev, [2, -1, 2, 1]);
  });

  test("stats are over the finite values and count the others", () => {
    const s = ops.stats(t([1, -3, Number.NaN, 5, Number.POSITIVE_INFINITY]));

    expect(s).toMatchObject({ bad: 2, min: -3, max: 5, mean: 1, absMax: 5 });
    expect(s.std).toBeCloseTo(Math.sqrt((0 + 16 + 16) / 3), 5);
  });

  test("latentRgb makes a picture", () => {
    const z = t([0, 1], [2, 1, 1, 1]);

    const picture = ops.latentRgb(z, t([9, 9, 9, 0.5, 0, 2], [2, 3]), t([0, 0.25, 0]));

    expect(picture.dims).toEqual([1, 1, 1, 3]);
    expect([...picture.u8()]).toEqual([127, 63, 255]);
  });
});

describe("what an op refuses", () => {
  test("an output that overlaps an input, but for the same view where that is allowed", () => {
    const x = t(wave(16), [4, 4]);

    refusal("bad_argument", () => ops.matmul(x, x, { out: x }));
    refusal("bad_argument", () => ops.add(x.rows(0, 2), x.rows(2, 4), { out: x.rows(1, 3) }));
    expect(() => ops.activation(x, "silu", { out: x })).not.toThrow();
    expect(() => ops.activation(x.cols(0, 2), "silu", { out: x.cols(2, 4) })).not.toThrow();
  });

  test("an output whose elements share memory", () => {
    const x = t(wave(16), [4, 4]);

    refusal("bad_argument", () => ops.fill(x.view(0, [4, 4], [0, 1]), 0));
  });

  test("numbers that are no numbers", () => {
    const x = t(wave(4), [2, 2]);

    refusal("bad_argument", () => ops.layerNorm(x, { eps: Number.NaN }));
    refusal("bad_argument", () => ops.layerNorm(x, { eps: -1 }));
    refusal("bad_argument", () => ops.denoised(x, x, Number.POSITIVE_INFINITY));
    refusal("bad_argument", () => ops.blend(x, x, t([1, 1]), 7));
    refusal("bad_argument", () => ops.blend(x, x, t([1, 1]), -1));
  });

  test("shapes and dtypes that do not fit, naming the op and both shapes", () => {
    const error = refusal("bad_shape", () => ops.add(t(wave(6), [2, 3]), t(wave(6), [3, 2])));

    expect(error.op).toBe("add");
    expect(error.detail).toBe("b is f32 [3, 2] but a is f32 [2, 3]");
    refusal("bad_dtype", () => ops.add(t([1]), Tensor.zeros([1], "i32")));
    refusal("bad_dtype", () => ops.glu(t([1], [1, 1]), Tensor.zeros([1, 1], "bf16")));
  });
});
