// Causal 3D convolution as a matrix product that never builds its matrix: rows are output
// positions, columns are output channels, K runs over the kernel's taps and the input channels
// inside them.
//   x [T, H, W, I]    w [O, kt, kh, kw, I]    bias [O]    out, residual [To, Ho, Wo, O]
// Upsampling, replication padding and stride are index arithmetic; group norm's scale and shift and
// the activation are applied on load. Nothing enlarged, padded or normalised is ever written.
#include "tile.cuh"

struct ConvArgs {
  u64 out, x, w, residual;
  Param bias;
  u64 coeffs;  // f32 [2, I], 0: the input is taken as it is
  u32 dtype, w_dtype;
  u32 in[4];  // T, H, W, I
  u32 to[4];  // To, Ho, Wo, O
  u32 kernel[3], stride[3], up[3];
  u32 act;
  u64 in_strides[3], out_strides[3], residual_strides[3];  // in elements
  u64 positions;                                           // To * Ho * Wo
  u32 k;                                                   // kt * kh * kw * I
  u32 aligned;                                             // rows of out and residual on 16 bytes
};

// The corner of an output position's window in the upsampled input; may lie outside, before it.
struct Corner {
  i32 at[3];
};

FP_FN Corner corner_of(const ConvArgs& a, u64 position) {
  const u32 w = static_cast<u32>(position % a.to[2]),
            h = static_cast<u32>(position / a.to[2] % a.to[1]);
  const u32 t = static_cast<u32>(position / a.to[2] / a.to[1]);
  return Corner{{static_cast<i32>(t * a.stride[0]) - static_cast<i32>(a.kernel[0] - 1),
                 static_cast<i32>(h * a.stride[1]) - static_cast<i32>(a.kernel[1] / 2),
                 static_cast<i32>(w * a.stride[2]) - static_cast<i32>(a.kernel[2] / 2)}};
}

FP_FN i32 clamped(i32 v, i32 top) { return v < 0 ? 0 : v > top ? top : v; }

// The element of x that tap `tap` of a window begins with: padding repeats the edge of the
// upsampled input, in which frame 0 stands once and the others twice, rows and columns twice.
FP_FN u64 tap_offset(const ConvArgs& a, const Corner& c, u32 tap) {
  const i32 dw = static_cast<i32>(tap % a.kernel[2]),
            dh = static_cast<i32>(tap / a.kernel[2] % a.kernel[1]);
  const i32 dt = static_cast<i32>(tap / a.kernel[2] / a.kernel[1]);
  const i32 T = static_cast<i32>(a.in[0]), H = static_cast<i32>(a.in[1]),
            W = static_cast<i32>(a.in[2]);
  i32 t = clamped(c.at[0] + dt, a.up[0] ? 2 * T - 2 : T - 1);
  i32 h = clamped(c.at[1] + dh, a.up[1] ? 2 * H - 1 : H - 1);
  i32 w = clamped(c.at[2] + dw, a.up[2] ? 2 * W - 1 : W - 1);
  if (a.up[0]) t = FP_MUTANT(conv_frame) ? t >> 1 : (t + 1) >> 1;
  if (a.up[1]) h >>= 1;
  if (a.up[2]) w >>= 1;
  return static_cast<u64>(t) * a.in_strides[0] + static_cast<u64>(h) * a.in_strides[1] +
         static_cast<u64>(w) * a.in_strides[2];
}

struct ConvPlaces {
  const ConvArgs& a;
  FP_FN_MEMBER u64 at(u64 row, const u64* strides) const {
    return row / a.to[2] / a.to[1] * strides[0] + row / a.to[2] % a.to[1] * strides[1] +
           row % a.to[2] * strides[2];
  }
  FP_FN_MEMBER u64 out(u64 row) const { return at(row, a.out_strides); }
  FP_FN_MEMBER u64 residual(u64 row) const { return at(row, a.residual_strides); }
};

// ---------------------------------------------------------------- tile

// One thread brings two rows of A, the same chunk of eight channels of each, and two of W. I is a
// multiple of 8 and all rows are on 16 bytes, so that a chunk lies in one tap.
template <class T>
struct ConvFetch {
  Corner corner[2];
  bool is_row[2];
  u32 row, chunk;
};

template <class T>
FP_FN void fetch_weights(const ConvArgs& a, const ConvFetch<T>& f, u32 stage, u32 n0, u32 k) {
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    const u32 row = f.row + i * 64;
    const bool is_inside = n0 + row < a.to[3] && k < a.k;
    const T* p = reinterpret_cast<const T*>(a.w);
    if (is_inside) p += static_cast<u64>(n0 + row) * a.k + k;  // w[n0 + row, k ..]
    copy_async16(stage + kTileM * kTileK * 2 + tile_at(row, f.chunk), p, is_inside ? 16 : 0);
  }
}

