// The emulator's inside as host.h sees it: fibres, blocks, the shadow of shared memory, rendezvous operands.
// One OS thread runs one block at a time; a block's fibres never leave their OS thread.
#pragma once

#include <string.h>

#include "../types.cuh"

namespace emu {

struct Site {
  const char* file;
  int line;
};

struct Kernel {
  const char* name;
  void (*entry)(const void*);
  u32 args_size;
  u32 threads_max;
  Kernel* next;
};
struct Registration {
  explicit Registration(Kernel& k);
};

// ---------------------------------------------------------------- a block and its fibres

constexpr u32 kThreadsMax = 512;
constexpr u32 kCopiesMax = 512;

// Addresses that the running op may touch.
struct Range {
  u64 from, bytes;
};

struct AsyncCopy {
  u32 at;
  u32 bytes;
  u32 group;
  const void* src;
};

struct Block;
struct Fibre {
  void* sp;
  Block* block;
  u32 tid;
  bool is_done;
  Site waits_at;
  u32 copies_len;
  u32 groups;
  AsyncCopy copies[kCopiesMax];
};

struct Warp {
  u32 arrived;
  u32 epoch;
  u32 kind;
  Site site;
  void* operands[32];
};

struct Launch;
struct Async;
struct Block {
  Launch* launch;
  u32 index[3];
  u32 grid[3];
  u32 threads;
  u32 live;
  u8* shared;
  u32 shared_size;
  // One cell for every two bytes of shared memory; see shadow.cpp.
  u64* writers;
  u64* readers;
  u8* in_flight;
  u32 epoch;
  u32 barrier_arrived;
  Site barrier_site;
  u64 runnable[kThreadsMax / 64];
  Range last_range;  // where the last access of global memory hit
  void* scheduler_sp;
  bool is_aborted;
  // sm_90a's barriers and copies (hopper.h), once the block has used one.
  bool is_async;
  Async* async;
  Warp warps[kThreadsMax / 32];
  Fibre fibres[kThreadsMax];
};

// Every fibre's stack begins, at its lowest address, with a pointer to the fibre; stacks are aligned to their size.
constexpr u64 kStackBytes = 128 << 10;
inline Fibre* self() {
#if defined(__x86_64__)
  u64 sp;
  asm("movq %%rsp, %0" : "=r"(sp));
#else
  const u64 sp = reinterpret_cast<u64>(__builtin_frame_address(0));
#endif
  return *reinterpret_cast<Fibre**>(sp & ~(kStackBytes - 1));
}

// The running fibre waits until another wakes it.
void suspend(Site site);
void wake(Block& b, u32 tid);
// Ends the running block after a fault that it cannot go on from.
[[noreturn]] void abort_block();
void report(Site site, const char* format, ...) __attribute__((format(printf, 2, 3)));

// ---------------------------------------------------------------- rendezvous

enum Collective : u32 {
  kSyncWarp,
  kShuffleXor,
  kVoteAny,
  kLdmatrix,
  kLdmatrixTrans,
  kMmaBf16,
  kMmaF16,
};
struct Shuffle {
  u64 in, out;
  u32 mask;
};
struct Ldmatrix {
  u32 at;
  u32* r;
};
struct Mma {
  float* c;
  const u32* a;
  u32 b[2];
};

void block_barrier(Site site);
void warp_collective(u32 kind, void* operand, Site site);
// Computes a collective once all 32 operands are there.
void execute(u32 kind, void** operands, Site site);

// ---------------------------------------------------------------- memory

bool global_slow(const void* p, u32 bytes, Site site);
inline bool global_ok(const void* p, u32 bytes, Site site) {
  const Range r = self()->block->last_range;
  const u64 a = reinterpret_cast<u64>(p), offset = a - r.from;
  if ((a & (bytes - 1)) == 0 && offset < r.bytes && r.bytes - offset >= bytes) return true;
  return global_slow(p, bytes, site);
}

// Null after a fault, which was reported.
u8* shared_read(u32 at, u32 bytes, Site site, u32 tid);
u8* shared_write(u32 at, u32 bytes, Site site);
inline u8* shared_read(u32 at, u32 bytes, Site site) {
  return shared_read(at, bytes, site, self()->tid);
}
void async_copy(u32 at, const void* src, u32 bytes, Site site);
void async_commit();
void async_wait(u32 pending);
void shadow_reset(Block& b);

// ---------------------------------------------------------------- numbers and faults

u16 bf16_of(float x);
inline float bf16_to(u16 b) {
  const u32 bits = static_cast<u32>(b) << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
inline u16 f16_of(float x) {
  const _Float16 h = static_cast<_Float16>(x);
  u16 b;
  memcpy(&b, &h, 2);
  return b;
}
inline float f16_to(u16 b) {
  _Float16 h;
  memcpy(&h, &b, 2);
  return static_cast<float>(h);
}
bool is_mutant(const char* name);

}  // namespace emu
