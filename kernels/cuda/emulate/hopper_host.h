// hopper.cuh for a host compiler: the same wrappers, run by the emulator (hopper.h).
#pragma once

#include "hopper.h"

FP_FN u32 shared_address(u32 at) { return at; }

FP_FN void mbarrier_init(u32 at, u32 count, FP_AT) { emu::mbarrier_init(at, count, FP_HERE); }
FP_FN void mbarrier_init_done() {}
FP_FN void mbarrier_arrive(u32 at, FP_AT) { emu::mbarrier_arrive(at, 0, FP_HERE); }
FP_FN void mbarrier_expect(u32 at, u32 bytes, FP_AT) { emu::mbarrier_arrive(at, bytes, FP_HERE); }
FP_FN void mbarrier_wait(u32 at, u32 parity, FP_AT) { emu::mbarrier_wait(at, parity, FP_HERE); }

FP_FN void tensor_prefetch(const TensorMap&) {}
FP_FN void tensor_copy(u32 at, const TensorMap& map, i32 x, i32 y, u32 barrier, FP_AT) {
  emu::tensor_copy(at, &map, {x, y, 0}, 2, barrier, FP_HERE);
}
FP_FN void tensor_copy(u32 at, const TensorMap& map, i32 x, i32 y, i32 z, u32 barrier, FP_AT) {
  emu::tensor_copy(at, &map, {x, y, z}, 3, barrier, FP_HERE);
}
FP_FN void fence_proxy_async() { emu::fence_proxy_async(); }

FP_FN void wgmma_fence() { emu::wgmma_fence(); }
FP_FN void wgmma_commit(FP_AT) { emu::wgmma_commit(FP_HERE); }
template <int pending>
FP_FN void wgmma_wait(FP_AT) {
  emu::wgmma_wait(pending, FP_HERE);
}
template <class T, u32 n>
FP_FN void wgmma(float (&d)[n / 2], u64 a, u64 b, bool keep, FP_AT) {
  emu::wgmma({mma_kind(T{}), n, a, b, keep, false}, d, nullptr, FP_HERE);
}
template <class T, u32 n>
FP_FN void wgmma_rs(float (&d)[n / 2], const u32 (&a)[4], u64 b, bool keep, FP_AT) {
  emu::wgmma({mma_kind(T{}), n, 0, b, keep, true}, d, a, FP_HERE);
}
template <u32 n>
FP_FN void wgmma_hold(float (&)[n]) {}

template <int count>
FP_FN void registers_give(FP_AT) {
  emu::set_registers(count, false, FP_HERE);
}
template <int count>
FP_FN void registers_take(FP_AT) {
  emu::set_registers(count, true, FP_HERE);
}
FP_FN bool elect_one() { return lane_id() == 0; }
FP_FN void named_sync(u32 id, u32 threads, FP_AT) {
  emu::named_barrier(id, threads, true, FP_HERE);
}
FP_FN void named_arrive(u32 id, u32 threads, FP_AT) {
  emu::named_barrier(id, threads, false, FP_HERE);
}
