// Cast and re-layout. Between equal dtypes the bits travel untouched; otherwise through f32,
// rounded to nearest even.
#include "map.cuh"

struct CastOp {
  static constexpr u32 inputs = 1;
  FP_FN float apply(const MapArgs&, const float* x) { return x[0]; }
};

// Bits is the unsigned type of one element; eight of them are one to two 16-byte moves.
template <class Bits>
FP_FN void copy_raw_body(const MapArgs& a) {
  const u32 i = block_x() * kMapThreads + thread_x();
  if (i >= a.count) return;
  const MapPlace p = map_place(a, i);
  const Bits* from = reinterpret_cast<const Bits*>(a.in[0].ptr) + map_offset(a, a.in[0], p);
  Bits* to = reinterpret_cast<Bits*>(a.out.ptr) + map_offset(a, a.out, p);
  if (a.width == 1) {
    store(to, load<Bits>(from));
  } else if (sizeof(Bits) == 1) {
    store(to, load<U2>(from));
  } else {
    FP_UNROLL for (u32 k = 0; k < 8; k += 16 / sizeof(Bits))
      store(to + k, load<U4>(from + k));
  }
}

FP_KERNEL(copy_cast_kernel, MapArgs, kMapThreads, 4) { map_body<CastOp>(args); }
FP_KERNEL(copy_raw1_kernel, MapArgs, kMapThreads, 4) { copy_raw_body<u8>(args); }
FP_KERNEL(copy_raw2_kernel, MapArgs, kMapThreads, 4) { copy_raw_body<u16>(args); }
FP_KERNEL(copy_raw4_kernel, MapArgs, kMapThreads, 4) { copy_raw_body<u32>(args); }

// ---------------------------------------------------------------- permuting copies

// dst[c, r] = src[r, c] for matrices of 2- or 4-byte elements, batch by batch, through a tile in
// shared memory so that both sides move whole rows. The tile's rows are one word longer than 32 to
// spread them over the banks.
struct TransposeArgs {
  u64 dst, src;
  u64 dst_stride, src_stride;  // of dst's c and src's r, in elements
  u64 dst_batch, src_batch;
  u32 rows, cols;
};
constexpr u32 kTile = 32;

template <class Bits>
FP_FN void copy_transpose_body(const TransposeArgs& a) {
  const Bits* src = reinterpret_cast<const Bits*>(a.src) + block_z() * a.src_batch;
  Bits* dst = reinterpret_cast<Bits*>(a.dst) + block_z() * a.dst_batch;
  const u32 x = thread_x() % kTile, y = thread_x() / kTile;
  const u32 r0 = block_y() * kTile, c0 = block_x() * kTile;
  const u32 pitch = kTile + 4 / sizeof(Bits);
  for (u32 k = y; k < kTile; k += kMapThreads / kTile) {
    if (r0 + k < a.rows && c0 + x < a.cols) {
      const Bits v = load<Bits>(src + (r0 + k) * a.src_stride + c0 + x);  // src[r0 + k, c0 + x]
      shared_store<Bits>((k * pitch + x) * sizeof(Bits), v);
    }
  }
  if (!FP_MUTANT(copy_no_barrier)) sync_threads();
  for (u32 k = y; k < kTile; k += kMapThreads / kTile) {
    if (c0 + k < a.cols && r0 + x < a.rows) {
      const Bits v = shared_load<Bits>((x * pitch + k) * sizeof(Bits));
      store(dst + (c0 + k) * a.dst_stride + r0 + x, v);  // dst[c0 + k, r0 + x]
    }
  }
}

FP_KERNEL(copy_transpose2_kernel, TransposeArgs, kMapThreads, 4) { copy_transpose_body<u16>(args); }
FP_KERNEL(copy_transpose4_kernel, TransposeArgs, kMapThreads, 4) { copy_transpose_body<u32>(args); }
