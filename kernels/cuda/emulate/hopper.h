// The emulator's part for sm_90a: mbarriers, tensor copies, warpgroup products, named barriers.
// What happened before what is kept by vector clocks: one count a warp, raised whenever the warp tells others of its
// work (arrivals), and one a mbarrier, its finished phases. Every 16 bytes of shared memory that copies fill or
// products read remember who wrote them and when each warp read them.
#pragma once

#include "engine.h"

namespace emu {

constexpr u32 kWarps = kThreadsMax / 32;
constexpr u32 kMbarriersMax = 32;
constexpr u32 kNamedMax = 16;
constexpr u32 kTensorCopiesMax = 64;
constexpr u32 kProductsMax = 96;
constexpr u32 kHeldMax = 4;
constexpr u32 kColumnsMax = 256;

struct Clock {
  u32 of[kWarps + kMbarriersMax];
};
struct Waiters {
  u64 bits[kThreadsMax / 64];
};
struct Mbarrier {
  u32 at, count, pending, phase;
  u32 warp, epoch;  // of the init
  i64 bytes;        // still expected
  Clock gathering, released;
  Waiters waiters;
};
struct Named {
  u32 arrived, threads;
  Clock gathering, released;
  Waiters waiters;
};

// A tensor map as kernels/cuda/hopper.zig writes it for the emulator.
constexpr u64 kMapMagic = 0x70616d726f736e74;
struct Map {
  u64 magic, address;
  u64 dims[3], strides[2];  // strides in bytes, of all dimensions but the first
  u32 box[3], rank;
};
struct Coordinates {
  i32 x, y, z;
};
struct TensorCopy {
  const Map* map;
  Coordinates from;
  u32 at, barrier;
  Site site;
};

// 16 bytes of shared memory.
struct Line {
  u32 writer, value;  // index of a clock's count and what it must have reached to see the bytes
  u32 stored_by;      // thread + 1 of an ordinary store that no proxy fence followed
  bool is_in_flight;
  u32 readers[kWarps];
};

struct Product {
  u32 kind, columns;
  u64 a, b;
  bool keep, is_rs;  // rs: a from registers, b MN-major
};
struct Pending {
  Product product;
  u32 slot;
  Site site;
  const u32* a[128];
};
struct Held {
  float* at;
  u32 count;
};
struct Warpgroup {
  u32 pending_len, groups_len;
  u32 group_ends[kProductsMax];
  u32 issued[128], committed[128];
  bool is_fenced[128];
  u32 waiting, wait_for;
  Held held[128][kHeldMax];
  Pending pending[kProductsMax];
};

struct Async {
  u32 lines_len, mbarriers_len, copies_len;
  Clock clocks[kWarps];
  Mbarrier mbarriers[kMbarriersMax];
  Named named[kNamedMax];
  TensorCopy copies[kTensorCopiesMax];
  Warpgroup groups[kWarps / 4];
  // Behind what a block's beginning clears.
  u32 lines_max;
  Line* lines;
  float (*sums)[kHeldMax][64][kColumnsMax];  // [warpgroup]
};

// ---------------------------------------------------------------- what hopper_host.h calls

void mbarrier_init(u32 at, u32 count, Site site);
void mbarrier_arrive(u32 at, u32 bytes, Site site);
void mbarrier_wait(u32 at, u32 parity, Site site);
void tensor_copy(u32 at, const void* map, Coordinates from, u32 rank, u32 barrier, Site site);
void fence_proxy_async();
void named_barrier(u32 id, u32 threads, bool waits, Site site);
void set_registers(u32 count, bool is_more, Site site);
void wgmma_fence();
void wgmma_commit(Site site);
void wgmma_wait(u32 pending, Site site);
void wgmma(const Product& p, float* sums, const u32* a, Site site);

// ---------------------------------------------------------------- what the engine calls

// A copy that nobody waited for any longer lands now; false when none is in flight.
bool async_land(Block& b);
// A block barrier: everybody knows what everybody did.
void async_join(Block& b);
// An ordinary store, before it.
void async_store(Block& b, u32 at, u32 bytes, Site site);
// The last thread of a block ends.
void async_end(Block& b);

// ---------------------------------------------------------------- between hopper.cpp and wgmma.cpp

Async& async_of(Block& b);
// Whether the warp may read the 16 bytes at `at` now; a fault is reported.
bool line_ok(Block& b, u32 at, Site site);
void wait_in(Waiters& w, Site site);
void wake_all(Block& b, Waiters& w);

}  // namespace emu
