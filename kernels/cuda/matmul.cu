// Matrix product with its epilogue: y = act(a w^T + bias), out = residual + gate * y.
//   a [M, K]    w [N, K]    bias, gate [N]    residual, out [M, N]    rows strided
// tile: tensor cores, both inputs of one 16-bit type. rows: few rows of a, one warp a column, memory bound.
// plain: f32 arithmetic, any types; also what the others are proven against.
#include "matmul.cuh"

FP_FN float epilogue(const MatmulArgs& a, float sum, u64 row, u32 col) {
  float y = act_of(a.act, a.bias.ptr ? sum + param_at(a.bias, col) : sum);
  if (a.residual.ptr == 0) return y;
  const float gate = a.gate.ptr ? param_at(a.gate, col) : 1.0f;
  return fma_exact(gate, y,
                   load_any(a.residual.ptr, a.residual.dtype, row * a.residual.stride + col));
}

// ---------------------------------------------------------------- tile

// Brings chunk `chunk` of one row of a matrix into shared memory; zeros beyond its rows and columns.
template <class T>
FP_FN void fetch_chunk(u32 at, const Rows& x, u32 row, u32 rows, u32 k, u32 cols) {
  const bool is_inside = row < rows && k < cols;
  const T* p = reinterpret_cast<const T*>(x.ptr);
  if (is_inside) p += row * x.stride + k;  // x[row, k]
  u32 count = is_inside ? cols - k : 0;
  if (FP_MUTANT(matmul_k_tail) && count == 5) count = 6;
  if (count > 8) count = 8;
  if (x.aligned) copy_async16(at, p, count * 2);
  else shared_store<U4>(at, gather8(p, count));
}

template <class T>
FP_FN void fetch_stage(const MatmulArgs& a, u32 stage, u32 m0, u32 n0, u32 k0) {
  const u32 chunk = thread_x() % 4;
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    const u32 row = thread_x() / 4 + i * 64;
    fetch_chunk<T>(stage + tile_at(row, chunk), a.a, m0 + row, a.m, k0 + chunk * 8, a.k);
    fetch_chunk<T>(stage + kTileM * kTileK * 2 + tile_at(row, chunk), a.w, n0 + row, a.n,
                   k0 + chunk * 8, a.k);
  }
}

template <class T>
FP_FN void matmul_tile_body(const MatmulArgs& a) {
  // Tiles go down eight rows of tiles before the next column, so that W's rows stay in L2.
  const u32 group = block_x() / (8 * a.tiles_n), first = group * 8;
  const u32 height = a.tiles_m - first < 8 ? a.tiles_m - first : 8;
  const u32 place = block_x() % (8 * a.tiles_n);
  const u32 m0 = (first + place % height) * kTileM, n0 = place / height * kTileN;
  const u32 warp_m = warp_id() / 4 * kWarpM, warp_n = warp_id() % 4 * kWarpN;
  const u32 steps = (a.k + kTileK - 1) / kTileK;

  Sums sums;
  clear_sums(sums);
  FP_UNROLL for (u32 s = 0; s < kTileStages - 1; s++) {
    if (s < steps) fetch_stage<T>(a, s * kTileStageBytes, m0, n0, s * kTileK);
    copy_async_commit();
  }
  for (u32 step = 0; step < steps; step++) {
    if (FP_MUTANT(matmul_no_wait)) copy_async_wait<kTileStages>();
    else copy_async_wait<kTileStages - 2>();
    // Everybody's copies have landed, and everybody is done with the stage that is filled next.
    if (!FP_MUTANT(matmul_no_barrier)) sync_threads();
    const u32 next = step + kTileStages - 1;
    if (next < steps)
      fetch_stage<T>(a, next % kTileStages * kTileStageBytes, m0, n0, next * kTileK);
    copy_async_commit();
    tile_multiply<T>(sums, step % kTileStages * kTileStageBytes, warp_m, warp_n);
  }
  store_tile<T>(epilogue_of(a), MatmulPlaces{a}, sums, m0 + warp_m, n0 + warp_n);
}

FP_KERNEL(matmul_tile_bf16_kernel, MatmulArgs, kTileThreads, 2) { matmul_tile_body<bf16>(args); }
FP_KERNEL(matmul_tile_f16_kernel, MatmulArgs, kTileThreads, 2) { matmul_tile_body<f16>(args); }

// ---------------------------------------------------------------- rows

constexpr u32 kRowsThreads = 128;
constexpr u32 kRowsEach = 4;

