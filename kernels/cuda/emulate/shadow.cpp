// What happened to every two bytes of shared memory since the block began: who wrote and read them
// last, and whether an asynchronous copy is on its way to them. Two accesses of different threads,
// one a write, are a race unless a block barrier lies between them, or, inside one warp, a warp
// barrier.
#include "hopper.h"

namespace emu {

namespace {

// A stamp: block epoch (24 bits), warp epoch (24), thread (16). Thread numbers start at 1, so that
// 0 means never.
constexpr u32 kManyInBlock = 0xffff, kManyInWarp = 0x8000;

u64 stamp_of(const Block& b, u32 tid) {
  const u64 warp_epoch = b.warps[tid / 32].epoch & 0xffffffu;
  return static_cast<u64>(b.epoch & 0xffffffu) << 40 | warp_epoch << 16 | (tid + 1);
}
u32 thread_of(u64 stamp) { return static_cast<u32>(stamp & 0xffff); }

// Whether everything behind `before` is seen by the thread of `now`.
bool is_ordered(u64 before, u64 now) {
  if (before == 0 || (before >> 40) < (now >> 40)) return true;
  const u32 t = thread_of(before), me = thread_of(now);
  if (t == me) return true;
  if (t == kManyInBlock) return false;
  const u32 warp = (t & kManyInWarp) ? (t & 0x7fffu) : (t - 1) / 32;
  return warp == (me - 1) / 32 && (before >> 16 & 0xffffffu) < (now >> 16 & 0xffffffu);
}

// The readers to remember after `now` joins `before`.
u64 joined(u64 before, u64 now) {
  if (is_ordered(before, now)) return now;
  const u32 t = thread_of(before), me = thread_of(now);
  const u64 epochs = now & ~0xffffull;
  const u32 warp = (me - 1) / 32;
  const bool is_same_warp =
      t != kManyInBlock && ((t & kManyInWarp) ? (t & 0x7fffu) == warp : (t - 1) / 32 == warp);
  return epochs | (is_same_warp ? (kManyInWarp | warp) : kManyInBlock);
}

bool in_bounds(const Block& b, u32 at, u32 bytes, Site site, const char* what) {
  if (at > b.shared_size || b.shared_size - at < bytes) {
    report(site, "%s of %u bytes at %u, outside the block's %u bytes of shared memory", what, bytes,
           at, b.shared_size);
    return false;
  }
  if (at % bytes != 0) {
    report(site, "%s of %u bytes of shared memory at %u is misaligned", what, bytes, at);
    return false;
  }
  return true;
}

struct Cells {
  u32 from, to;
};
Cells cells_of(u32 at, u32 bytes) { return {at / 2, (at + bytes + 1) / 2}; }

bool is_uniform(const u64* p, u32 n) {
  u64 differs = 0;
  for (u32 i = 1; i < n; i++) differs |= p[i] ^ p[0];
  return differs == 0;
}

void check_write(Block& b, Cells c, u64 now, Site site, const char* what) {
  for (u32 i = c.from; i < c.to; i++) {
    if (b.in_flight[i]) {
      report(site, "%s over a copy in flight, at shared byte %u", what, i * 2);
      return;
    }
    if (!is_ordered(b.writers[i], now)) {
      report(site, "race: %s of shared byte %u after a write of thread %u, with no barrier between",
             what, i * 2, thread_of(b.writers[i]) - 1);
      return;
    }
    if (!is_ordered(b.readers[i], now)) {
      report(site, "race: %s of shared byte %u which another thread read, with no barrier between",
             what, i * 2);
      return;
    }
  }
}

bool check_read(Block& b, u32 cell, u64 now, Site site) {
  if (b.in_flight[cell]) {
    report(site, "read of shared byte %u while a copy to it is in flight", cell * 2);
  } else if (b.writers[cell] == 0) {
    report(site, "read of shared byte %u that nothing has written", cell * 2);
  } else if (!is_ordered(b.writers[cell], now)) {
    report(site, "race: read of shared byte %u after a write of thread %u, with no barrier between",
           cell * 2, thread_of(b.writers[cell]) - 1);
  } else {
    return true;
  }
  return false;
}

}  // namespace

void shadow_reset(Block& b) {
  const u32 cells = (b.shared_size + 1) / 2;
  memset(b.shared, 0xff, b.shared_size);
  memset(b.writers, 0, cells * sizeof(u64));
  memset(b.readers, 0, cells * sizeof(u64));
  memset(b.in_flight, 0, cells);
}

u8* shared_read(u32 at, u32 bytes, Site site, u32 tid) {
  Block& b = *self()->block;
  if (!in_bounds(b, at, bytes, site, "read")) return nullptr;
  const Cells c = cells_of(at, bytes);
  const u64 now = stamp_of(b, tid);
  const u32 n = c.to - c.from;
  u64 *writers = b.writers + c.from, *readers = b.readers + c.from;
  u8 flying = 0;
  for (u32 i = 0; i < n; i++) flying |= b.in_flight[c.from + i];
  if (!flying && is_uniform(writers, n) && is_uniform(readers, n)) {
    if (!check_read(b, c.from, now, site)) return b.shared + at;
    const u64 next = joined(readers[0], now);
    for (u32 i = 0; i < n; i++) readers[i] = next;
    return b.shared + at;
  }
  for (u32 i = c.from; i < c.to; i++) {
    if (!check_read(b, i, now, site)) break;
    b.readers[i] = joined(b.readers[i], now);
  }
  return b.shared + at;
}

u8* shared_write(u32 at, u32 bytes, Site site) {
  Block& b = *self()->block;
  if (!in_bounds(b, at, bytes, site, "write")) return nullptr;
  const Cells c = cells_of(at, bytes);
  const u64 now = stamp_of(b, self()->tid);
  check_write(b, c, now, site, "write");
  if (b.is_async) async_store(b, at, bytes, site);
  for (u32 i = c.from; i < c.to; i++) {
    b.writers[i] = now;
    b.readers[i] = 0;
  }
  return b.shared + at;
}

// ---------------------------------------------------------------- asynchronous copies

// From its issue on, the destination is poison and may not be touched; the bytes arrive with the
// wait.
void async_copy(u32 at, const void* src, u32 bytes, Site site) {
  Block& b = *self()->block;
  if (bytes > 16) {
    report(site, "an asynchronous copy of %u bytes; at most 16", bytes);
    return;
  }
  if (bytes && !global_ok(src, bytes == 16 ? 16 : 1, site)) return;
  if (bytes && bytes < 16 && !global_ok(static_cast<const u8*>(src) + bytes - 1, 1, site)) return;
  if (reinterpret_cast<u64>(src) % 16 != 0) {
    report(site, "an asynchronous copy from %p, which is misaligned", src);
    return;
  }
  if (!in_bounds(b, at, 16, site, "copy")) return;
  Fibre& f = *self();
  if (f.copies_len == kCopiesMax) {
    report(site, "more than %u asynchronous copies in flight", kCopiesMax);
    abort_block();
  }
  const Cells c = cells_of(at, 16);
  const u64 now = stamp_of(b, f.tid);
  check_write(b, c, now, site, "asynchronous copy");
  for (u32 i = c.from; i < c.to; i++) {
    b.writers[i] = now;
    b.readers[i] = 0;
    b.in_flight[i] = 1;
  }
  memset(b.shared + at, 0xff, 16);
  f.copies[f.copies_len++] = {at, bytes, f.groups, src};
}

void async_commit() { self()->groups++; }

void async_wait(u32 pending) {
  Fibre& f = *self();
  Block& b = *f.block;
  const u64 now = stamp_of(b, f.tid);
  u32 kept = 0;
  for (u32 n = 0; n < f.copies_len; n++) {
    const AsyncCopy copy = f.copies[n];
    // Groups are numbered from 0; `groups` is the number of the open one.
    if (copy.group + pending >= f.groups) {
      f.copies[kept++] = copy;
      continue;
    }
    memcpy(b.shared + copy.at, copy.src, copy.bytes);
    memset(b.shared + copy.at + copy.bytes, 0, 16 - copy.bytes);
    const Cells c = cells_of(copy.at, 16);
    for (u32 i = c.from; i < c.to; i++) {
      b.writers[i] = now;
      b.in_flight[i] = 0;
    }
  }
  f.copies_len = kept;
}

}  // namespace emu
