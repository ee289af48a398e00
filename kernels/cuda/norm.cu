// Layer norm, RMS norm, and the statistics of group norm.
#include "norm.cuh"

struct LayerNormRule {
  static constexpr bool kCentred = true;
  FP_FN float value(float n, float scale, float shift) { return fma_exact(n, scale, shift); }
};
// The normalised value is rounded before the weight, as the networks were trained.
template <class T>
struct RmsNormRule {
  static constexpr bool kCentred = false;
  FP_FN float value(float n, float scale, float) { return through<T>(n) * scale; }
};

FP_KERNEL(layer_norm_f32_kernel, NormArgs, kNormThreads, 4) {
  norm_body<float, LayerNormRule>(args);
}
FP_KERNEL(layer_norm_bf16_kernel, NormArgs, kNormThreads, 4) {
  norm_body<bf16, LayerNormRule>(args);
}
FP_KERNEL(layer_norm_f16_kernel, NormArgs, kNormThreads, 4) { norm_body<f16, LayerNormRule>(args); }
FP_KERNEL(rms_norm_f32_kernel, NormArgs, kNormThreads, 4) {
  norm_body<float, RmsNormRule<float>>(args);
}
FP_KERNEL(rms_norm_bf16_kernel, NormArgs, kNormThreads, 4) {
  norm_body<bf16, RmsNormRule<bf16>>(args);
}
FP_KERNEL(rms_norm_f16_kernel, NormArgs, kNormThreads, 4) {
  norm_body<f16, RmsNormRule<f16>>(args);
}

// ---------------------------------------------------------------- group norm

// Two passes: sums of x and x^2 per slab of positions and channel, then per group over all slabs. A
// thread sums differences from its slab's first position in f32, which keeps them small, and only
// the totals are f64.
struct GroupNormArgs {
  u64 out;       // f32 [2, C]
  u64 x;         // [positions, C]
  u64 partials;  // f64 [slabs, C, 2]
  u64 positions;
  Param weight, bias;
  u32 dtype;
  u32 channels, groups;
  u32 slab;  // positions a block of the first pass reads
  u32 slabs;
  float eps;
};
constexpr u32 kGroupThreads = 256;

// Sums of `width` channels from column `c` on, over the positions of this block that fall to one
// lane.
template <u32 width>
FP_FN void group_sums(const GroupNormArgs& a, u32 c, u32 lane, u32 lanes,
                      double (&sums)[2 * width]) {
  const u64 from = static_cast<u64>(block_x()) * a.slab;
  u64 to = from + a.slab;
  if (to > a.positions) to = a.positions;
  float pivot[width], s[width], q[width];
  FP_UNROLL for (u32 e = 0; e < width; e++) {
    pivot[e] = load_any(a.x, a.dtype, from * a.channels + c + e);
    s[e] = q[e] = 0;
  }
  u32 n = 0;
  for (u64 p = from + lane; p < to; p += lanes, n++) {
    F8 x;
    if (width == 8) x = load8_any(a.x, a.dtype, p * a.channels + c);
    else x.v[0] = load_any(a.x, a.dtype, p * a.channels + c);
    FP_UNROLL for (u32 e = 0; e < width; e++) {
      const float d = x.v[e] - pivot[e];
      s[e] += d;
      q[e] = fma_exact(d, d, q[e]);
    }
  }
  FP_UNROLL for (u32 e = 0; e < width; e++) {
    const double b = pivot[e], count = n, sum = s[e];
    sums[2 * e] = count * b + sum;
    sums[2 * e + 1] = static_cast<double>(q[e]) + 2 * b * sum + count * b * b;
  }
}

// A block's threads are `lanes` rows of `columns` chunks; block_y counts further columns.
template <u32 width>
FP_FN void group_norm_partial_body(const GroupNormArgs& a) {
  const u32 chunks = a.channels / width;
  const u32 columns = chunks < kGroupThreads ? chunks : kGroupThreads;
  const u32 lanes = kGroupThreads / columns;
  const u32 lane = thread_x() / columns, column = block_y() * columns + thread_x() % columns;
  const bool is_mine = lane < lanes && column < chunks;
  double sums[2 * width];
  if (is_mine) group_sums<width>(a, column * width, lane, lanes, sums);
  // Shared memory holds [lanes, columns * width, 2] sums.
  const u32 row = columns * width * 16;
  if (is_mine) {
    FP_UNROLL for (u32 e = 0; e < 2 * width; e++)
      shared_store<double>(lane * row + (thread_x() % columns) * width * 16 + e * 8, sums[e]);
  }
  sync_threads();
  double* partials =
      reinterpret_cast<double*>(a.partials) + static_cast<u64>(block_x()) * a.channels * 2;
  for (u32 i = thread_x(); i < columns * width * 2; i += kGroupThreads) {
    const u32 at = block_y() * columns * width * 2 + i;
    if (at >= a.channels * 2) break;
    double total = 0;
    for (u32 l = 0; l < lanes; l++) total += shared_load<double>(l * row + i * 8);
    store(partials + at, total);
  }
}

FP_KERNEL(group_norm_partial_kernel, GroupNormArgs, kGroupThreads, 2) {
  group_norm_partial_body<1>(args);
}
FP_KERNEL(group_norm_partial8_kernel, GroupNormArgs, kGroupThreads, 2) {
  group_norm_partial_body<8>(args);
}

// One block a group. An empty input has mean 0 and variance 0.
FP_KERNEL(group_norm_coeffs_kernel, GroupNormArgs, kGroupThreads, 2) {
  const u32 size = args.channels / args.groups, c0 = block_x() * size;
  const double* partials = reinterpret_cast<const double*>(args.partials);
  double sum = 0, squares = 0;
  for (u64 i = thread_x(); i < static_cast<u64>(args.slabs) * size; i += kGroupThreads) {
    const double* p =
        partials + (i / size * args.channels + c0 + i % size) * 2;  // partials[slab, c]
    sum += load<double>(p);
    squares += load<double>(p + 1);
  }
  sum = block_sum(sum, 0);
  squares = block_sum(squares, 0);
  const double n = args.positions ? static_cast<double>(args.positions) * size : 1.0;
  const double mean = sum / n;
  const double spread = squares / n - mean * mean;
  const float variance = static_cast<float>(spread > 0 ? spread : 0);
  const float inverse = 1.0f / sqrt_exact(variance + args.eps);
  float* out = reinterpret_cast<float*>(args.out);
  for (u32 c = c0 + thread_x(); c < c0 + size; c += kGroupThreads) {
    const float scale = param_at(args.weight, c) * inverse;
    store(out + c, scale);
    store(out + args.channels + c,
          fma_exact(-static_cast<float>(mean), scale, param_at(args.bias, c)));
  }
}
