// Plain types and arguments that device code and the launchers share; no code of either device.
// Zig mirrors every struct here as an extern struct of the same name (kernels/cuda/args.zig).
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

struct bf16 {
  u16 bits;
};
struct f16 {
  u16 bits;
};
struct alignas(8) U2 {
  u32 v[2];
};
struct alignas(16) U4 {
  u32 v[4];
};
// Eight neighbouring elements, widened: what one thread moves at a time.
struct F8 {
  float v[8];
};

enum Dtype : u32 { kF32 = 0, kBF16 = 1, kF16 = 2, kI32 = 3, kU8 = 4 };
enum Act : u32 { kNone = 0, kGeluTanh = 1, kSilu = 2, kQuickGelu = 3 };
enum Mask : u32 { kMaskNone = 0, kMaskCausal = 1, kMaskFrameCausal = 2 };

// A vector of parameters in any float dtype; ptr 0 means absent.
struct Param {
  u64 ptr;
  u32 dtype;
  u32 pad;
};

// A matrix with a free row stride (in elements); the last dimension is dense.
struct Rows {
  u64 ptr;
  u64 stride;
  u32 dtype;
  u32 aligned;  // every row starts on 16 bytes
};

// One operand of an elementwise map: strides in elements, 0 where it is broadcast.
struct Operand {
  u64 ptr;
  u32 dtype;
  u32 pad;
  u32 strides[6];
};
