// Latents to a small picture: a linear map from 16 channels to red, green, blue.
//   z [C, T, h, w] f32    factors [C, 3], bias [3] f32    out [T, h, w, 3] u8
#include "device.cuh"

struct LatentRgbArgs {
  u64 out, z, factors, bias;
  u32 dims[4];     // C, T, h, w
  u32 strides[4];  // of z, in elements
};
constexpr u32 kPreviewThreads = 256;

FP_KERNEL(latent_rgb_kernel, LatentRgbArgs, kPreviewThreads, 4) {
  const u32 w = args.dims[3], h = args.dims[2];
  const u64 i = static_cast<u64>(block_x()) * kPreviewThreads + thread_x();
  if (i >= static_cast<u64>(args.dims[1]) * h * w) return;
  const float* factors = reinterpret_cast<const float*>(args.factors);
  const float* z = reinterpret_cast<const float*>(args.z) + i / w / h * args.strides[1] +
                   i / w % h * args.strides[2] + i % w * args.strides[3];  // z[0, t, y, x]
  float rgb[3];
  FP_UNROLL for (u32 k = 0; k < 3; k++)
    rgb[k] = load<float>(reinterpret_cast<const float*>(args.bias) + k);
  for (u32 c = 0; c < args.dims[0]; c++) {
    const float v = load<float>(z + static_cast<u64>(c) * args.strides[0]);
    FP_UNROLL for (u32 k = 0; k < 3; k++)
      rgb[k] = fma_exact(v, load<float>(factors + c * 3 + k), rgb[k]);
  }
  u8* out = reinterpret_cast<u8*>(args.out) + i * 3;
  FP_UNROLL for (u32 k = 0; k < 3; k++)
    store(out + k, static_cast<u8>(floor_exact(255.0f * max_of(0.0f, min_of(1.0f, rgb[k])))));
}