template <class T>
FP_FN void fetch_input(const ConvArgs& a, const ConvFetch<T>& f, u32 stage, u32 k) {
  const u32 tap = k / a.in[3], c = k % a.in[3];
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    const bool is_inside = f.is_row[i] && k < a.k;
    const T* p = reinterpret_cast<const T*>(a.x);
    if (is_inside) p += tap_offset(a, f.corner[i], tap) + c;
    copy_async16(stage + tile_at(f.row + i * 64, f.chunk), p, is_inside ? 16 : 0);
  }
}

// With coefficients the input passes through registers: read before the multiplication, finished
// after it.
template <class T>
FP_FN void read_input(const ConvArgs& a, const ConvFetch<T>& f, u32 k, U4 (&raw)[2]) {
  const u32 tap = k / a.in[3], c = k % a.in[3];
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    raw[i] = U4{{0, 0, 0, 0}};
    if (f.is_row[i] && k < a.k)
      raw[i] = load<U4>(reinterpret_cast<const T*>(a.x) + tap_offset(a, f.corner[i], tap) + c);
  }
}

template <class T>
FP_FN void finish_input(const ConvArgs& a, const ConvFetch<T>& f, u32 stage, u32 k,
                        const U4 (&raw)[2]) {
  const float* coeffs = reinterpret_cast<const float*>(a.coeffs) + k % a.in[3];
  F8 scale, shift;
  FP_UNROLL for (u32 e = 0; e < 8; e++)
    scale.v[e] = shift.v[e] = 0;
  if (k < a.k) {
    scale = load8(coeffs);
    shift = load8(coeffs + a.in[3]);
  }
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    F8 x = widen8(raw[i], T{});
    FP_UNROLL for (u32 e = 0; e < 8; e++)
      x.v[e] = act_of(a.act, fma_exact(x.v[e], scale.v[e], shift.v[e]));
    const bool is_inside = f.is_row[i] && k < a.k;
    shared_store<U4>(stage + tile_at(f.row + i * 64, f.chunk),
                     is_inside ? narrow8<T>(x) : U4{{0, 0, 0, 0}});
  }
}

template <class T, bool through_registers>
FP_FN void conv3d_tile_body(const ConvArgs& a) {
  const u64 m0 = static_cast<u64>(block_x()) * kTileM;
  const u32 n0 = block_y() * kTileN;
  const u32 warp_m = warp_id() / 4 * kWarpM, warp_n = warp_id() % 4 * kWarpN;
  const u32 steps = (a.k + kTileK - 1) / kTileK;
  ConvFetch<T> f;
  f.row = thread_x() / 4;
  f.chunk = thread_x() % 4;
  FP_UNROLL for (u32 i = 0; i < 2; i++) {
    const u64 position = m0 + f.row + i * 64;
    f.is_row[i] = position < a.positions;
    f.corner[i] = corner_of(a, f.is_row[i] ? position : 0);
  }

  Sums sums;
  clear_sums(sums);
  U4 raw[2];
  FP_UNROLL for (u32 s = 0; s < kTileStages - 1; s++) {
    const u32 stage = s * kTileStageBytes, k = s * kTileK + f.chunk * 8;
    if (s < steps) {
      fetch_weights<T>(a, f, stage, n0, k);
      if (through_registers) {
        read_input<T>(a, f, k, raw);
        finish_input<T>(a, f, stage, k, raw);
      } else {
        fetch_input<T>(a, f, stage, k);
      }
    }
    copy_async_commit();
  }
  for (u32 step = 0; step < steps; step++) {
    copy_async_wait<kTileStages - 2>();
    sync_threads();  // this stage is complete, and nobody needs the one that is filled next
    const u32 next = step + kTileStages - 1;
    const u32 stage = next % kTileStages * kTileStageBytes, k = next * kTileK + f.chunk * 8;
    if (next < steps) {
      fetch_weights<T>(a, f, stage, n0, k);
      if (through_registers) read_input<T>(a, f, k, raw);
      else fetch_input<T>(a, f, stage, k);
    }
    copy_async_commit();
    tile_multiply<T>(sums, step % kTileStages * kTileStageBytes, warp_m, warp_n);
    if (FP_MUTANT(conv_divergent) && lane_id() < 16) sync_warp();
    if (through_registers && next < steps) finish_input<T>(a, f, stage, k, raw);
  }
  const Epilogue e = {a.out,       a.dtype, a.residual, a.bias,   Param{0, 0, 0},
                      a.positions, a.to[3], kNone,      a.aligned};
  store_tile<T>(e, ConvPlaces{a}, sums, m0 + warp_m, n0 + warp_n);
}

