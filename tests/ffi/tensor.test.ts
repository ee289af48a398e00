import { describe, expect, test } from "bun:test";
import * as ops from "../../src/ffi/ops.ts";
import { Tensor } from "../../src/ffi/tensor.ts";
import { liveTensors, refusal, withLibrary } from "./open.ts";

withLibrary();

const counting = (dims: readonly number[]): Tensor => {
  const n = dims.reduce((a, b) => a * b, 1);
  return Tensor.from(
    Float32Array.from({ length: n }, (_, i) => i),
    dims,
  );
};

describe("transfer", () => {
  test("what goes up comes down, in every dtype", () => {
    using f = Tensor.from(Float32Array.of(1, -2.5, 3), [3]);
    using i = Tensor.from(Int32Array.of(-1, 2 ** 31 - 1), [2]);
    using u = Tensor.from(Uint8Array.of(0, 255), [2]);

    expect([...f.f32()]).toEqual([1, -2.5, 3]);
    expect([...i.i32()]).toEqual([-1, 2 ** 31 - 1]);
    expect([...u.u8()]).toEqual([0, 255]);
  });

  test("values are rounded to nearest even on the way to bf16 and f16", () => {
    // Halfway between two bf16 numbers: 1 + 1/256 goes down to even, 1 + 3/256 up to even.
    using b = Tensor.from(Float32Array.of(1 + 1 / 256, 1 + 3 / 256), [2], "bf16");
    using h = Tensor.from(Float32Array.of(1 + 1 / 2048, 65504), [2], "f16");

    expect([...b.f32()]).toEqual([1, 1 + 4 / 256]);
    expect([...h.f32()]).toEqual([1, 65504]);
  });

  test("stored bytes go up and down as they are", () => {
    using b = Tensor.fromBytes(Uint8Array.of(0x80, 0x3f, 0x00, 0xc0), [2], "bf16");

    expect([...b.f32()]).toEqual([1, -2]);
    expect([...b.bytes()]).toEqual([0x80, 0x3f, 0x00, 0xc0]);
  });

  test("a wrong number of values is refused before anything is made", () => {
    const before = liveTensors();

    refusal("bad_shape", () => Tensor.from(new Float32Array(5), [2, 3]));

    expect(liveTensors()).toBe(before);
  });

  test("an empty tensor is allowed and holds nothing", () => {
    using e = Tensor.from(new Float32Array(0), [0, 4]);

    expect(e.f32()).toHaveLength(0);
    expect(e.rows(0, 0).dims).toEqual([0, 4]);
  });
});

describe("views", () => {
  test("rows and columns share the parent's memory", () => {
    using scratch = ops.scope();
    const x = counting([3, 4]);

    expect([...x.rows(1, 3).f32()]).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...x.cols(1, 3).f32()]).toEqual([1, 2, 5, 6, 9, 10]);
    ops.fill(x.cols(0, 1), -1);
    expect([...x.f32()]).toEqual([-1, 1, 2, 3, -1, 5, 6, 7, -1, 9, 10, 11]);
  });

  test("a slice of a slice lies where it should", () => {
    using scratch = ops.scope();
    const x = counting([4, 5, 6]).slice(1, 1, 4).slice(2, 2, 5).slice(0, 3, 4);

    expect([...x.slice(1, 2, 3).f32()]).toEqual([3 * 30 + 3 * 6 + 2, 111, 112].map(Number));
  });

  test("a permuted view copies into a transposed tensor", () => {
    using scratch = ops.scope();
    const x = counting([2, 3]).permute([1, 0]);

    expect(x.dims).toEqual([3, 2]);
    expect([...x.f32()]).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...x.to("bf16").f32()]).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test("copy writes through a view with a strided innermost dimension", () => {
    using scratch = ops.scope();
    const x = Tensor.zeros([3, 2], "f32");

    ops.copy(x.permute([1, 0]), counting([2, 3]));

    expect([...x.f32()]).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test("columns reshape to heads and back, a transposed matrix does not merge", () => {
    using scratch = ops.scope();
    const x = counting([2, 12]);
    const heads = x.cols(4, 12).reshape([2, 2, 4]);

    expect([...heads.slice(1, 1, 2).f32()]).toEqual([8, 9, 10, 11, 20, 21, 22, 23]);
    refusal("bad_shape", () => x.permute([1, 0]).reshape([24]));
    refusal("bad_shape", () => x.reshape([5, 5]));
  });

  test("a view outlives its parent", () => {
    const x = counting([2, 2]);
    using row = x.rows(1, 2);
    x[Symbol.dispose]();

    expect([...row.f32()]).toEqual([2, 3]);
  });

  test("a view reaches nowhere outside its parent", () => {
    using x = counting([4, 4]);

    refusal("bad_shape", () => x.rows(3, 5));
    refusal("bad_shape", () => x.cols(2, 1));
    refusal("bad_shape", () => x.slice(2, 0, 1));
    refusal("bad_shape", () => x.rows(0.5, 1));
    refusal("bad_shape", () => x.view(1, [4, 4], [4, 1]));
    refusal("bad_shape", () => x.view(0, [2 ** 32 - 1], [2 ** 32 - 1]));
    refusal("bad_shape", () => x.view(-1, [1], [1]));
    refusal("bad_shape", () => x.view(2 ** 52, [1], [1]));
    refusal("bad_shape", () => x.permute([0, 0]));
  });

  test("a shape that is no list of u32 is refused, not wrapped", () => {
    for (const bad of [-1, 1.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY]) {
      refusal("bad_shape", () => Tensor.empty([bad], "f32"));
    }
    refusal("bad_shape", () => Tensor.empty([1, 1, 1, 1, 1, 1, 1], "f32"));
    refusal("bad_shape", () => Tensor.empty([], "f32"));
  });
});

describe("lifetime", () => {
  test("a freed tensor is a bad handle, and freeing it twice is harmless", () => {
    const x = counting([2]);
    x[Symbol.dispose]();
    x[Symbol.dispose]();

    const error = refusal("bad_handle", () => ops.activation(x, "silu"));

    expect(error.op).toBe("activation");
    expect(error.detail).toContain("freed");
  });

  test("a handle stays stale after its slot was used thousands of times", () => {
    const x = counting([2]);
    x[Symbol.dispose]();
    for (let i = 0; i < 5000; i++) counting([2])[Symbol.dispose]();

    refusal("bad_handle", () => x.f32());
  });

  test("a scope frees what was made in it, except what was kept", () => {
    const before = liveTensors();
    let kept: Tensor | undefined;
    {
      using outer = ops.scope();
      {
        using inner = ops.scope();
        counting([3]);
        kept = ops.add(counting([2]), counting([2])).keep();
      }
      expect([...kept.f32()]).toEqual([0, 2]);
      expect(liveTensors()).toBe(before + 1);
    }
    expect(liveTensors()).toBe(before);
    refusal("bad_handle", () => kept?.f32());
  });

  test("closing a scope that is not open is an error, not a crash", () => {
    const scope = ops.scope();
    scope[Symbol.dispose]();
    scope[Symbol.dispose]();

    expect(() => ops.scope()[Symbol.dispose]()).not.toThrow();
  });

  test("an op that fails frees the output it allocated", () => {
    using a = counting([2, 3]);
    const before = liveTensors();

    refusal("bad_shape", () => ops.matmul(a, counting([4, 5])));

    expect(liveTensors()).toBe(before + 1);
  });
});
