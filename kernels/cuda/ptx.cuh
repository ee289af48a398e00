// device.cuh for nvcc: each wrapper is one PTX instruction or one built-in.
#pragma once

#define FP_FN static __device__ __forceinline__
// A kernel takes one struct by value. Blocks is the number of blocks per multiprocessor to leave registers for.
#define FP_KERNEL(name, Args, threads, blocks)                  \
  extern "C" __global__ void __launch_bounds__(threads, blocks) \
      name(const __grid_constant__ Args args)
#define FP_FN_SPECIAL __device__ __forceinline__
#define FP_FN_MEMBER __device__ __forceinline__
#define FP_UNROLL _Pragma("unroll")
#define FP_PRAGMA(words) _Pragma(#words)
#define FP_UNROLL_BY(n) FP_PRAGMA(unroll n)
// Planted faults exist in the emulation's own test build only.
#define FP_MUTANT(name) false

extern __shared__ __align__(1024) u8 fp_shared[];

FP_FN u32 thread_x() { return threadIdx.x; }
FP_FN u32 block_x() { return blockIdx.x; }
FP_FN u32 block_y() { return blockIdx.y; }
FP_FN u32 block_z() { return blockIdx.z; }
FP_FN u32 block_threads() { return blockDim.x; }
FP_FN u32 grid_x() { return gridDim.x; }
FP_FN u32 lane_id() { return threadIdx.x & 31u; }
// Broadcast, so that the compiler knows that a warp's index is one value for the warp.
FP_FN u32 warp_id() { return __shfl_sync(0xffffffffu, threadIdx.x >> 5, 0); }

// ---------------------------------------------------------------- barriers and warp collectives

FP_FN void sync_threads() { __syncthreads(); }
FP_FN void sync_warp() { __syncwarp(); }
FP_FN float shuffle_xor(float v, u32 mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
FP_FN double shuffle_xor(double v, u32 mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
FP_FN U2 shuffle_xor(U2 v, u32 mask) {
  v.v[0] = __shfl_xor_sync(0xffffffffu, v.v[0], mask);
  v.v[1] = __shfl_xor_sync(0xffffffffu, v.v[1], mask);
  return v;
}
FP_FN bool vote_any(bool v) { return __any_sync(0xffffffffu, v); }

// ---------------------------------------------------------------- memory

template <class V>
FP_FN V load(const void* p) {
  return *reinterpret_cast<const V*>(p);
}
template <class V>
FP_FN void store(void* p, V v) {
  *reinterpret_cast<V*>(p) = v;
}
template <class V>
FP_FN V shared_load(u32 at) {
  return *reinterpret_cast<const V*>(fp_shared + at);
}
template <class V>
FP_FN void shared_store(u32 at, V v) {
  *reinterpret_cast<V*>(fp_shared + at) = v;
}
FP_FN u32 shared_address(u32 at) {
  return static_cast<u32>(__cvta_generic_to_shared(fp_shared)) + at;
}

// Copies 16 bytes, of which the last 16 - bytes are zeros instead of source bytes.
FP_FN void copy_async16(u32 at, const void* src, u32 bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(at)), "l"(src),
               "r"(bytes)
               : "memory");
}
FP_FN void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Returns when all but the newest `pending` groups of this thread have landed.
template <int pending>
FP_FN void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// ---------------------------------------------------------------- tensor cores

// Four 8x8 matrices of 16-bit elements; lanes 8i..8i+7 give the row addresses of matrix i.
FP_FN void ldmatrix4(u32 at, u32 (&r)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(at))
               : "memory");
}
FP_FN void ldmatrix4_trans(u32 at, u32 (&r)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(at))
               : "memory");
}
// c[16,8] += a[16,16] b[16,8], fragments as the PTX manual lays them out, f32 sums.
template <class T>
FP_FN void mma16816(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1);
template <>
__device__ __forceinline__ void mma16816<bf16>(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void mma16816<f16>(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---------------------------------------------------------------- numbers

FP_FN float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
FP_FN float exp_of(float x) { return __expf(x); }
// Within 2 ulp for finite quotients; 0 for an infinite divisor.
FP_FN float divide(float a, float b) { return __fdividef(a, b); }
FP_FN float sqrt_exact(float x) { return __fsqrt_rn(x); }
FP_FN double sqrt_exact(double x) { return __dsqrt_rn(x); }
FP_FN float fma_exact(float a, float b, float c) { return __fmaf_rn(a, b, c); }
FP_FN float floor_exact(float x) { return floorf(x); }
FP_FN float trunc_exact(float x) { return truncf(x); }
FP_FN float max_of(float a, float b) { return fmaxf(a, b); }
FP_FN float min_of(float a, float b) { return fminf(a, b); }
FP_FN float float_of_bits(u32 b) { return __uint_as_float(b); }
FP_FN u32 bits_of_float(float x) { return __float_as_uint(x); }

FP_FN u16 bf16_bits(float x) {
  u16 r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
}
FP_FN u16 f16_bits(float x) {
  u16 r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
}
FP_FN float f16_value(u16 b) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(b));
  return r;
}
// Two floats, rounded, the first in the low half.
template <class T>
FP_FN u32 pack2(float lo, float hi);
template <>
__device__ __forceinline__ u32 pack2<bf16>(float lo, float hi) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
template <>
__device__ __forceinline__ u32 pack2<f16>(float lo, float hi) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
