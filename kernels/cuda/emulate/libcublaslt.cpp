// A cuBLASLt for tests: the functions that blas.zig calls, in plain loops over the pretended
// device's memory. It reads matrices column by column, as the real one does, and nothing more of
// them than their layouts say. With FRAMEPACK_BLAS_WRONG set every product is off: proof of use.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define FP_BLAS extern "C" __attribute__((visibility("default"))) int

namespace {

enum : int { kOk = 0, kInvalid = 7, kUnsupported = 15 };

struct Desc {
  int transpose_a, transpose_b, bias_type;
  u32 epilogue;
  u64 bias;
};
struct Layout {
  int type;
  u64 rows, cols;
  i64 ld;
};
struct Algorithm {
  u64 data[8];
};
struct Heuristic {
  Algorithm algorithm;
  u64 workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr int kTypeF32 = 0, kTypeBf16 = 14;

float get(u64 base, int type, u64 i) {
  u16 half;
  float x;
  if (type == kTypeF32) return memcpy(&x, reinterpret_cast<const float*>(base) + i, 4), x;
  memcpy(&half, reinterpret_cast<const u16*>(base) + i, 2);
  return type == kTypeBf16 ? emu::bf16_to(half) : emu::f16_to(half);
}
void put(u64 base, int type, u64 i, float x) {
  const u16 half = type == kTypeBf16 ? emu::bf16_of(x) : emu::f16_of(x);
  if (type == kTypeF32) memcpy(reinterpret_cast<float*>(base) + i, &x, 4);
  else memcpy(reinterpret_cast<u16*>(base) + i, &half, 2);
}

}  // namespace

FP_BLAS cublasLtCreate(void** handle) { return *handle = malloc(1), kOk; }
FP_BLAS cublasLtDestroy(void* handle) { return free(handle), kOk; }
FP_BLAS cublasLtMatmulDescCreate(Desc** desc, int compute, int scale) {
  *desc = static_cast<Desc*>(calloc(1, sizeof(Desc)));
  (*desc)->epilogue = 1;
  return compute == 68 && scale == 0 ? kOk : kInvalid;
}
FP_BLAS cublasLtMatmulDescDestroy(Desc* desc) { return free(desc), kOk; }
FP_BLAS cublasLtMatmulDescSetAttribute(Desc* d, int what, const void* from, u64 bytes) {
  void* to = what == 3    ? static_cast<void*>(&d->transpose_a)
             : what == 4  ? &d->transpose_b
             : what == 7  ? static_cast<void*>(&d->epilogue)
             : what == 8  ? static_cast<void*>(&d->bias)
             : what == 26 ? static_cast<void*>(&d->bias_type)
                          : nullptr;
  if (!to || bytes != (what == 8 ? 8u : 4u)) return kInvalid;
  memcpy(to, from, bytes);
  return kOk;
}
FP_BLAS cublasLtMatrixLayoutCreate(Layout** out, int type, u64 rows, u64 cols, i64 ld) {
  if (ld < static_cast<i64>(rows)) return kInvalid;
  *out = static_cast<Layout*>(malloc(sizeof(Layout)));
  **out = Layout{type, rows, cols, ld};
  return kOk;
}
FP_BLAS cublasLtMatrixLayoutDestroy(Layout* l) { return free(l), kOk; }
FP_BLAS cublasLtMatmulPreferenceCreate(void** p) { return *p = malloc(1), kOk; }
FP_BLAS cublasLtMatmulPreferenceDestroy(void* p) { return free(p), kOk; }
FP_BLAS cublasLtMatmulPreferenceSetAttribute(void* p, int what, const void*, u64 bytes) {
  return p && bytes == (what == 1 ? 8u : 4u) && (what == 1 || (what >= 5 && what <= 8)) ? kOk
                                                                                        : kInvalid;
}
FP_BLAS cublasLtMatmulAlgoGetHeuristic(void* handle, Desc* d, Layout* a, Layout* b, Layout* c,
                                       Layout* out, void* preference, int wanted,
                                       Heuristic* results, int* found) {
  *found = 0;
  if (!handle || !preference || wanted < 1) return kInvalid;
  // Inner sizes and outer ones must agree, as the real one asks.
  const u64 m = d->transpose_a ? a->cols : a->rows, k = d->transpose_a ? a->rows : a->cols;
  const u64 n = d->transpose_b ? b->rows : b->cols, k_b = d->transpose_b ? b->cols : b->rows;
  if (k != k_b || out->rows != m || out->cols != n || c->rows != m || c->cols != n) return kInvalid;
  if (k % 8 != 0 || a->ld % 8 != 0 || b->ld % 8 != 0) return kUnsupported;
  memset(results, 0, sizeof *results);
  *found = 1;
  return kOk;
}
FP_BLAS cublasLtMatmul(void*, Desc* d, const float* alpha, u64 a, Layout* la, u64 b, Layout* lb,
                       const float* beta, u64 c, Layout* lc, u64 out, Layout* lo,
                       const Algorithm* algorithm, u64 workspace, u64 workspace_bytes,
                       void* stream) {
  if (!algorithm || !workspace || !workspace_bytes || !stream) return kInvalid;
  const u64 inner = d->transpose_a ? la->rows : la->cols;
  const bool is_wrong = getenv("FRAMEPACK_BLAS_WRONG") != nullptr;
  for (u64 j = 0; j < lo->cols; j++) {
    for (u64 i = 0; i < lo->rows; i++) {
      float sum = 0;
      for (u64 k = 0; k < inner; k++) {
        const u64 at_a = d->transpose_a ? k + i * la->ld : i + k * la->ld;
        const u64 at_b = d->transpose_b ? j + k * lb->ld : k + j * lb->ld;
        sum += get(a, la->type, at_a) * get(b, lb->type, at_b);
      }
      float y = *alpha * sum;
      if (*beta != 0) y += *beta * get(c, lc->type, i + j * lc->ld);
      if (d->epilogue & 4) y += get(d->bias, d->bias_type, i);
      if (d->epilogue & 32) y = 0.5f * y * (1 + tanhf(0.79788456f * (y + 0.044715f * y * y * y)));
      put(out, lo->type, i + j * lo->ld, is_wrong ? y + 1 : y);
    }
  }
  return kOk;
}
