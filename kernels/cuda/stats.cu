// Reductions to a few numbers: health statistics of a tensor, and the mean over rows. Sums are f64
// and in a fixed order: first each block's share, then one block over the shares, so that the same
// input gives the same bytes.
#include "map.cuh"

constexpr u32 kStatsThreads = 256;
constexpr u32 kStatsFields = 6;

struct StatsArgs {
  MapArgs map;   // in[0] is the tensor; width 1 or 8
  u64 partials;  // f64 [blocks, 6]: non-finite, sum, sum of squares, min, max, finite
  u64 out;       // f32 [6]
  u32 blocks;
  u32 pad;
};

FP_FN double block_extreme(double v, bool is_max, u32 at) {
  FP_UNROLL for (u32 m = 16; m > 0; m >>= 1) {
    const double other = shuffle_xor(v, m);
    v = (is_max ? other > v : other < v) ? other : v;
  }
  if (lane_id() == 0) shared_store<double>(at + thread_x() / 32 * 8, v);
  sync_threads();
  for (u32 i = 0; i < block_threads() / 32; i++) {
    const double other = shared_load<double>(at + i * 8);
    v = (is_max ? other > v : other < v) ? other : v;
  }
  sync_threads();
  return v;
}

FP_FN void block_stats(double (&f)[kStatsFields]) {
  f[0] = block_sum(f[0], 0);
  f[1] = block_sum(f[1], 0);
  f[2] = block_sum(f[2], 0);
  f[3] = block_extreme(f[3], false, 0);
  f[4] = block_extreme(f[4], true, 0);
  f[5] = block_sum(f[5], 0);
}

FP_FN bool is_finite(float x) { return (bits_of_float(x) & 0x7f800000u) != 0x7f800000u; }

FP_KERNEL(stats_partial_kernel, StatsArgs, kStatsThreads, 2) {
  const MapArgs& m = args.map;
  const float huge = float_of_bits(0x7f800000u);
  double f[kStatsFields] = {0, 0, 0, huge, -huge, 0};
  for (u32 i = block_x() * kStatsThreads + thread_x(); i < m.count;
       i += args.blocks * kStatsThreads) {
    const u64 at = map_offset(m, m.in[0], map_place(m, i));
    F8 x;
    if (m.width == 8) x = load8_any(m.in[0].ptr, m.in[0].dtype, at);
    else x.v[0] = load_any(m.in[0].ptr, m.in[0].dtype, at);
    for (u32 e = 0; e < m.width; e++) {
      const double v = x.v[e];
      if (!is_finite(x.v[e])) {
        f[0] += 1;
        continue;
      }
      f[1] += v;
      f[2] += v * v;
      f[3] = v < f[3] ? v : f[3];
      f[4] = v > f[4] ? v : f[4];
      f[5] += 1;
    }
  }
  block_stats(f);
  double* out = reinterpret_cast<double*>(args.partials) + block_x() * kStatsFields;
  if (thread_x() == 0) {
    FP_UNROLL for (u32 k = 0; k < kStatsFields; k++)
      store(out + k, f[k]);
  }
}

FP_KERNEL(stats_kernel, StatsArgs, kStatsThreads, 2) {
  const float huge = float_of_bits(0x7f800000u);
  double f[kStatsFields] = {0, 0, 0, huge, -huge, 0};
  for (u32 b = thread_x(); b < args.blocks; b += kStatsThreads) {
    const double* p = reinterpret_cast<const double*>(args.partials) + b * kStatsFields;
    const double low = load<double>(p + 3), high = load<double>(p + 4);
    f[0] += load<double>(p);
    f[1] += load<double>(p + 1);
    f[2] += load<double>(p + 2);
    f[3] = low < f[3] ? low : f[3];
    f[4] = high > f[4] ? high : f[4];
    f[5] += load<double>(p + 5);
  }
  block_stats(f);
  if (thread_x() != 0) return;
  float* out = reinterpret_cast<float*>(args.out);
  const bool is_empty = f[5] == 0;
  const double n = is_empty ? 1 : f[5], mean = f[1] / n, spread = f[2] / n - mean * mean;
  const double low = is_empty ? 0 : f[3], high = is_empty ? 0 : f[4];
  store(out, static_cast<float>(f[0]));
  store(out + 1, static_cast<float>(low));
  store(out + 2, static_cast<float>(high));
  store(out + 3, static_cast<float>(mean));
  store(out + 4, static_cast<float>(sqrt_exact(spread > 0 ? spread : 0.0)));
  store(out + 5, static_cast<float>(-low > high ? -low : high));
}

// ---------------------------------------------------------------- mean over rows

// x [rows, cols] -> out [cols]. A block takes 32 columns, its 8 warps every eighth row.
struct MeanRowsArgs {
  Rows x;
  Param out;
  u32 rows, cols;
};

FP_KERNEL(mean_rows_kernel, MeanRowsArgs, kStatsThreads, 4) {
  const u32 c = block_x() * 32 + lane_id(), warp = thread_x() / 32;
  float sum = 0;
  if (c < args.cols) {
    for (u32 r = warp; r < args.rows; r += kStatsThreads / 32)
      sum += load_any(args.x.ptr, args.x.dtype, r * args.x.stride + c);
  }
  shared_store<float>(thread_x() * 4, sum);
  sync_threads();
  if (warp != 0 || c >= args.cols) return;
  float total = 0;
  for (u32 w = 0; w < kStatsThreads / 32; w++)
    total += shared_load<float>((w * 32 + lane_id()) * 4);
  store_any(args.out.ptr, args.out.dtype, c, total / static_cast<float>(args.rows));
}
