// How much a step's first input moved since the last step: two means, and the new input kept for
// the next time.
//   a, prev [T, C] out f32 [2]: mean |round(a - prev)|, mean |prev| of before; then prev := a, in
//     the same pass
#include "device.cuh"

struct TeacacheArgs {
  Rows a, prev;
  u64 partials;  // f64 [blocks, 2]
  u64 out;
  u32 rows, cols;
  u32 blocks;
  u32 pad;
};
constexpr u32 kTeacacheThreads = 256;

template <class T>
FP_FN void teacache_body(const TeacacheArgs& args) {
  double moved = 0, size = 0;
  for (u32 r = block_x(); r < args.rows; r += args.blocks) {
    const T* a = reinterpret_cast<const T*>(args.a.ptr) + r * args.a.stride;  // a[r, :]
    T* prev = reinterpret_cast<T*>(args.prev.ptr) + r * args.prev.stride;     // prev[r, :]
    for (u32 c = thread_x(); c < args.cols; c += kTeacacheThreads) {
      const T now = load<T>(a + c);
      const float was = value_of(load<T>(prev + c));
      const float d = through<T>(value_of(now) - was);
      moved += static_cast<double>(d < 0 ? -d : d);
      size += static_cast<double>(was < 0 ? -was : was);
      store(prev + c, now);
    }
  }
  moved = block_sum(moved, 0);
  size = block_sum(size, 0);
  if (thread_x() != 0) return;
  double* out = reinterpret_cast<double*>(args.partials) + block_x() * 2;
  store(out, moved);
  store(out + 1, size);
}

FP_KERNEL(teacache_f32_kernel, TeacacheArgs, kTeacacheThreads, 4) { teacache_body<float>(args); }
FP_KERNEL(teacache_bf16_kernel, TeacacheArgs, kTeacacheThreads, 4) { teacache_body<bf16>(args); }
FP_KERNEL(teacache_f16_kernel, TeacacheArgs, kTeacacheThreads, 4) { teacache_body<f16>(args); }

FP_KERNEL(teacache_sum_kernel, TeacacheArgs, kTeacacheThreads, 4) {
  double moved = 0, size = 0;
  for (u32 b = thread_x(); b < args.blocks; b += kTeacacheThreads) {
    moved += load<double>(reinterpret_cast<const double*>(args.partials) + b * 2);
    size += load<double>(reinterpret_cast<const double*>(args.partials) + b * 2 + 1);
  }
  moved = block_sum(moved, 0);
  size = block_sum(size, 0);
  const double n = static_cast<double>(args.rows) * args.cols;
  if (thread_x() != 0) return;
  store(reinterpret_cast<float*>(args.out), static_cast<float>(n > 0 ? moved / n : 0));
  store(reinterpret_cast<float*>(args.out) + 1, static_cast<float>(n > 0 ? size / n : 0));
}
