// One row, normalised: shared by layer_norm, rms_norm and adaln, which differ in what follows the
// normalisation.
//   x, out [rows, cols] one block a row; where rows are on 16 bytes and short enough they stay in
//     registers
#pragma once

#include "device.cuh"

constexpr u32 kNormThreads = 128;
// Chunks of eight a thread keeps: rows up to 128 * 8 * 8 = 8192 are read once.
constexpr u32 kNormKeep = 8;

struct NormArgs {
  Rows out, x;
  Param scale, shift;  // weight and bias; or AdaLN's scale and shift
  float eps;
  u32 cols;
  u32 vector;  // rows and parameters on 16 bytes, cols a multiple of 8 and at most 8192
  u32 pad;
};

// Rule has kCentred and value(args, normalised x, c).
template <class T, class Rule>
FP_FN void norm_scalar(const NormArgs& a) {
  const T* x = reinterpret_cast<const T*>(a.x.ptr) + block_x() * a.x.stride;  // x[row, :]
  T* out = reinterpret_cast<T*>(a.out.ptr) + block_x() * a.out.stride;
  float sum = 0, squares = 0;
  if (Rule::kCentred) {
    for (u32 c = thread_x(); c < a.cols; c += kNormThreads) sum += value_of(load<T>(x + c));
    sum = block_sum(sum, 0);
  }
  const float mean = sum / static_cast<float>(a.cols);
  for (u32 c = thread_x(); c < a.cols; c += kNormThreads) {
    const float d = value_of(load<T>(x + c)) - mean;
    squares = fma_exact(d, d, squares);
  }
  squares = block_sum(squares, 0);
  const float inverse = 1.0f / sqrt_exact(squares / static_cast<float>(a.cols) + a.eps);
  for (u32 c = thread_x(); c < a.cols; c += kNormThreads) {
    const float n = (value_of(load<T>(x + c)) - mean) * inverse;
    const float scale = a.scale.ptr ? param_at(a.scale, c) : 1.0f;
    const float shift = a.shift.ptr ? param_at(a.shift, c) : 0.0f;
    store(out + c, rounded<T>(Rule::value(n, scale, shift)));
  }
}

template <class T, class Rule>
FP_FN void norm_vector(const NormArgs& a) {
  const T* x = reinterpret_cast<const T*>(a.x.ptr) + block_x() * a.x.stride;  // x[row, :]
  T* out = reinterpret_cast<T*>(a.out.ptr) + block_x() * a.out.stride;
  F8 kept[kNormKeep];
  float sum = 0, squares = 0;
  FP_UNROLL for (u32 k = 0; k < kNormKeep; k++) {
    const u32 c = (k * kNormThreads + thread_x()) * 8;
    if (c >= a.cols) continue;
    kept[k] = load8(x + c);
    FP_UNROLL for (int e = 0; e < 8; e++)
      sum += kept[k].v[e];
  }
  const u32 first = FP_MUTANT(norm_count) ? 1 : 0;
  const float mean = Rule::kCentred ? block_sum(sum, 0) / static_cast<float>(a.cols + first) : 0.0f;
  FP_UNROLL for (u32 k = 0; k < kNormKeep; k++) {
    if ((k * kNormThreads + thread_x()) * 8 >= a.cols) continue;
    FP_UNROLL for (int e = 0; e < 8; e++) {
      const float d = kept[k].v[e] - mean;
      squares = fma_exact(d, d, squares);
    }
  }
  squares = block_sum(squares, 0);
  const float inverse = 1.0f / sqrt_exact(squares / static_cast<float>(a.cols) + a.eps);
  FP_UNROLL for (u32 k = 0; k < kNormKeep; k++) {
    const u32 c = (k * kNormThreads + thread_x()) * 8;
    if (c >= a.cols) continue;
    F8 scale, shift;
    FP_UNROLL for (int e = 0; e < 8; e++) {
      scale.v[e] = 1.0f;
      shift.v[e] = 0.0f;
    }
    if (a.scale.ptr) scale = load8_any(a.scale.ptr, a.scale.dtype, c);
    if (a.shift.ptr) shift = load8_any(a.shift.ptr, a.shift.dtype, c);
    FP_UNROLL for (int e = 0; e < 8; e++)
      kept[k].v[e] = Rule::value((kept[k].v[e] - mean) * inverse, scale.v[e], shift.v[e]);
    store8(out + c, kept[k]);
  }
}

template <class T, class Rule>
FP_FN void norm_body(const NormArgs& a) {
  if (a.vector) norm_vector<T, Rule>(a);
  else norm_scalar<T, Rule>(a);
}
