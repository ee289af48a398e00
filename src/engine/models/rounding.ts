// Rounding of single numbers to the dtypes of activations, to nearest, ties to even.

import type { FloatDtype } from "../../ffi/types.ts";
import { roundBf16 } from "../sampling/schedule.ts";

export const roundTo = (value: number, dtype: FloatDtype): number => {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "bf16":
      return roundBf16(value);
    case "f16":
      return Math.f16round(value);
  }
};
