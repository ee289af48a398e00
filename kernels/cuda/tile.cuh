// The matrix product of one warp's tile from shared memory, shared by matmul.cu and conv3d.cu.
// A block owns out[128, 128] and walks K in steps of 32: a stage of shared memory is A [128, 32] then W [128, 32],
// both 16-bit, rows of 64 bytes. Eight warps, two down by four across, own 64 x 32 each.
//   128 x 128: 64 sums a thread leave two blocks a multiprocessor; 32 deep: 16 KiB a stage, three stages in 48 KiB
#pragma once

#include "device.cuh"

constexpr u32 kTileM = 128, kTileN = 128, kTileK = 32;
constexpr u32 kTileThreads = 256;
constexpr u32 kTileStages = 3;
constexpr u32 kTileStageBytes = (kTileM + kTileN) * kTileK * 2;
constexpr u32 kWarpM = 64, kWarpN = 32;

// Byte offset of a 16-byte chunk. Chunks are exchanged within a row so that eight rows of one column, which
// ldmatrix reads at once, fall on eight different groups of banks.
FP_FN u32 tile_at(u32 row, u32 chunk) { return row * 64 + ((chunk ^ (row >> 1 & 3)) * 16); }

struct Sums {
  float c[4][4][4];  // [16 rows, 8 columns, fragment]
};

FP_FN void clear_sums(Sums& s) {
  FP_UNROLL for (int m = 0; m < 4; m++) FP_UNROLL
    for (int n = 0; n < 4; n++) FP_UNROLL
      for (int i = 0; i < 4; i++) s.c[m][n][i] = 0;
}

// sums += A W^T over the stage at byte `stage`.
template <class T>
FP_FN void tile_multiply(Sums& s, u32 stage, u32 warp_m, u32 warp_n) {
  const u32 lane = lane_id();
  FP_UNROLL for (u32 k = 0; k < 2; k++) {
    u32 a[4][4], b[2][4];
    // Matrices of A: rows 0-7 and 8-15, then the same rows eight columns on.
    FP_UNROLL for (u32 m = 0; m < 4; m++)
      ldmatrix4(stage + tile_at(warp_m + m * 16 + lane % 16, k * 2 + lane / 16), a[m]);
    // Matrices of W: rows 0-7 at columns 0 and 8, then rows 8-15.
    FP_UNROLL for (u32 n = 0; n < 2; n++) {
      const u32 row = warp_n + n * 16 + lane % 8 + lane / 16 * 8, chunk = k * 2 + lane / 8 % 2;
      const u32 at = FP_MUTANT(tile_swizzle) ? row * 64 + chunk * 16 : tile_at(row, chunk);
      ldmatrix4(stage + kTileM * kTileK * 2 + at, b[n]);
    }
    FP_UNROLL for (u32 m = 0; m < 4; m++) FP_UNROLL
      for (u32 n = 0; n < 4; n++)
        mma16816<T>(s.c[m][n], a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
  }
}

// The sums of 16-row group m, half 0 or 1: eight neighbouring columns of one row a lane instead of four pairs.
// The row is m * 16 + half * 8 + lane / 4, the columns begin at lane % 4 * 8.
FP_FN F8 tile_row(const Sums& s, u32 m, u32 half) {
  U2 p[4];
  FP_UNROLL for (u32 n = 0; n < 4; n++)
    p[n] = U2{{bits_of_float(s.c[m][n][half * 2]), bits_of_float(s.c[m][n][half * 2 + 1])}};
  return eight_of_pairs(p);
}

// ---------------------------------------------------------------- epilogue

// out = residual + gate * act(sum + bias); residual has out's dtype.
struct Epilogue {
  u64 out;
  u32 dtype;
  u64 residual;  // 0: none
  Param bias, gate;
  u64 rows;
  u32 cols;
  u32 act;
  u32 aligned;  // every eighth element of every row is on 16 bytes
};

// What the epilogue needs of eight columns, read once for all rows.
struct Columns {
  u32 col;
  bool is_whole;
  float bias[8], gate[8];
};

// whole: known to be all inside and on 16 bytes, or all outside.
template <bool whole>
FP_FN void load_columns(const Param& p, u32 col, u32 cols, float absent, float (&x)[8]) {
  FP_UNROLL for (u32 e = 0; e < 8; e++)
    x[e] = absent;
  if (p.ptr == 0 || col >= cols) return;
  if (whole || (p.ptr % 16 == 0 && col + 8 <= cols)) {
    const F8 v = load8_any(p.ptr, p.dtype, col);
    FP_UNROLL for (u32 e = 0; e < 8; e++)
      x[e] = v.v[e];
    return;
  }
  if constexpr (!whole) {
    FP_UNROLL for (u32 e = 0; e < 8; e++)
      if (col + e < cols) x[e] = param_at(p, col + e);
  }
}

template <bool whole>
FP_FN Columns columns_of(const Epilogue& a, u32 col) {
  Columns c;
  c.col = col;
  c.is_whole = whole || (a.aligned && col + 8 <= a.cols);
  load_columns<whole>(a.bias, col, a.cols, 0.0f, c.bias);
  load_columns<whole>(a.gate, col, a.cols, 1.0f, c.gate);
  return c;
}

// places.out(row) and places.residual(row) are the elements at which a row begins.
template <class T, class Places>
FP_FN void store_eight(const Epilogue& a, const Places& places, const Columns& c, u64 row, F8 y) {
  const u32 col = c.col;
  if (row >= a.rows || col >= a.cols) return;
  FP_UNROLL for (u32 e = 0; e < 8; e++)
    y.v[e] += c.bias[e];
  if (a.act != kNone) {
    FP_UNROLL for (u32 e = 0; e < 8; e++)
      y.v[e] = act_of(a.act, y.v[e]);
  }
  const u64 to = places.out(row) + col;
  const u64 from = a.residual ? places.residual(row) + col : 0;
  if (c.is_whole) {
    if (a.residual) {
      const F8 r = load8_two<T>(a.residual, a.dtype, from);
      FP_UNROLL for (u32 e = 0; e < 8; e++)
        y.v[e] = fma_exact(c.gate[e], y.v[e], r.v[e]);
    }
    store8_two<T>(a.out, a.dtype, to, y);  // out[row, col ..]
    return;
  }
  FP_UNROLL for (u32 e = 0; e < 8; e++) {
    if (col + e >= a.cols) continue;
    float v = y.v[e];
    if (a.residual) v = fma_exact(c.gate[e], v, load_two<T>(a.residual, a.dtype, from + e));
    store_two<T>(a.out, a.dtype, to + e, v);
  }
}

template <class T, class Places>
FP_FN void store_tile(const Epilogue& a, const Places& places, const Sums& s, u64 m0, u32 n0) {
  const Columns c = columns_of<false>(a, n0 + lane_id() % 4 * 8);
  FP_UNROLL for (u32 g = 0; g < 8; g++)
    store_eight<T>(a, places, c, m0 + g * 8 + lane_id() / 4, tile_row(s, g / 2, g % 2));
}
