// Cross-fade of two tensors along one axis: a * (1 - w) + b * w, the weight broadcast over the
// other axes.
#include "map.cuh"

struct BlendOp {
  static constexpr u32 inputs = 3;
  FP_FN float apply(const MapArgs&, const float* x) { return x[0] * (1.0f - x[2]) + x[1] * x[2]; }
};

FP_KERNEL(blend_kernel, MapArgs, kMapThreads, 4) { map_body<BlendOp>(args); }
