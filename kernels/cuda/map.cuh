// The shape of every elementwise kernel: out[i] = f(in0[i], in1[i], ...) over up to six dimensions
// with any strides. A broadcast operand has stride 0. Each thread does `width` neighbours of the
// last dimension: 8 where every operand's rows start on 16 bytes and divide by 8 (the launcher's
// choice), else 1. Memory bound.
#pragma once

#include "device.cuh"

constexpr u32 kMapThreads = 256;
constexpr u32 kMapInputs = 8;

struct MapArgs {
  u32 count;  // threads with work
  u32 rank;
  u32 width;
  u32 act;      // an Act or, for denoised, a Dtype to round to
  u32 dims[6];  // the last one in units of width
  Operand out;
  Operand in[kMapInputs];
  double c[kMapInputs];
};

struct MapPlace {
  u32 at[6];
};

FP_FN MapPlace map_place(const MapArgs& a, u32 i) {
  MapPlace p;
  FP_UNROLL for (u32 k = 0; k < 6; k++) {
    const u32 d = 5 - k;
    p.at[d] = 0;
    if (d >= a.rank) continue;
    if (d == 0) {
      p.at[d] = i;
    } else {
      p.at[d] = i % a.dims[d];
      i /= a.dims[d];
    }
    if (d == a.rank - 1) p.at[d] *= a.width;
  }
  return p;
}

FP_FN u64 map_offset(const MapArgs& a, const Operand& x, const MapPlace& p) {
  u64 offset = 0;
  FP_UNROLL for (u32 d = 0; d < 6; d++) {
    if (d < a.rank) offset += static_cast<u64>(p.at[d]) * x.strides[d];
  }
  return offset;
}

// Op has `inputs` and `apply(args, x)`, x[k] being the element of input k.
template <class Op>
FP_FN void map_body(const MapArgs& a) {
  const u32 i = block_x() * kMapThreads + thread_x();
  if (i >= a.count) return;
  const MapPlace p = map_place(a, i);
  const u64 to = map_offset(a, a.out, p);
  if (a.width == 1) {
    float x[Op::inputs];
    FP_UNROLL for (u32 k = 0; k < Op::inputs; k++)
      x[k] = load_any(a.in[k].ptr, a.in[k].dtype, map_offset(a, a.in[k], p));
    store_any(a.out.ptr, a.out.dtype, to, Op::apply(a, x));
    return;
  }
  F8 in[Op::inputs], out;
  FP_UNROLL for (u32 k = 0; k < Op::inputs; k++) {
    const u64 from = map_offset(a, a.in[k], p);
    if (a.in[k].strides[a.rank - 1] != 0) {
      in[k] = load8_any(a.in[k].ptr, a.in[k].dtype, from);
    } else {
      const float v = load_any(a.in[k].ptr, a.in[k].dtype, from);
      FP_UNROLL for (int e = 0; e < 8; e++)
        in[k].v[e] = v;
    }
  }
  FP_UNROLL for (int e = 0; e < 8; e++) {
    float x[Op::inputs];
    FP_UNROLL for (u32 k = 0; k < Op::inputs; k++)
      x[k] = in[k].v[e];
    out.v[e] = Op::apply(a, x);
  }
  store8_any(a.out.ptr, a.out.dtype, to, out);
}
