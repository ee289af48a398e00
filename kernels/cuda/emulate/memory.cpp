// The emulated device's memory, and which parts of it the running op may touch: its tensors and
// nothing else.
#include <stdlib.h>

#include "engine.h"

namespace emu {

namespace {
constexpr u64 kAlign = 256;
// The caller's list, which lasts as long as its launches.
const Range* ranges;
u32 ranges_len;
}  // namespace

bool global_slow(const void* p, u32 bytes, Site site) {
  const u64 a = reinterpret_cast<u64>(p);
  if (a & (bytes - 1)) {
    report(site, "access of %u bytes at %p is misaligned", bytes, p);
    return false;
  }
  for (u32 i = 0; i < ranges_len; i++) {
    const u64 offset = a - ranges[i].from;
    if (offset >= ranges[i].bytes || ranges[i].bytes - offset < bytes) continue;
    self()->block->last_range = ranges[i];
    return true;
  }
  i64 nearest = 0;
  for (u32 i = 0; i < ranges_len; i++) {
    const i64 past = static_cast<i64>(a - ranges[i].from - ranges[i].bytes);
    if (i == 0 || llabs(past) < llabs(nearest)) nearest = past;
  }
  report(site,
         "access of %u bytes at %p, outside every tensor of the op (%lld from the end of one)",
         bytes, p, nearest);
  return false;
}

}  // namespace emu

// ---------------------------------------------------------------- what emulated.zig calls

// Null when the host has no memory left. The memory is poison: NaN in every float dtype.
extern "C" void* fp_emu_alloc(u64 bytes) {
  const u64 room = (bytes + emu::kAlign - 1) / emu::kAlign * emu::kAlign;
  void* p = aligned_alloc(emu::kAlign, room);
  if (p) memset(p, 0xff, room);
  return p;
}

extern "C" void fp_emu_free(void* p) { free(p); }

extern "C" void fp_emu_ranges(const emu::Range* list, u32 count) {
  emu::ranges = list;
  emu::ranges_len = count;
}
