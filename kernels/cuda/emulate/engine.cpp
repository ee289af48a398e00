// Runs a kernel: blocks spread over OS threads, a block's threads as fibres that switch where they must wait.
// Everything wrong that a kernel does becomes a line of the launch's report.
#include "engine.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fibre.h"
#include "hopper.h"

namespace emu {

namespace {
Kernel* kernels;
constexpr u32 kReportsMax = 8;
}  // namespace

Registration::Registration(Kernel& k) {
  k.next = kernels;
  kernels = &k;
}

struct Launch {
  const Kernel* kernel;
  const void* args;
  u32 grid[3];
  u32 threads;
  u32 shared;
  u64 blocks;
  u64 next;
  u32 reports;
  pthread_mutex_t lock;
  char* text;
  u32 text_len, text_max;
};

namespace {
void report_by(const Fibre& f, Site site, const char* format, va_list list) {
  const Block& b = *f.block;
  Launch& l = *b.launch;
  pthread_mutex_lock(&l.lock);
  if (l.reports++ < kReportsMax) {
    char words[256], row[512];
    vsnprintf(words, sizeof words, format, list);
    const char* name = strrchr(site.file, '/');
    const int n = snprintf(row, sizeof row, "%s%s block (%u,%u,%u) thread %u, %s:%d: %s",
                           l.text_len ? "; " : "", l.kernel->name, b.index[0], b.index[1],
                           b.index[2], f.tid, name ? name + 1 : site.file, site.line, words);
    const u32 room = l.text_max - l.text_len;
    const u32 len = static_cast<u32>(n) < room ? static_cast<u32>(n) : room;
    memcpy(l.text + l.text_len, row, len);
    l.text_len += len;
  }
  pthread_mutex_unlock(&l.lock);
}
}  // namespace

void report(Site site, const char* format, ...) {
  va_list list;
  va_start(list, format);
  report_by(*self(), site, format, list);
  va_end(list);
}

// ---------------------------------------------------------------- switching

namespace {

void set_runnable(Block& b, u32 tid, bool on) {
  const u64 bit = 1ull << (tid & 63);
  if (on) b.runnable[tid / 64] |= bit;
  else b.runnable[tid / 64] &= ~bit;
}

// The next fibre that can run after `tid`, or kThreadsMax.
u32 next_runnable(const Block& b, u32 tid) {
  const u32 words = (b.threads + 63) / 64, from = tid / 64;
  const u64 above = (tid & 63) == 63 ? 0 : ~0ull << ((tid & 63) + 1);
  if (const u64 m = b.runnable[from] & above) return from * 64 + __builtin_ctzll(m);
  for (u32 i = 1; i <= words; i++) {
    const u32 w = (from + i) % words;
    if (b.runnable[w]) return w * 64 + __builtin_ctzll(b.runnable[w]);
  }
  return kThreadsMax;
}

// Leaves the running fibre for another that can run, or for the scheduler when none can.
void leave() {
  Fibre& from = *self();
  Block& b = *from.block;
  u32 next = next_runnable(b, from.tid);
  while (next == kThreadsMax && async_land(b)) next = next_runnable(b, from.tid);
  if (next == from.tid) return;
  fp_fibre_switch(&from.sp, next == kThreadsMax ? b.scheduler_sp : b.fibres[next].sp);
}

void wait_at(Site site) {
  Fibre& f = *self();
  f.waits_at = site;
  set_runnable(*f.block, f.tid, false);
  leave();
}

void fibre_main() {
  Fibre& f = *self();
  Block& b = *f.block;
  b.launch->kernel->entry(b.launch->args);
  f.is_done = true;
  if (--b.live == 0) async_end(b);
  set_runnable(b, f.tid, false);
  leave();
  __builtin_trap();
}

}  // namespace

void suspend(Site site) { wait_at(site); }
void wake(Block& b, u32 tid) { set_runnable(b, tid, true); }

void abort_block() {
  Block& b = *self()->block;
  b.is_aborted = true;
  void* unused;
  fp_fibre_switch(&unused, b.scheduler_sp);
  __builtin_trap();
}

void block_barrier(Site site) {
  Block& b = *self()->block;
  if (b.live != b.threads) {
    report(site, "a barrier that %u of %u threads left the kernel without reaching",
           b.threads - b.live, b.threads);
    abort_block();
  }
  if (b.barrier_arrived++ == 0) b.barrier_site = site;
  if (site.line != b.barrier_site.line || strcmp(site.file, b.barrier_site.file) != 0) {
    report(site, "divergent barriers: other threads of the block wait at line %d",
           b.barrier_site.line);
    abort_block();
  }
  if (b.barrier_arrived < b.threads) {
    wait_at(site);
    return;
  }
  b.barrier_arrived = 0;
  b.epoch++;
  async_join(b);
  for (u32 t = 0; t < b.threads; t++) set_runnable(b, t, true);
}

void warp_collective(u32 kind, void* operand, Site site) {
  Block& b = *self()->block;
  const u32 tid = self()->tid, lane = tid & 31;
  Warp& w = b.warps[tid / 32];
  if (w.arrived == 0) {
    w.kind = kind;
    w.site = site;
  } else if (w.kind != kind || w.site.line != site.line) {
    report(site, "divergent collective: other lanes of the warp wait in another at line %d",
           w.site.line);
    abort_block();
  }
  w.operands[lane] = operand;
  w.arrived |= 1u << lane;
  if (w.arrived != 0xffffffffu) {
    wait_at(site);
    return;
  }
  w.arrived = 0;
  execute(kind, w.operands, site);
  for (u32 t = tid & ~31u; t < (tid | 31u) + 1; t++) set_runnable(b, t, true);
}

// ---------------------------------------------------------------- blocks

namespace {

// What one OS thread needs to run blocks; made once, kept for later launches.
struct Worker {
  Block block;
  u8* stacks;
  u32 shared_max;
};

void fit_shared(Worker& w, u32 bytes) {
  if (bytes <= w.shared_max) return;
  free(w.block.shared);
  free(w.block.writers);
  free(w.block.readers);
  free(w.block.in_flight);
  const u32 cells = (bytes + 1) / 2;
  w.block.shared = static_cast<u8*>(aligned_alloc(1024, (bytes + 1023) / 1024 * 1024));
  w.block.writers = static_cast<u64*>(malloc(cells * sizeof(u64)));
  w.block.readers = static_cast<u64*>(malloc(cells * sizeof(u64)));
  w.block.in_flight = static_cast<u8*>(malloc(cells));
  w.shared_max = bytes;
}

void begin_block(Worker& w, Launch& l, u64 index) {
  Block& b = w.block;
  b.launch = &l;
  b.index[0] = static_cast<u32>(index % l.grid[0]);
  b.index[1] = static_cast<u32>(index / l.grid[0] % l.grid[1]);
  b.index[2] = static_cast<u32>(index / l.grid[0] / l.grid[1]);
  memcpy(b.grid, l.grid, sizeof b.grid);
  b.threads = b.live = l.threads;
  b.shared_size = l.shared;
  b.epoch = b.barrier_arrived = 0;
  b.is_aborted = b.is_async = false;
  b.last_range = {0, 0};
  memset(b.runnable, 0, sizeof b.runnable);
  memset(b.warps, 0, sizeof b.warps);
  shadow_reset(b);
  for (u32 t = 0; t < l.threads; t++) {
    Fibre& f = b.fibres[t];
    f.block = &b;
    f.tid = t;
    f.is_done = false;
    f.copies_len = f.groups = 0;
    // Staggered, or the hot frames of all fibres would share the same few cache sets.
    u8* stack = w.stacks + t * kStackBytes;
    f.sp = fp_fibre_prepare(stack + 64, kStackBytes - 64 - t * 576 % 16384, fibre_main);
    *reinterpret_cast<Fibre**>(stack) = &f;
    set_runnable(b, t, true);
  }
}

void report_deadlock(const Fibre& f, ...) {
  va_list none;
  va_start(none, f);
  report_by(f, f.waits_at, "deadlock: this thread waits for others that never come", none);
  va_end(none);
}

void run_block(Worker& w, Launch& l, u64 index) {
  begin_block(w, l, index);
  Block& b = w.block;
  fp_fibre_switch(&b.scheduler_sp, b.fibres[0].sp);
  if (b.is_aborted || b.live == 0) return;
  for (u32 t = 0; t < b.threads; t++) {
    if (b.fibres[t].is_done) continue;
    report_deadlock(b.fibres[t]);
    return;
  }
}

// Idle workers, for any OS thread to take.
Worker* idle[64];
u32 idle_len;
pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;

Worker* take_worker() {
  pthread_mutex_lock(&idle_lock);
  Worker* w = idle_len ? idle[--idle_len] : nullptr;
  pthread_mutex_unlock(&idle_lock);
  if (w) return w;
  w = static_cast<Worker*>(calloc(1, sizeof(Worker)));
  void* m = mmap(nullptr, kStackBytes * (kThreadsMax + 1), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!w || m == MAP_FAILED) abort();
  w->stacks =
      reinterpret_cast<u8*>((reinterpret_cast<u64>(m) + kStackBytes - 1) & ~(kStackBytes - 1));
  return w;
}

void give_worker(Worker* w) {
  pthread_mutex_lock(&idle_lock);
  if (idle_len < 64) idle[idle_len++] = w;
  pthread_mutex_unlock(&idle_lock);
}

void* work(void* p) {
  Launch& l = *static_cast<Launch*>(p);
  Worker* w = take_worker();
  fit_shared(*w, l.shared);
  for (;;) {
    const u64 index = __atomic_fetch_add(&l.next, 1, __ATOMIC_RELAXED);
    if (index >= l.blocks || __atomic_load_n(&l.reports, __ATOMIC_RELAXED) >= kReportsMax) break;
    run_block(*w, l, index);
  }
  give_worker(w);
  return nullptr;
}

const Kernel* find(const char* name) {
  for (const Kernel* k = kernels; k; k = k->next)
    if (strcmp(k->name, name) == 0) return k;
  return nullptr;
}

}  // namespace

bool is_mutant(const char* name) {
  static const char* chosen = getenv("FRAMEPACK_MUTANT");
  return chosen && strcmp(chosen, name) == 0;
}

}  // namespace emu

