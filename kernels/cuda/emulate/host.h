// device.cuh for a host compiler: the same wrappers, run by the emulator (engine.h).
// A block's threads are fibres of one OS thread. Collectives and barriers are rendezvous points, async copies
// land when waited for, every access of memory is checked. It proves meaning, not speed.
#pragma once

#include <math.h>
#include <string.h>

#include "engine.h"

#define FP_FN static inline
#define FP_FN_SPECIAL inline
#define FP_FN_MEMBER inline
#define FP_UNROLL
#define FP_UNROLL_BY(n)
#define FP_KERNEL(name, Args, threads, blocks)                                           \
  static void name(const Args& args);                                                    \
  static void name##_entry(const void* p) { name(*static_cast<const Args*>(p)); }        \
  static emu::Kernel name##_kernel{#name, name##_entry, sizeof(Args), threads, nullptr}; \
  static emu::Registration name##_registration{name##_kernel};                           \
  static void name(const Args& args)

// A planted fault: true in the build of the mutation check when FRAMEPACK_MUTANT names it.
#if defined(FP_MUTANTS)
#define FP_MUTANT(name) emu::is_mutant(#name)
#else
#define FP_MUTANT(name) false
#endif

// Where in the kernels a wrapper was called.
#define FP_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define FP_HERE \
  emu::Site { file, line }

FP_FN u32 thread_x() { return emu::self()->tid; }
FP_FN u32 lane_id() { return emu::self()->tid & 31u; }
FP_FN u32 warp_id() { return emu::self()->tid >> 5; }
FP_FN u32 block_x() { return emu::self()->block->index[0]; }
FP_FN u32 block_y() { return emu::self()->block->index[1]; }
FP_FN u32 block_z() { return emu::self()->block->index[2]; }
FP_FN u32 block_threads() { return emu::self()->block->threads; }
FP_FN u32 grid_x() { return emu::self()->block->grid[0]; }

// ---------------------------------------------------------------- barriers and warp collectives

FP_FN void sync_threads(FP_AT) { emu::block_barrier(FP_HERE); }
FP_FN void sync_warp(FP_AT) { emu::warp_collective(emu::kSyncWarp, nullptr, FP_HERE); }
template <class V>
FP_FN V shuffle_xor(V v, u32 mask, FP_AT) {
  static_assert(sizeof(V) <= sizeof(u64));
  emu::Shuffle op{0, 0, mask};
  memcpy(&op.in, &v, sizeof v);
  emu::warp_collective(emu::kShuffleXor, &op, FP_HERE);
  memcpy(&v, &op.out, sizeof v);
  return v;
}
FP_FN bool vote_any(bool v, FP_AT) {
  emu::Shuffle op{v, 0, 0};
  emu::warp_collective(emu::kVoteAny, &op, FP_HERE);
  return op.out != 0;
}

// ---------------------------------------------------------------- memory

template <class V>
FP_FN V load(const void* p, FP_AT) {
  V v;
  if (emu::global_ok(p, sizeof(V), FP_HERE)) memcpy(&v, p, sizeof v);
  else memset(&v, 0xff, sizeof v);
  return v;
}
template <class V>
FP_FN void store(void* p, V v, FP_AT) {
  if (emu::global_ok(p, sizeof(V), FP_HERE)) memcpy(p, &v, sizeof v);
}
template <class V>
FP_FN V shared_load(u32 at, FP_AT) {
  V v;
  const u8* p = emu::shared_read(at, sizeof(V), FP_HERE);
  if (p) memcpy(&v, p, sizeof v);
  else memset(&v, 0xff, sizeof v);
  return v;
}
template <class V>
FP_FN void shared_store(u32 at, V v, FP_AT) {
  u8* p = emu::shared_write(at, sizeof(V), FP_HERE);
  if (p) memcpy(p, &v, sizeof v);
}

FP_FN void copy_async16(u32 at, const void* src, u32 bytes, FP_AT) {
  emu::async_copy(at, src, bytes, FP_HERE);
}
FP_FN void copy_async_commit() { emu::async_commit(); }
template <int pending>
FP_FN void copy_async_wait() {
  emu::async_wait(pending);
}

// ---------------------------------------------------------------- tensor cores

FP_FN void ldmatrix4(u32 at, u32 (&r)[4], FP_AT) {
  emu::Ldmatrix op{at, r};
  emu::warp_collective(emu::kLdmatrix, &op, FP_HERE);
}
FP_FN void ldmatrix4_trans(u32 at, u32 (&r)[4], FP_AT) {
  emu::Ldmatrix op{at, r};
  emu::warp_collective(emu::kLdmatrixTrans, &op, FP_HERE);
}
FP_FN u32 mma_kind(bf16) { return emu::kMmaBf16; }
FP_FN u32 mma_kind(f16) { return emu::kMmaF16; }
template <class T>
FP_FN void mma16816(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1, FP_AT) {
  emu::Mma op{c, a, {b0, b1}};
  emu::warp_collective(mma_kind(T{}), &op, FP_HERE);
}

// ---------------------------------------------------------------- numbers

FP_FN float exp2_fast(float x) { return exp2f(x); }
FP_FN float exp_of(float x) { return expf(x); }
FP_FN float divide(float a, float b) { return a / b; }
FP_FN float sqrt_exact(float x) { return sqrtf(x); }
FP_FN double sqrt_exact(double x) { return sqrt(x); }
FP_FN float fma_exact(float a, float b, float c) { return fmaf(a, b, c); }
FP_FN float floor_exact(float x) { return floorf(x); }
FP_FN float trunc_exact(float x) { return truncf(x); }
FP_FN float max_of(float a, float b) { return fmaxf(a, b); }
FP_FN float min_of(float a, float b) { return fminf(a, b); }
FP_FN float float_of_bits(u32 b) {
  float x;
  memcpy(&x, &b, 4);
  return x;
}
FP_FN u32 bits_of_float(float x) {
  u32 b;
  memcpy(&b, &x, 4);
  return b;
}
FP_FN u16 bf16_bits(float x) { return emu::bf16_of(x); }
FP_FN u16 f16_bits(float x) { return emu::f16_of(x); }
FP_FN float f16_value(u16 b) { return emu::f16_to(b); }
FP_FN u32 pack_of(float lo, float hi, bf16) {
  return bf16_bits(lo) | static_cast<u32>(bf16_bits(hi)) << 16;
}
FP_FN u32 pack_of(float lo, float hi, f16) {
  return f16_bits(lo) | static_cast<u32>(f16_bits(hi)) << 16;
}
template <class T>
FP_FN u32 pack2(float lo, float hi) {
  return pack_of(lo, hi, T{});
}
