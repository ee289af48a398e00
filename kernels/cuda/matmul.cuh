// What every kernel of the matrix product is given.
#pragma once

#include "tile.cuh"

struct MatmulArgs {
  Rows out, a, w, residual;  // residual.ptr 0: none
  Param bias, gate;
  u32 m, n, k;
  u32 act;
  u32 tiles_m, tiles_n;
};

// Where the rows of out and residual begin, for store_tile.
struct MatmulPlaces {
  const MatmulArgs& a;
  FP_FN_MEMBER u64 out(u64 row) const { return row * a.out.stride; }
  FP_FN_MEMBER u64 residual(u64 row) const { return row * a.residual.stride; }
};

FP_FN Epilogue epilogue_of(const MatmulArgs& a) {
  const u32 aligned = a.out.aligned && (a.residual.ptr == 0 || a.residual.aligned);
  return Epilogue{a.out.ptr, a.out.dtype, a.residual.ptr, a.bias, a.gate, a.m, a.n, a.act, aligned};
}
