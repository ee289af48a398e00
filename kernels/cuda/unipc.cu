// The sampler's arithmetic on f32 latents: linear combinations, the denoised estimate, and one
// UniPC update that corrects and predicts in one pass. Coefficients are f64 and so are the sums: a
// latent is small, its error is not.
#include "map.cuh"

struct LincombOp {
  static constexpr u32 inputs = kMapInputs;
  // Inputs beyond the real ones repeat the first with coefficient 0, which must not turn its
  // infinities into NaN.
  FP_FN float apply(const MapArgs& a, const float* x) {
    double sum = 0;
    FP_UNROLL for (u32 k = 0; k < kMapInputs; k++) {
      if (k < a.act) sum += a.c[k] * static_cast<double>(x[k]);
    }
    return static_cast<float>(sum);
  }
};

struct DenoisedOp {
  static constexpr u32 inputs = 2;
  FP_FN float apply(const MapArgs& a, const float* x) {
    const float r = a.act == kBF16  ? through<bf16>(x[0])
                    : a.act == kF16 ? through<f16>(x[0])
                                    : x[0];
    return static_cast<float>(static_cast<double>(r) - a.c[0] * static_cast<double>(x[1]));
  }
};

FP_KERNEL(lincomb_kernel, MapArgs, kMapThreads, 2) { map_body<LincombOp>(args); }
FP_KERNEL(denoised_kernel, MapArgs, kMapThreads, 2) { map_body<DenoisedOp>(args); }

struct UnipcArgs {
  u64 count;
  u64 corrected, predicted;  // predicted 0: not wanted
  u64 x, mt, m0, m1, m2;     // m1, m2 0: absent
  double cc[5];
  double cp[4];
};

FP_FN double history(u64 ptr, u64 i) {
  return ptr ? static_cast<double>(load<float>(reinterpret_cast<const float*>(ptr) + i)) : 0.0;
}

FP_KERNEL(unipc_kernel, UnipcArgs, kMapThreads, 2) {
  const u64 i = static_cast<u64>(block_x()) * kMapThreads + thread_x();
  if (i >= args.count) return;
  const double mt = history(args.mt, i), m0 = history(args.m0, i), m1 = history(args.m1, i);
  const double m2 = history(args.m2, i);
  const double sum = args.cc[0] * history(args.x, i) + args.cc[1] * mt + args.cc[2] * m0 +
                     args.cc[3] * m1 + args.cc[4] * m2;
  const float corrected = static_cast<float>(sum);
  store(reinterpret_cast<float*>(args.corrected) + i, corrected);
  if (args.predicted == 0) return;
  const double next = args.cp[0] * static_cast<double>(corrected) + args.cp[1] * mt +
                      args.cp[2] * m0 + args.cp[3] * m1;
  store(reinterpret_cast<float*>(args.predicted) + i, static_cast<float>(next));
}
