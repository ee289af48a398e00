// RMS norm of a head's row and its rotation, in place.
//   x [T, H, D] weight [D] or absent table f32 [R, 2 D] (cos, then sin) or absent one warp per (t,
//     h) row
// A lane holds pairs (a, b) of elements that turn together: neighbours 2i and 2i + 1, or i and i +
// D / 2.
#include "device.cuh"

struct RopeArgs {
  u64 x;
  u64 stride_t, stride_h;  // in elements
  Param weight;
  u64 table;
  u32 rows;  // of the table
  u32 tokens, heads, size;
  u32 style;  // 0 neighbours, 1 halves
  float eps;
};
constexpr u32 kRopeThreads = 128;
constexpr u32 kRopeWarps = kRopeThreads / 32;

// Pairs a lane holds: 2 reach D = 128, 8 reach D = 512.
template <class T, u32 pairs>
FP_FN void rope_body(const RopeArgs& a) {
  const u64 row = static_cast<u64>(block_x()) * kRopeWarps + warp_id();
  if (row >= static_cast<u64>(a.tokens) * a.heads) return;
  const u32 t = static_cast<u32>(row / a.heads), h = static_cast<u32>(row % a.heads);
  T* x = reinterpret_cast<T*>(a.x) + t * a.stride_t + h * a.stride_h;  // x[t, h, :]
  const u32 size = a.size, half = size / 2;
  float va[pairs], vb[pairs];
  float squares = 0;
  FP_UNROLL for (u32 k = 0; k < pairs; k++) {
    const u32 p = lane_id() + 32 * k;
    const u32 ia = a.style ? p : 2 * p, ib = a.style ? p + half : 2 * p + 1;
    const bool has_a = 2 * p < size, has_b = 2 * p + 1 < size;
    va[k] = has_a ? value_of(load<T>(x + ia)) : 0.0f;
    vb[k] = has_b ? value_of(load<T>(x + ib)) : 0.0f;
    squares = fma_exact(va[k], va[k], fma_exact(vb[k], vb[k], squares));
  }
  if (a.weight.ptr) {
    const float inverse = 1.0f / sqrt_exact(warp_sum(squares) / static_cast<float>(size) + a.eps);
    FP_UNROLL for (u32 k = 0; k < pairs; k++) {
      const u32 p = lane_id() + 32 * k;
      const u32 ia = a.style ? p : 2 * p, ib = a.style ? p + half : 2 * p + 1;
      if (2 * p < size) va[k] = through<T>(through<T>(va[k] * inverse) * param_at(a.weight, ia));
      if (2 * p + 1 < size)
        vb[k] = through<T>(through<T>(vb[k] * inverse) * param_at(a.weight, ib));
    }
  }
  const bool turns = a.table != 0 && t < a.rows;
  const float* cosines =
      reinterpret_cast<const float*>(a.table) + static_cast<u64>(t) * 2 * size;  // table[t, :]
  FP_UNROLL for (u32 k = 0; k < pairs; k++) {
    const u32 p = lane_id() + 32 * k;
    const u32 ia = a.style ? p : 2 * p, ib = a.style ? p + half : 2 * p + 1;
    if (2 * p >= size) continue;
    float ya = va[k], yb = vb[k];
    if (turns) {
      ya = va[k] * load<float>(cosines + ia) -
           vb[k] * load<float>(cosines + size + (FP_MUTANT(rope_index) ? ib : ia));
      yb = vb[k] * load<float>(cosines + ib) + va[k] * load<float>(cosines + size + ib);
    }
    store(x + ia, rounded<T>(ya));
    if (2 * p + 1 < size) store(x + ib, rounded<T>(yb));
  }
}

FP_KERNEL(qk_norm_rope_f32_kernel, RopeArgs, kRopeThreads, 4) { rope_body<float, 8>(args); }
FP_KERNEL(qk_norm_rope_bf16_kernel, RopeArgs, kRopeThreads, 4) { rope_body<bf16, 8>(args); }
FP_KERNEL(qk_norm_rope_f16_kernel, RopeArgs, kRopeThreads, 4) { rope_body<f16, 8>(args); }

// ---------------------------------------------------------------- the transformer's case

// D = 128, bf16, neighbours, rows on 8 bytes: a lane holds elements 4 lane .. 4 lane + 3, one
// 8-byte move each way.
FP_KERNEL(qk_norm_rope_128_kernel, RopeArgs, kRopeThreads, 8) {
  const u64 row = static_cast<u64>(block_x()) * kRopeWarps + warp_id();
  if (row >= static_cast<u64>(args.tokens) * args.heads) return;
  const u32 t = static_cast<u32>(row / args.heads), h = static_cast<u32>(row % args.heads);
  const u32 e0 = lane_id() * 4;
  bf16* x =
      reinterpret_cast<bf16*>(args.x) + t * args.stride_t + h * args.stride_h + e0;  // x[t, h, e0]
  const U2 in = load<U2>(x);
  float v[4];
  FP_UNROLL for (int k = 0; k < 4; k++)
    v[k] = float_of_bits(k % 2 ? in.v[k / 2] & 0xffff0000u : in.v[k / 2] << 16);
  if (args.weight.ptr) {
    float squares = 0;
    FP_UNROLL for (int k = 0; k < 4; k++)
      squares = fma_exact(v[k], v[k], squares);
    const float inverse = 1.0f / sqrt_exact(warp_sum(squares) * (1.0f / 128.0f) + args.eps);
    FP_UNROLL for (int k = 0; k < 4; k++)
      v[k] = through<bf16>(through<bf16>(v[k] * inverse) * param_at(args.weight, e0 + k));
  }
  if (args.table != 0 && t < args.rows) {
    const float* table =
        reinterpret_cast<const float*>(args.table) + static_cast<u64>(t) * 256 + e0;
    const U4 c = load<U4>(table), s = load<U4>(table + 128);  // cos and sin of e0 .. e0 + 3
    FP_UNROLL for (int k = 0; k < 4; k += 2) {
      const float a = v[k], b = v[k + 1];
      v[k] = a * float_of_bits(c.v[k]) - b * float_of_bits(s.v[k]);
      v[k + 1] = b * float_of_bits(c.v[k + 1]) + a * float_of_bits(s.v[k + 1]);
    }
  }
  store(x, U2{{pack2<bf16>(v[0], v[1]), pack2<bf16>(v[2], v[3])}});
}
