// wgmma for nvcc: one function a shape, the accumulators bound to registers one by one. Included by hopper.cuh only.
//   d[64, N] += a[64, 16] b[16, N]    a from shared memory (K-major) or from registers, b from shared memory
#pragma once

// The accumulators' operands are %0 to %(N/2 - 1); what follows takes the next numbers.
#define FP_D64 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FP_D88 \
  FP_D64 ", " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87"
#define FP_D128 \
  FP_D64 ", " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define FP_BIND8(d, i)                                                                \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]),       \
      "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define FP_BIND64(d)                                                                   \
  FP_BIND8(d, 0), FP_BIND8(d, 8), FP_BIND8(d, 16), FP_BIND8(d, 24), FP_BIND8(d, 32), \
      FP_BIND8(d, 40), FP_BIND8(d, 48), FP_BIND8(d, 56)
#define FP_BIND88(d) FP_BIND64(d), FP_BIND8(d, 64), FP_BIND8(d, 72), FP_BIND8(d, 80)
#define FP_BIND128(d)                                                                      \
  FP_BIND88(d), FP_BIND8(d, 88), FP_BIND8(d, 96), FP_BIND8(d, 104), FP_BIND8(d, 112), \
      FP_BIND8(d, 120)

// Both operands in shared memory, both K-major. Numbers: a, b and the flag that keeps the old sums.
#define FP_WGMMA_SS(T, n, regs, a_, b_, keep_)                                               \
  template <>                                                                                \
  __device__ __forceinline__ void wgmma<T, n>(float (&d)[n / 2], u64 a, u64 b, bool keep) { \
    asm volatile(                                                                            \
        "{\n.reg .pred p;\nsetp.ne.b32 p, " keep_ ", 0;\n"                                   \
        "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #T "." #T " {" FP_D##regs "}, " a_ \
        ", " b_ ", p, 1, 1, 0, 0;\n}"                                                        \
        : FP_BIND##regs(d)                                                                   \
        : "l"(a), "l"(b), "r"(static_cast<u32>(keep)));                                      \
  }
// a from registers, b MN-major.
#define FP_WGMMA_RS(T, n, regs, a0, a1, a2, a3, b_, keep_)                                 \
  template <>                                                                              \
  __device__ __forceinline__ void wgmma_rs<T, n>(float (&d)[n / 2], const u32 (&a)[4], u64 b, \
                                                 bool keep) {                              \
    asm volatile(                                                                          \
        "{\n.reg .pred p;\nsetp.ne.b32 p, " keep_ ", 0;\n"                                 \
        "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #T "." #T " {" FP_D##regs        \
        "}, {" a0 ", " a1 ", " a2 ", " a3 "}, " b_ ", p, 1, 1, 1;\n}"                      \
        : FP_BIND##regs(d)                                                                 \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<u32>(keep))); \
  }

template <class T, u32 n>
FP_FN void wgmma(float (&d)[n / 2], u64 a, u64 b, bool keep);
template <class T, u32 n>
FP_FN void wgmma_rs(float (&d)[n / 2], const u32 (&a)[4], u64 b, bool keep);
#define FP_WGMMA(T)                                                    \
  FP_WGMMA_SS(T, 128, 64, "%64", "%65", "%66")                         \
  FP_WGMMA_SS(T, 176, 88, "%88", "%89", "%90")                         \
  FP_WGMMA_SS(T, 256, 128, "%128", "%129", "%130")                     \
  FP_WGMMA_RS(T, 128, 64, "%64", "%65", "%66", "%67", "%68", "%69")
FP_WGMMA(bf16)
FP_WGMMA(f16)

// Ties registers that a wgmma in flight owns to this place in the program.
FP_FN void wgmma_hold(float (&d)[64]) { asm volatile("" : FP_BIND64(d)::"memory"); }
FP_FN void wgmma_hold(float (&d)[88]) { asm volatile("" : FP_BIND88(d)::"memory"); }
FP_FN void wgmma_hold(float (&d)[128]) { asm volatile("" : FP_BIND128(d)::"memory"); }
