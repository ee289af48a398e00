// Barriers and tensor copies of sm_90a. A copy lands as late as it can: when every thread waits for something.
#include "hopper.h"

#include <stddef.h>
#include <stdlib.h>

namespace emu {

namespace {

u32 warp_of(const Fibre& f) { return f.tid / 32; }

void join(Clock& to, const Clock& from) {
  for (u32 i = 0; i < kWarps + kMbarriersMax; i++)
    if (from.of[i] > to.of[i]) to.of[i] = from.of[i];
}

// Tells `to` of everything this warp has done; what it does from now on is later.
void tell(Clock& to) {
  Fibre& f = *self();
  Clock& mine = f.block->async->clocks[warp_of(f)];
  join(to, mine);
  mine.of[warp_of(f)]++;
}

void learn(const Clock& from) {
  Fibre& f = *self();
  join(f.block->async->clocks[warp_of(f)], from);
}

Mbarrier& find(u32 at, Site site) {
  Block& b = *self()->block;
  Async& s = async_of(b);
  for (u32 i = 0; i < s.mbarriers_len; i++) {
    Mbarrier& m = s.mbarriers[i];
    if (m.at != at) continue;
    if (m.epoch == b.epoch && m.warp != warp_of(*self()))
      report(site, "mbarrier at %u: no barrier lies between its init and this", at);
    return m;
  }
  report(site, "there is no mbarrier at shared byte %u", at);
  abort_block();
}

void end_phase_if_over(Mbarrier& m) {
  if (m.pending != 0 || m.bytes != 0) return;
  Block& b = *self()->block;
  m.phase++;
  m.pending = m.count;
  m.gathering.of[kWarps + static_cast<u32>(&m - b.async->mbarriers)] = m.phase;
  m.released = m.gathering;
  wake_all(b, m.waiters);
}

u32 swizzled(u32 at) { return at ^ (at >> 7 & 7) << 4; }

// Whether the write that follows comes after all that was done to the line.
bool write_ok(Block& b, u32 line, Site site, const char* what) {
  const Line& l = b.async->lines[line];
  const Clock& mine = b.async->clocks[warp_of(*self())];
  if (l.is_in_flight) {
    report(site, "%s over a tensor copy in flight, at shared byte %u", what, line * 16);
    return false;
  }
  if (mine.of[l.writer] < l.value) {
    report(site, "race: %s of shared byte %u, of whose last write this warp has not heard", what,
           line * 16);
    return false;
  }
  for (u32 w = 0; w < kWarps; w++) {
    if (l.readers[w] <= mine.of[w] || w == warp_of(*self())) continue;
    report(site, "race: %s of shared byte %u, which warp %u may still read", what, line * 16, w);
    return false;
  }
  return true;
}

bool is_inside(const Map& m, u64 x, i64 y, i64 z) {
  return x < m.dims[0] && static_cast<u64>(y) < m.dims[1] && static_cast<u64>(z) < m.dims[2];
}

// One row of a box: eight chunks of eight 16-bit elements, zeros outside the tensor.
void land_row(Block& b, const TensorCopy& c, u32 row) {
  const Map& m = *c.map;
  const i64 y = static_cast<i64>(c.from.y) + row % m.box[1];
  const i64 z = static_cast<i64>(c.from.z) + row / m.box[1];
  for (u32 e = 0; e < 64; e++) {
    const u64 x = static_cast<u64>(c.from.x) + e;
    u16 bits = 0;
    if (is_inside(m, x, y, z)) {
      const u64 p = m.address + x * 2 + static_cast<u64>(y) * m.strides[0] +
                    static_cast<u64>(z) * m.strides[1];
      const u16* from = reinterpret_cast<const u16*>(p);
      bits = 0xffff;
      if (global_ok(from, 2, c.site)) bits = *from;
    }
    memcpy(b.shared + swizzled(c.at + row * 128 + e * 2), &bits, 2);
  }
}

bool map_ok(const Map& m, u32 rank, Site site) {
  if (m.magic != kMapMagic || m.rank != rank) {
    report(site, "a tensor copy with no tensor map of rank %u", rank);
    return false;
  }
  bool fits = m.address % 16 == 0 && m.box[0] == 64;
  for (u32 i = 1; i < rank; i++)
    fits = fits && m.strides[i - 1] % 16 == 0 && m.box[i] > 0 && m.box[i] <= 256;
  if (!fits) report(site, "a tensor map whose strides or boxes the copy engine does not take");
  return fits;
}

}  // namespace

Async& async_of(Block& b) {
  if (b.is_async) return *b.async;
  if (!b.async) b.async = static_cast<Async*>(calloc(1, sizeof(Async)));
  if (!b.async) abort();
  Async& s = *b.async;
  memset(&s, 0, offsetof(Async, lines_max));
  s.lines_len = (b.shared_size + 15) / 16;
  if (s.lines_len > s.lines_max) {
    free(s.lines);
    s.lines = static_cast<Line*>(malloc(s.lines_len * sizeof(Line)));
    s.lines_max = s.lines_len;
  }
  if (!s.sums)
    s.sums = static_cast<decltype(s.sums)>(malloc(kWarps / 4 * sizeof(*s.sums)));
  if (!s.lines || !s.sums) abort();
  memset(s.lines, 0, s.lines_len * sizeof(Line));
  // Counts begin at 1: a reader at 0 has never read.
  for (u32 w = 0; w < kWarps; w++) s.clocks[w].of[w] = 1;
  b.is_async = true;
  return s;
}

void wait_in(Waiters& w, Site site) {
  const u32 tid = self()->tid;
  w.bits[tid / 64] |= 1ull << (tid & 63);
  suspend(site);
}

void wake_all(Block& b, Waiters& w) {
  for (u32 t = 0; t < b.threads; t++)
    if (w.bits[t / 64] >> (t & 63) & 1) wake(b, t);
  w = {};
}

// ---------------------------------------------------------------- mbarriers

void mbarrier_init(u32 at, u32 count, Site site) {
  Block& b = *self()->block;
  Async& s = async_of(b);
  if (at % 8 != 0 || at + 8 > b.shared_size || count == 0) {
    report(site, "an mbarrier of %u arrivals at shared byte %u of %u", count, at, b.shared_size);
    return;
  }
  for (u32 i = 0; i < s.mbarriers_len; i++)
    if (s.mbarriers[i].at == at) report(site, "a second mbarrier at shared byte %u", at);
  if (s.mbarriers_len == kMbarriersMax) {
    report(site, "more than %u mbarriers", kMbarriersMax);
    abort_block();
  }
  Mbarrier& m = s.mbarriers[s.mbarriers_len++];
  m.at = at;
  m.count = m.pending = count;
  m.warp = warp_of(*self());
  m.epoch = b.epoch;
}

void mbarrier_arrive(u32 at, u32 bytes, Site site) {
  Mbarrier& m = find(at, site);
  if (m.pending == 0) {
    report(site, "mbarrier at %u: more arrivals than its %u in one phase", at, m.count);
    abort_block();
  }
  tell(m.gathering);
  m.bytes += bytes;
  m.pending--;
  end_phase_if_over(m);
}

void mbarrier_wait(u32 at, u32 parity, Site site) {
  Mbarrier& m = find(at, site);
  while ((m.phase & 1) == (parity & 1)) wait_in(m.waiters, site);
  learn(m.released);
}

// ---------------------------------------------------------------- tensor copies

void tensor_copy(u32 at, const void* map, Coordinates from, u32 rank, u32 barrier, Site site) {
  Block& b = *self()->block;
  Async& s = async_of(b);
  const Map& m = *static_cast<const Map*>(map);
  if (!map_ok(m, rank, site)) abort_block();
  const u32 bytes = m.box[1] * m.box[2] * 128;
  if (at % 1024 != 0 || at > b.shared_size || b.shared_size - at < bytes) {
    report(site, "a tensor copy of %u bytes to shared byte %u of %u", bytes, at, b.shared_size);
    abort_block();
  }
  find(barrier, site);
  if (s.copies_len == kTensorCopiesMax) {
    report(site, "more than %u tensor copies in flight", kTensorCopiesMax);
    abort_block();
  }
  for (u32 i = at / 16; i < (at + bytes) / 16; i++)
    if (!write_ok(b, i, site, "tensor copy")) break;
  for (u32 i = at / 16; i < (at + bytes) / 16; i++) {
    s.lines[i] = {};
    s.lines[i].is_in_flight = true;
  }
  memset(b.shared + at, 0xff, bytes);
  s.copies[s.copies_len++] = {&m, from, at, barrier, site};
}

// The newest goes first: nothing may depend on the order in which copies are asked for.
bool async_land(Block& b) {
  if (!b.is_async || b.async->copies_len == 0) return false;
  Async& s = *b.async;
  const TensorCopy c = s.copies[--s.copies_len];
  const u32 rows = c.map->box[1] * c.map->box[2];
  for (u32 r = 0; r < rows; r++) land_row(b, c, r);
  u32 index = 0;
  while (s.mbarriers[index].at != c.barrier) index++;
  Mbarrier& m = s.mbarriers[index];
  for (u32 i = c.at / 16; i < (c.at + rows * 128) / 16; i++) {
    s.lines[i].is_in_flight = false;
    s.lines[i].writer = kWarps + index;
    s.lines[i].value = m.phase + 1;
  }
  m.bytes -= rows * 128;
  if (m.bytes < 0) report(c.site, "mbarrier at %u: more bytes land than it expects", m.at);
  end_phase_if_over(m);
  return true;
}

void async_store(Block& b, u32 at, u32 bytes, Site site) {
  const Fibre& f = *self();
  for (u32 i = at / 16; i <= (at + bytes - 1) / 16; i++) {
    if (!write_ok(b, i, site, "write")) return;
    Line& l = b.async->lines[i];
    l = {};
    l.writer = warp_of(f);
    l.value = b.async->clocks[warp_of(f)].of[warp_of(f)];
    l.stored_by = f.tid + 1;
  }
}

void fence_proxy_async() {
  const Fibre& f = *self();
  Async& s = async_of(*f.block);
  for (u32 i = 0; i < s.lines_len; i++)
    if (s.lines[i].stored_by == f.tid + 1) s.lines[i].stored_by = 0;
}

bool line_ok(Block& b, u32 at, Site site) {
  const Line& l = b.async->lines[at / 16];
  const Clock& mine = b.async->clocks[warp_of(*self())];
  if (l.is_in_flight) {
    report(site, "product of shared byte %u while a copy to it is in flight", at);
  } else if (l.value == 0) {
    report(site, "product of shared byte %u that nothing has written", at);
  } else if (l.stored_by != 0) {
    report(site, "product of shared byte %u, stored with no proxy fence after it", at);
  } else if (mine.of[l.writer] < l.value) {
    report(site, "race: product of shared byte %u, of whose write this warp has not heard", at);
  } else {
    return true;
  }
  return false;
}

// ---------------------------------------------------------------- named barriers, block barriers, the end

void named_barrier(u32 id, u32 threads, bool waits, Site site) {
  Block& b = *self()->block;
  Async& s = async_of(b);
  if (id == 0 || id >= kNamedMax || threads % 32 != 0 || threads > b.threads) {
    report(site, "named barrier %u for %u threads", id, threads);
    abort_block();
  }
  Named& n = s.named[id];
  if (n.arrived == 0) n.threads = threads;
  if (n.threads != threads) {
    report(site, "named barrier %u for %u threads, others say %u", id, threads, n.threads);
    abort_block();
  }
  tell(n.gathering);
  n.arrived++;
  if (n.arrived == threads) {
    n.released = n.gathering;
    n.arrived = 0;
    wake_all(b, n.waiters);
  } else if (waits) {
    wait_in(n.waiters, site);
  } else {
    return;
  }
  if (waits) learn(n.released);
}

void set_registers(u32 count, bool is_more, Site site) {
  (void)is_more;
  if (count < 24 || count > 256 || count % 8 != 0)
    report(site, "%u registers a thread; 24 to 256 in eights", count);
}

void async_join(Block& b) {
  if (!b.is_async) return;
  Clock all = {};
  for (const Clock& c : b.async->clocks) join(all, c);
  for (u32 w = 0; w < kWarps; w++) {
    b.async->clocks[w] = all;
    b.async->clocks[w].of[w]++;
  }
}

void async_end(Block& b) {
  if (!b.is_async) return;
  const Async& s = *b.async;
  const Site here = {__FILE__, __LINE__};
  if (s.copies_len) report(s.copies[0].site, "a tensor copy that nobody waited for");
  for (const Mbarrier& m : s.mbarriers)
    if (m.bytes != 0) report(here, "mbarrier at %u still expects bytes at the end", m.at);
  for (u32 i = 0; i < kNamedMax; i++)
    if (s.named[i].arrived) report(here, "named barrier %u is half full at the end", i);
  for (const Warpgroup& g : s.groups)
    if (g.pending_len) report(g.pending[0].site, "a product that nobody waited for");
}

}  // namespace emu
