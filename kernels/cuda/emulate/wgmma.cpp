// Warpgroup products. The sums are taken away from a thread's registers when a product is issued, which are poison
// until the wait that ends it; operands are read only then, so that whoever reuses them too early is found out.
#include "hopper.h"

namespace emu {

namespace {

typedef float Vec8 __attribute__((vector_size(32)));
constexpr u32 kPoison = 0x7fc0dead;

struct Place {
  Block& b;
  Async& s;
  Warpgroup& g;
  u32 index, thread;
};

Place here() {
  Fibre& f = *self();
  Async& s = async_of(*f.block);
  return {*f.block, s, s.groups[f.tid / 128], f.tid / 128, f.tid % 128};
}

// ---------------------------------------------------------------- operands in shared memory

struct Operand {
  u32 start, leading, stride, pitch, mask;
};

Operand decode(u64 d, Site site) {
  const u32 mode = static_cast<u32>(d >> 62);
  if (mode == 0 || (d >> 49 & 7) != 0) {
    report(site, "a product's operand with no swizzle or with a base offset");
    abort_block();
  }
  // Rows of 128, 64 or 32 bytes, whose chunks are exchanged within 8, 4 or 2.
  return {static_cast<u32>(d & 0x3fff) << 4, static_cast<u32>(d >> 16 & 0x3fff) << 4,
          static_cast<u32>(d >> 32 & 0x3fff) << 4, 256u >> mode, (16u >> mode) - 1};
}

u32 swizzled(const Operand& o, u32 at) { return at ^ (at >> 7 & o.mask) << 4; }

// The 16 bytes that hold K = 8 chunk .. of row `row`.
u32 k_major(const Operand& o, u32 row, u32 chunk) {
  return swizzled(o, o.start + row / 8 * o.stride + row % 8 * o.pitch + chunk * 16);
}
// The 16 bytes that hold rows 8 chunk .. of K = k.
u32 mn_major(const Operand& o, u32 chunk, u32 k) {
  const u32 wide = o.pitch / 16;
  return swizzled(o, o.start + chunk / wide * o.leading + chunk % wide * 16 + k % 8 * o.pitch +
                         k / 8 * o.stride);
}

// Every 16-byte line of an operand with `rows` rows along M or N.
template <class Use>
void each_line(u64 descriptor, u32 rows, bool is_mn, Site site, Use use) {
  const Operand o = decode(descriptor, site);
  for (u32 i = 0; i < rows * 2; i++)
    use(is_mn ? mn_major(o, i / 16, i % 16) : k_major(o, i / 2, i % 2), i);
}

bool in_bounds(const Block& b, u32 at, Site site) {
  if (at + 16 <= b.shared_size) return true;
  report(site, "a product's operand at %u, outside the block's %u bytes of shared memory", at,
         b.shared_size);
  return false;
}

// Both operands' lines, as this warp may see them.
void check(const Place& p, const Product& x, Site site) {
  bool ok = true;
  const auto use = [&](u32 at, u32) {
    ok = ok && in_bounds(p.b, at, site) && line_ok(p.b, at, site);
  };
  each_line(x.b, x.columns, x.is_rs, site, use);
  if (!x.is_rs) each_line(x.a, 64, false, site, use);
}

float widened(u32 kind, u16 bits) { return kind == kMmaBf16 ? bf16_to(bits) : f16_to(bits); }

// rows[row][k] of an operand; reading it is remembered for every warp of the group.
void gather(const Place& p, const Pending& op, u64 descriptor, u32 rows, bool is_mn, float* to) {
  each_line(descriptor, rows, is_mn, op.site, [&](u32 at, u32 i) {
    if (!in_bounds(p.b, at, op.site)) return;
    Line& l = p.s.lines[at / 16];
    bool is_kept = !l.is_in_flight;
    for (u32 w = p.index * 4; w < p.index * 4 + 4; w++) {
      l.readers[w] = p.s.clocks[w].of[w];
      is_kept = is_kept && p.s.clocks[w].of[l.writer] >= l.value;
    }
    if (!is_kept) report(op.site, "race: shared byte %u is overwritten under a product", at);
    u16 bits[8];
    memcpy(bits, p.b.shared + at, 16);
    for (u32 e = 0; e < 8; e++) {
      const u32 row = is_mn ? i / 16 * 8 + e : i / 2, k = is_mn ? i % 16 : i % 2 * 8 + e;
      to[row * 16 + k] = widened(op.product.kind, bits[e]);
    }
  });
}

// ---------------------------------------------------------------- registers

u32 row_of(u32 thread, u32 i) { return thread / 32 * 16 + thread % 32 / 4 + (i / 2 & 1) * 8; }
u32 column_of(u32 thread, u32 i) { return i / 4 * 8 + thread % 4 * 2 + (i & 1); }

void gather_registers(const Pending& op, float* to) {
  for (u32 t = 0; t < 128; t++) {
    for (u32 i = 0; i < 8; i++) {
      const u16 bits = static_cast<u16>(op.a[t][i / 2] >> (i & 1) * 16);
      const u32 k = i / 4 * 8 + t % 4 * 2 + (i & 1);
      to[row_of(t, i) * 16 + k] = widened(op.product.kind, bits);
    }
  }
}

// The slot in which this thread's sums are, taken away now if they were its own.
u32 hold(const Place& p, float* sums, u32 count) {
  Held* held = p.g.held[p.thread];
  for (u32 s = 0; s < kHeldMax; s++)
    if (held[s].at == sums) return s;
  for (u32 s = 0; s < kHeldMax; s++) {
    if (held[s].at) continue;
    held[s] = {sums, count};
    for (u32 i = 0; i < count; i++) {
      p.s.sums[p.index][s][row_of(p.thread, i)][column_of(p.thread, i)] = sums[i];
      memcpy(&sums[i], &kPoison, 4);
    }
    return s;
  }
  report({__FILE__, __LINE__}, "products with more than %u sets of sums at once", kHeldMax);
  abort_block();
}

void give_back(const Place& p, u32 slot, Site site) {
  bool is_touched = false;
  for (u32 t = 0; t < 128; t++) {
    Held& h = p.g.held[t][slot];
    for (u32 i = 0; i < h.count; i++) {
      is_touched = is_touched || memcmp(&h.at[i], &kPoison, 4) != 0;
      h.at[i] = p.s.sums[p.index][slot][row_of(t, i)][column_of(t, i)];
    }
    h = {};
  }
  if (is_touched) report(site, "sums were written while a product had them");
}

// ---------------------------------------------------------------- running

void run(const Place& p, const Pending& op) {
  static thread_local float a[64][16], b[kColumnsMax][16];
  alignas(32) static thread_local float bt[16][kColumnsMax];
  const Product& x = op.product;
  if (x.is_rs) gather_registers(op, a[0]);
  else gather(p, op, x.a, 64, false, a[0]);
  gather(p, op, x.b, x.columns, x.is_rs, b[0]);
  for (u32 n = 0; n < x.columns; n++)
    for (u32 k = 0; k < 16; k++) bt[k][n] = b[n][k];
  for (u32 r = 0; r < 64; r++) {
    float* row = p.s.sums[p.index][op.slot][r];
    if (!x.keep) memset(row, 0, x.columns * sizeof(float));
    for (u32 n = 0; n < x.columns; n += 8) {
      Vec8 sum, v;
      memcpy(&sum, row + n, sizeof sum);
      for (u32 k = 0; k < 16; k++) {
        memcpy(&v, bt[k] + n, sizeof v);
        sum += a[r][k] * v;
      }
      memcpy(row + n, &sum, sizeof sum);
    }
  }
}

// Runs all groups but the newest `pending`.
void retire(const Place& p, u32 pending, Site site) {
  Warpgroup& g = p.g;
  if (g.groups_len <= pending) return;
  const u32 groups = g.groups_len - pending, count = g.group_ends[groups - 1];
  bool is_used[kHeldMax] = {}, is_done[kHeldMax] = {};
  for (u32 i = 0; i < count; i++) {
    run(p, g.pending[i]);
    is_done[g.pending[i].slot] = true;
  }
  for (u32 i = count; i < g.pending_len; i++) is_used[g.pending[i].slot] = true;
  for (u32 s = 0; s < kHeldMax; s++)
    if (is_done[s] && !is_used[s]) give_back(p, s, site);
  g.pending_len -= count;
  memmove(g.pending, g.pending + count, g.pending_len * sizeof(Pending));
  for (u32 i = groups; i < g.groups_len; i++) g.group_ends[i - groups] = g.group_ends[i] - count;
  g.groups_len -= groups;
  for (u32 t = 0; t < 128; t++) {
    g.issued[t] -= count;
    g.committed[t] -= groups;
  }
}

bool is_same(const Product& x, const Product& y) {
  return x.kind == y.kind && x.columns == y.columns && x.a == y.a && x.b == y.b &&
         x.keep == y.keep && x.is_rs == y.is_rs;
}

}  // namespace

void wgmma_fence() {
  const Place p = here();
  p.g.is_fenced[p.thread] = true;
}

void wgmma(const Product& x, float* sums, const u32* a, Site site) {
  const Place p = here();
  Warpgroup& g = p.g;
  if (!g.is_fenced[p.thread]) {
    report(site, "a product with no wgmma_fence before it");
    abort_block();
  }
  const u32 index = g.issued[p.thread]++, slot = hold(p, sums, x.columns / 2);
  if (index == kProductsMax) {
    report(site, "more than %u products in flight", kProductsMax);
    abort_block();
  }
  Pending& op = g.pending[index];
  if (index == g.pending_len) {
    g.pending_len++;
    op.product = x;
    op.slot = slot;
    op.site = site;
  }
  op.a[p.thread] = a;
  if (!is_same(op.product, x) || op.slot != slot || op.site.line != site.line) {
    report(site, "divergent product: other threads of the warpgroup asked for another at line %d",
           op.site.line);
    abort_block();
  }
  if (p.thread % 32 == 0) check(p, x, site);
}

void wgmma_commit(Site site) {
  const Place p = here();
  Warpgroup& g = p.g;
  const u32 index = g.committed[p.thread]++, end = g.issued[p.thread];
  g.is_fenced[p.thread] = false;
  if (index == kProductsMax) {
    report(site, "more than %u groups of products in flight", kProductsMax);
    abort_block();
  }
  if (index == g.groups_len) g.group_ends[g.groups_len++] = end;
  if (g.group_ends[index] != end) {
    report(site, "divergent products: the warpgroup's threads disagree on what a group is");
    abort_block();
  }
}

void wgmma_wait(u32 pending, Site site) {
  const Place p = here();
  Warpgroup& g = p.g;
  if (g.waiting == 0) g.wait_for = pending;
  for (u32 t = 0; g.waiting == 127 && t < 128; t++) {
    if (g.issued[t] == g.issued[p.thread] && g.committed[t] == g.committed[p.thread]) continue;
    report(site, "divergent products: the warpgroup's threads wait for different ones");
    abort_block();
  }
  if (g.wait_for != pending) {
    report(site, "divergent waits: other threads of the warpgroup leave %u groups", g.wait_for);
    abort_block();
  }
  if (++g.waiting < 128) {
    suspend(site);
    return;
  }
  g.waiting = 0;
  retire(p, pending, site);
  for (u32 t = 0; t < 128; t++) wake(p.b, p.index * 128 + t);
}

}  // namespace emu
