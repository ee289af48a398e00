// What sm_90a adds to device.cuh, which includes this: mbarriers, the bulk tensor copy engine, warpgroup products,
// named barriers and registers handed between warpgroups. PTX for nvcc; emulate/hopper_host.h for a host compiler.
//   mbarrier: 8 bytes of shared memory; phases end when `count` arrivals and all expected bytes are there
//   tensor copy: a box of a tensor, rows of 128 bytes, swizzled; lands on an mbarrier
//   wgmma: 128 threads of four warps that begin at a multiple of four; sums belong to it until waited for
#pragma once

// A tensor as the copy engine sees it: an opaque word of the driver, or of emulate/ (kernels/cuda/hopper.zig).
struct alignas(64) TensorMap {
  u64 words[16];
};

#if defined(__CUDACC__)
#include "wgmma.cuh"

// ---------------------------------------------------------------- mbarriers

FP_FN void mbarrier_init(u32 at, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(at)), "r"(count)
               : "memory");
}
// Between the last init and the block barrier behind which others use them.
FP_FN void mbarrier_init_done() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
FP_FN void mbarrier_arrive(u32 at) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(at)) : "memory");
}
// Arrives, and the phase also waits for `bytes` of tensor copies.
FP_FN void mbarrier_expect(u32 at, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(at)),
               "r"(bytes)
               : "memory");
}
// Returns when the phase of this parity has ended; of parity 1 one has before the first begins.
FP_FN void mbarrier_wait(u32 at, u32 parity) {
  u32 is_over;
  do {
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(is_over)
        : "r"(shared_address(at)), "r"(parity)
        : "memory");
  } while (!is_over);
}

// ---------------------------------------------------------------- tensor copies

FP_FN void tensor_prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
FP_FN void tensor_copy(u32 at, const TensorMap& map, i32 x, i32 y, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(at)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y)
      : "memory");
}
FP_FN void tensor_copy(u32 at, const TensorMap& map, i32 x, i32 y, i32 z, u32 barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(at)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
// Ordinary stores of this thread become visible to wgmma and tensor copies that a barrier orders after it.
FP_FN void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---------------------------------------------------------------- warpgroups

// Before the first product that reads or writes registers which other instructions have touched.
FP_FN void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
FP_FN void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Returns when all but the newest `pending` groups are done.
template <int pending>
FP_FN void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
template <int count>
FP_FN void registers_give() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
FP_FN void registers_take() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
FP_FN bool elect_one() {
  u32 is_me;
  asm volatile(
      "{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}"
      : "=r"(is_me));
  return is_me != 0;
}
// Barrier `id` of 1 to 15, complete when `threads` have come; arrive does not wait for it.
FP_FN void named_sync(u32 id, u32 threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
FP_FN void named_arrive(u32 id, u32 threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#else
#include "emulate/hopper_host.h"
#endif

// ---------------------------------------------------------------- operands in shared memory

// A wgmma operand of 16-bit elements in rows of 128 swizzled bytes, eight rows to 1024 bytes.
//   K-major: a row holds 64 elements along K; a step of K = 16 is 32 bytes further
//   MN-major: a row holds 64 elements along M or N, the next 64 are `columns` bytes away; K = 16 is 2048 further
FP_FN u64 operand_at(u32 at, u32 columns) {
  const u64 swizzle = FP_MUTANT(sm90_swizzle) ? 2 : 1;  // 128 bytes
  return (shared_address(at) & 0x3ffffu) >> 4 | static_cast<u64>(columns >> 4) << 16 |
         static_cast<u64>(1024 >> 4) << 32 | swizzle << 62;
}

// Eight neighbouring columns of one row a lane from a row's share of the sums. sums[4 j + 2 half + e] is column
// 8 j + lane % 4 * 2 + e of row lane / 4 + 8 half; the columns returned begin at 32 g + lane % 4 * 8.
template <u32 count>
FP_FN F8 eight_columns(const float (&sums)[count], u32 g, u32 half) {
  U2 p[4];
  FP_UNROLL for (u32 n = 0; n < 4; n++) {
    const u32 i = 4 * (4 * g + n) + 2 * half;
    p[n] = U2{{bits_of_float(sums[i]), bits_of_float(sums[i + 1])}};
  }
  return eight_of_pairs(p);
}
