// Layer norm without parameters, then AdaLN's modulation: LN(x) * (1 + scale) + shift. One read,
// one write.
#include "norm.cuh"

struct AdalnRule {
  static constexpr bool kCentred = true;
  FP_FN float value(float n, float scale, float shift) { return fma_exact(n, 1.0f + scale, shift); }
};

FP_KERNEL(adaln_f32_kernel, NormArgs, kNormThreads, 4) { norm_body<float, AdalnRule>(args); }
FP_KERNEL(adaln_bf16_kernel, NormArgs, kNormThreads, 4) { norm_body<bf16, AdalnRule>(args); }
FP_KERNEL(adaln_f16_kernel, NormArgs, kNormThreads, 4) { norm_body<f16, AdalnRule>(args); }