// A warp owns one column and four rows; its lanes share K. `vector`: rows on 16 bytes and K a multiple of 8.
FP_FN void rows_sum(const MatmulArgs& a, u32 col, u32 row, bool vector, float (&sum)[kRowsEach]) {
  const u32 width = vector ? 8 : 1;
  for (u32 k = lane_id() * width; k < a.k; k += 32 * width) {
    F8 w;
    if (vector) w = load8_any(a.w.ptr, a.w.dtype, col * a.w.stride + k);
    else w.v[0] = load_any(a.w.ptr, a.w.dtype, col * a.w.stride + k);
    FP_UNROLL for (u32 r = 0; r < kRowsEach; r++) {
      if (row + r >= a.m) continue;
      const u64 at = (row + r) * a.a.stride + k;  // a[row + r, k]
      if (!vector) {
        sum[r] = fma_exact(load_any(a.a.ptr, a.a.dtype, at), w.v[0], sum[r]);
        continue;
      }
      const F8 x = load8_any(a.a.ptr, a.a.dtype, at);
      FP_UNROLL for (u32 e = 0; e < 8; e++)
        sum[r] = fma_exact(x.v[e], w.v[e], sum[r]);
    }
  }
}

FP_KERNEL(matmul_rows_kernel, MatmulArgs, kRowsThreads, 4) {
  const u32 col = block_x() * (kRowsThreads / 32) + warp_id(), row = block_y() * kRowsEach;
  if (col >= args.n) return;
  float sum[kRowsEach] = {0, 0, 0, 0};
  rows_sum(args, col, row, args.a.aligned && args.w.aligned && args.k % 8 == 0, sum);
  FP_UNROLL for (u32 r = 0; r < kRowsEach; r++) {
    const float total = warp_sum(sum[r]);
    if (lane_id() != 0 || row + r >= args.m) continue;
    const u64 at = (row + r) * args.out.stride + col;
    store_any(args.out.ptr, args.out.dtype, at, epilogue(args, total, row + r, col));
  }
}

// ---------------------------------------------------------------- plain

constexpr u32 kPlainThreads = 256, kPlainTile = 64, kPlainK = 16;
constexpr u32 kPlainPitch = (kPlainTile + 4) * 4;

// One [64, 16] piece of x, transposed to [16, 64] floats.
FP_FN void fetch_plain(u32 at, const Rows& x, u32 row0, u32 rows, u32 k0, u32 cols) {
  for (u32 i = thread_x(); i < kPlainTile * kPlainK; i += kPlainThreads) {
    const u32 r = i / kPlainK, k = i % kPlainK;
    const bool is_inside = row0 + r < rows && k0 + k < cols;
    const float v = is_inside ? load_any(x.ptr, x.dtype, (row0 + r) * x.stride + k0 + k) : 0.0f;
    shared_store<float>(at + k * kPlainPitch + r * 4, v);
  }
}

FP_KERNEL(matmul_plain_kernel, MatmulArgs, kPlainThreads, 2) {
  const u32 m0 = block_y() * kPlainTile, n0 = block_x() * kPlainTile;
  const u32 x = thread_x() % 16 * 4, y = thread_x() / 16 * 4;
  float sum[4][4] = {};
  for (u32 k0 = 0; k0 < args.k; k0 += kPlainK) {
    fetch_plain(0, args.a, m0, args.m, k0, args.k);
    fetch_plain(kPlainK * kPlainPitch, args.w, n0, args.n, k0, args.k);
    sync_threads();
    for (u32 k = 0; k < kPlainK; k++) {
      const U4 a = shared_load<U4>(k * kPlainPitch + y * 4);
      const U4 w = shared_load<U4>((kPlainK + k) * kPlainPitch + x * 4);
      FP_UNROLL for (u32 i = 0; i < 4; i++) FP_UNROLL
        for (u32 j = 0; j < 4; j++)
          sum[i][j] = fma_exact(float_of_bits(a.v[i]), float_of_bits(w.v[j]), sum[i][j]);
    }
    sync_threads();
  }
  FP_UNROLL for (u32 i = 0; i < 4; i++) {
    FP_UNROLL for (u32 j = 0; j < 4; j++) {
      const u64 row = m0 + y + i;
      const u32 col = n0 + x + j;
      if (row < args.m && col < args.n)
        store_any(args.out.ptr, args.out.dtype, row * args.out.stride + col,
                  epilogue(args, sum[i][j], row, col));
    }
  }
}
