// Activations, gated sums and conversions of pictures: one read of each operand, one write, no
// state.
//   all operands as map.cuh lays out; computed in f32, rounded once
#include "map.cuh"

struct ActivationOp {
  static constexpr u32 inputs = 1;
  FP_FN float apply(const MapArgs& a, const float* x) { return act_of(a.act, x[0]); }
};
struct GluOp {
  static constexpr u32 inputs = 2;
  FP_FN float apply(const MapArgs&, const float* x) { return act_of(kSilu, x[0]) * x[1]; }
};
struct AddOp {
  static constexpr u32 inputs = 2;
  FP_FN float apply(const MapArgs&, const float* x) { return x[0] + x[1]; }
};
// x + gate * y, in this order of operands.
struct AddGatedOp {
  static constexpr u32 inputs = 3;
  FP_FN float apply(const MapArgs&, const float* x) { return fma_exact(x[1], x[2], x[0]); }
};
// x * scale + shift, then the activation.
struct ScaleShiftActOp {
  static constexpr u32 inputs = 3;
  FP_FN float apply(const MapArgs& a, const float* x) {
    return act_of(a.act, fma_exact(x[0], x[1], x[2]));
  }
};
struct ToU8Op {
  static constexpr u32 inputs = 1;
  FP_FN float apply(const MapArgs&, const float* x) {
    return trunc_exact(fma_exact(max_of(-1.0f, min_of(1.0f, x[0])), 127.5f, 127.5f));
  }
};
struct FromU8Op {
  static constexpr u32 inputs = 1;
  FP_FN float apply(const MapArgs&, const float* x) { return x[0] / 127.5f - 1.0f; }
};

FP_KERNEL(activation_kernel, MapArgs, kMapThreads, 4) { map_body<ActivationOp>(args); }
FP_KERNEL(glu_kernel, MapArgs, kMapThreads, 4) { map_body<GluOp>(args); }
FP_KERNEL(add_kernel, MapArgs, kMapThreads, 4) { map_body<AddOp>(args); }
FP_KERNEL(add_gated_kernel, MapArgs, kMapThreads, 4) { map_body<AddGatedOp>(args); }
FP_KERNEL(scale_shift_act_kernel, MapArgs, kMapThreads, 4) { map_body<ScaleShiftActOp>(args); }
FP_KERNEL(to_u8_kernel, MapArgs, kMapThreads, 4) { map_body<ToU8Op>(args); }
FP_KERNEL(from_u8_kernel, MapArgs, kMapThreads, 4) { map_body<FromU8Op>(args); }

// Every element becomes the number c[0], in the output's dtype.
FP_KERNEL(fill_kernel, MapArgs, kMapThreads, 4) {
  const u32 i = block_x() * kMapThreads + thread_x();
  if (i >= args.count) return;
  const u64 at = map_offset(args, args.out, map_place(args, i));
  for (u32 e = 0; e < args.width; e++) {
    if (args.out.dtype == kI32) {
      store(reinterpret_cast<i32*>(args.out.ptr) + at + e, static_cast<i32>(args.c[0]));
    } else {
      store_any(args.out.ptr, args.out.dtype, at + e, static_cast<float>(args.c[0]));
    }
  }
}