FP_KERNEL(conv3d_tile_bf16_kernel, ConvArgs, kTileThreads, 2) {
  conv3d_tile_body<bf16, false>(args);
}
FP_KERNEL(conv3d_tile_f16_kernel, ConvArgs, kTileThreads, 2) { conv3d_tile_body<f16, false>(args); }
FP_KERNEL(conv3d_tile_act_bf16_kernel, ConvArgs, kTileThreads, 1) {
  conv3d_tile_body<bf16, true>(args);
}
FP_KERNEL(conv3d_tile_act_f16_kernel, ConvArgs, kTileThreads, 1) {
  conv3d_tile_body<f16, true>(args);
}

// ---------------------------------------------------------------- plain

// f32 arithmetic, any types and any number of channels.
constexpr u32 kPlainThreads = 256, kPlainTile = 64, kPlainK = 16;
constexpr u32 kPlainPitch = (kPlainTile + 4) * 4;

// The input rounded to T after its activation, as the tensor cores would see it.
FP_FN float conv_input(const ConvArgs& a, const Corner& corner, u32 k) {
  const u32 c = k % a.in[3];
  const float x = load_any(a.x, a.dtype, tap_offset(a, corner, k / a.in[3]) + c);
  if (a.coeffs == 0) return x;
  const float* coeffs = reinterpret_cast<const float*>(a.coeffs) + c;
  const float y = act_of(a.act, fma_exact(x, load<float>(coeffs), load<float>(coeffs + a.in[3])));
  return a.dtype == kBF16 ? through<bf16>(y) : a.dtype == kF16 ? through<f16>(y) : y;
}

FP_FN void fetch_plain(const ConvArgs& a, const Corner& corner, bool is_row, u32 n0, u32 k0) {
  const u32 r = thread_x() / 4;
  FP_UNROLL for (u32 i = 0; i < 4; i++) {
    const u32 k = thread_x() % 4 + i * 4;
    const bool is_k = k0 + k < a.k;
    const float x = is_row && is_k ? conv_input(a, corner, k0 + k) : 0.0f;
    const bool is_w = is_k && n0 + r < a.to[3];
    const float w = is_w ? load_any(a.w, a.w_dtype, static_cast<u64>(n0 + r) * a.k + k0 + k) : 0.0f;
    shared_store<float>(k * kPlainPitch + r * 4, x);
    shared_store<float>((kPlainK + k) * kPlainPitch + r * 4, w);
  }
}

FP_KERNEL(conv3d_plain_kernel, ConvArgs, kPlainThreads, 2) {
  const u64 m0 = static_cast<u64>(block_x()) * kPlainTile;
  const u32 n0 = block_y() * kPlainTile;
  const u32 x = thread_x() % 16 * 4, y = thread_x() / 16 * 4;
  const bool is_row = m0 + thread_x() / 4 < args.positions;
  const Corner corner = corner_of(args, is_row ? m0 + thread_x() / 4 : 0);
  float sum[4][4] = {};
  for (u32 k0 = 0; k0 < args.k; k0 += kPlainK) {
    fetch_plain(args, corner, is_row, n0, k0);
    sync_threads();
    for (u32 k = 0; k < kPlainK; k++) {
      const U4 a = shared_load<U4>(k * kPlainPitch + y * 4);
      const U4 w = shared_load<U4>((kPlainK + k) * kPlainPitch + x * 4);
      FP_UNROLL for (u32 i = 0; i < 4; i++)
        FP_UNROLL for (u32 j = 0; j < 4; j++)
          sum[i][j] = fma_exact(float_of_bits(a.v[i]), float_of_bits(w.v[j]), sum[i][j]);
    }
    sync_threads();
  }
  const ConvPlaces places = {args};
  FP_UNROLL for (u32 i = 0; i < 4; i++) {
    const u64 row = m0 + y + i;
    if (row >= args.positions) continue;
    FP_UNROLL for (u32 j = 0; j < 4; j++) {
      const u32 col = n0 + x + j;
      if (col >= args.to[3]) continue;
      float v = sum[i][j] + param_at(args.bias, col);
      if (args.residual) v += load_any(args.residual, args.dtype, places.residual(row) + col);
      store_any(args.out, args.dtype, places.out(row) + col, v);
    }
  }
}