// ---------------------------------------------------------------- what launch.zig calls

// Null when there is no such kernel.
extern "C" const void* fp_emu_kernel(const char* name) { return emu::find(name); }

extern "C" u32 fp_emu_args_size(const void* kernel) {
  return static_cast<const emu::Kernel*>(kernel)->args_size;
}

// Runs a kernel to its end. Returns the bytes written to text: 0 when nothing was wrong.
extern "C" u32 fp_emu_launch(const void* kernel, const u32* grid, u32 threads, u32 shared,
                             const void* args, u32 args_size, u32 workers, char* text,
                             u32 text_max) {
  using namespace emu;
  const Kernel& k = *static_cast<const Kernel*>(kernel);
  if (args_size != k.args_size || threads > k.threads_max || threads % 32 || threads == 0 ||
      threads > kThreadsMax) {
    return static_cast<u32>(
        snprintf(text, text_max, "%s takes %u argument bytes and up to %u threads, got %u and %u",
                 k.name, k.args_size, k.threads_max, args_size, threads));
  }
  Launch l{};
  l.kernel = &k;
  l.args = args;
  memcpy(l.grid, grid, sizeof l.grid);
  l.threads = threads;
  l.shared = shared;
  l.blocks = static_cast<u64>(grid[0]) * grid[1] * grid[2];
  l.text = text;
  l.text_max = text_max;
  pthread_mutex_init(&l.lock, nullptr);
  pthread_t helpers[63];
  u32 started = 0;
  while (started + 1 < workers && started + 1 < l.blocks && started < 63) {
    if (pthread_create(&helpers[started], nullptr, work, &l) != 0) break;
    started++;
  }
  work(&l);
  for (u32 i = 0; i < started; i++) pthread_join(helpers[i], nullptr);
  pthread_mutex_destroy(&l.lock);
  return l.text_len;
}
