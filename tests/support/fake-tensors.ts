// A mapper without the library: its "tensors" are plain objects that say where they come from.

import { readFileSync } from "node:fs";
import type { MappedFile, TensorMapper } from "../../src/engine/weights/source.ts";
import type { Dtype } from "../../src/ffi/types.ts";

export type FakeTensor = Readonly<{
  dtype: Dtype;
  dims: readonly number[];
  bytes: Uint8Array;
  how: "mapped" | "copied";
}>;

const widths: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 };

export class FakeMapper implements TensorMapper<FakeTensor> {
  readonly opened: string[] = [];
  closed = 0;

  map(path: string): MappedFile<FakeTensor> {
    this.opened.push(path);
    const file = new Uint8Array(readFileSync(path));
    return {
      bytes: file.length,
      tensor: (offset, dtype, dims) => {
        const size = dims.reduce((all, dim) => all * dim, widths[dtype]);
        return { dtype, dims, bytes: file.slice(offset, offset + size), how: "mapped" };
      },
      close: () => {
        this.closed++;
      },
    };
  }

  copy(data: Uint8Array, dtype: Dtype, dims: readonly number[]): FakeTensor {
    return { dtype, dims, bytes: data, how: "copied" };
  }
}
