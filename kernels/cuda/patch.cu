// Latents to patch vectors and back. One thread per element: a few megabytes a step.
//   gather: x [C, T, H, W] any float -> out [n, C * kt * kh * kw], patches in order t, y, x; the
//     end is replicated
//   unpatchify: x [n, C * kh * kw] -> out [C, T, H, W] f32
#include "device.cuh"

struct PatchArgs {
  Rows out, x;     // of gather: x dense; of unpatchify: out dense
  u32 strides[4];  // of the four-dimensional side, in elements
  u32 dims[4];     // C, T, H, W
  u32 kt, kh, kw;
  u32 nh, nw;  // patches per column and row of a frame
  u32 pad;
  u64 count;
};
constexpr u32 kPatchThreads = 256;

FP_FN u32 smaller(u32 a, u32 b) { return a < b ? a : b; }

FP_KERNEL(patch_gather_kernel, PatchArgs, kPatchThreads, 4) {
  const u64 i = static_cast<u64>(block_x()) * kPatchThreads + thread_x();
  if (i >= args.count) return;
  const u32 length = args.dims[0] * args.kt * args.kh * args.kw;
  u32 e = static_cast<u32>(i % length), n = static_cast<u32>(i / length);
  const u64 to = n * args.out.stride + e;
  const u32 x = e % args.kw, y = e / args.kw % args.kh, t = e / (args.kw * args.kh) % args.kt;
  const u32 c = e / (args.kw * args.kh * args.kt);
  const u32 px = n % args.nw, py = n / args.nw % args.nh, pt = n / (args.nw * args.nh);
  const u64 from =
      static_cast<u64>(c) * args.strides[0] +
      static_cast<u64>(smaller(pt * args.kt + t, args.dims[1] - 1)) * args.strides[1] +
      static_cast<u64>(smaller(py * args.kh + y, args.dims[2] - 1)) * args.strides[2] +
      static_cast<u64>(smaller(px * args.kw + x, args.dims[3] - (FP_MUTANT(patch_edge) ? 0 : 1))) *
          args.strides[3];
  store_any(args.out.ptr, args.out.dtype, to, load_any(args.x.ptr, args.x.dtype, from));
}

FP_KERNEL(unpatchify_kernel, PatchArgs, kPatchThreads, 4) {
  const u64 i = static_cast<u64>(block_x()) * kPatchThreads + thread_x();
  if (i >= args.count) return;
  const u32 W = args.dims[3], H = args.dims[2], T = args.dims[1];
  const u32 w = static_cast<u32>(i % W), h = static_cast<u32>(i / W % H);
  const u32 t = static_cast<u32>(i / W / H % T), c = static_cast<u32>(i / W / H / T);
  const u64 row = (static_cast<u64>(t) * args.nh + h / args.kh) * args.nw + w / args.kw;
  const u32 e = (c * args.kh + h % args.kh) * args.kw + w % args.kw;
  const u64 to = static_cast<u64>(c) * args.strides[0] + static_cast<u64>(t) * args.strides[1] +
                 static_cast<u64>(h) * args.strides[2] + static_cast<u64>(w) * args.strides[3];
  store(reinterpret_cast<float*>(args.out.ptr) + to,
        load_any(args.x.ptr, args.x.dtype, row * args.x.stride + e));
}
