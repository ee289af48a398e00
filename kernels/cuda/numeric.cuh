// Numbers on either device: widening, rounding, activations, vector loads, warp and block sums.
// Everything here is built from the wrappers of device.cuh, so it means the same on both.
#pragma once

FP_FN float value_of(float x) { return x; }
FP_FN float value_of(bf16 x) { return float_of_bits(static_cast<u32>(x.bits) << 16); }
FP_FN float value_of(f16 x) { return f16_value(x.bits); }

template <class T>
FP_FN T rounded(float x);
template <>
FP_FN_SPECIAL float rounded<float>(float x) {
  return x;
}
template <>
FP_FN_SPECIAL bf16 rounded<bf16>(float x) {
  return bf16{bf16_bits(x)};
}
template <>
FP_FN_SPECIAL f16 rounded<f16>(float x) {
  return f16{f16_bits(x)};
}
// x after a trip through T.
template <class T>
FP_FN float through(float x) {
  return value_of(rounded<T>(x));
}

// ---------------------------------------------------------------- one element, dtype at run time

FP_FN float load_any(u64 ptr, u32 dtype, u64 i) {
  switch (dtype) {
    case kBF16: return value_of(load<bf16>(reinterpret_cast<const bf16*>(ptr) + i));
    case kF16: return value_of(load<f16>(reinterpret_cast<const f16*>(ptr) + i));
    case kI32: return static_cast<float>(load<i32>(reinterpret_cast<const i32*>(ptr) + i));
    case kU8: return static_cast<float>(load<u8>(reinterpret_cast<const u8*>(ptr) + i));
    default: return load<float>(reinterpret_cast<const float*>(ptr) + i);
  }
}
FP_FN void store_any(u64 ptr, u32 dtype, u64 i, float v) {
  switch (dtype) {
    case kBF16: store(reinterpret_cast<bf16*>(ptr) + i, rounded<bf16>(v)); break;
    case kF16: store(reinterpret_cast<f16*>(ptr) + i, rounded<f16>(v)); break;
    case kU8: store(reinterpret_cast<u8*>(ptr) + i, static_cast<u8>(v)); break;
    default: store(reinterpret_cast<float*>(ptr) + i, v);
  }
}
FP_FN float param_at(const Param& p, u32 i) { return load_any(p.ptr, p.dtype, i); }

// ---------------------------------------------------------------- eight elements on 16 bytes

FP_FN F8 load8(const float* p) {
  const U4 a = load<U4>(p), b = load<U4>(p + 4);
  F8 r;
  FP_UNROLL for (int i = 0; i < 4; i++) {
    r.v[i] = float_of_bits(a.v[i]);
    r.v[i + 4] = float_of_bits(b.v[i]);
  }
  return r;
}
FP_FN F8 widen8(U4 a, bf16) {
  F8 r;
  FP_UNROLL for (int i = 0; i < 4; i++) {
    r.v[2 * i] = float_of_bits(a.v[i] << 16);
    r.v[2 * i + 1] = float_of_bits(a.v[i] & 0xffff0000u);
  }
  return r;
}
FP_FN F8 widen8(U4 a, f16) {
  F8 r;
  FP_UNROLL for (int i = 0; i < 4; i++) {
    r.v[2 * i] = f16_value(static_cast<u16>(a.v[i] & 0xffffu));
    r.v[2 * i + 1] = f16_value(static_cast<u16>(a.v[i] >> 16));
  }
  return r;
}
template <class T>
FP_FN U4 narrow8(const F8& x) {
  U4 r;
  FP_UNROLL for (int i = 0; i < 4; i++)
    r.v[i] = pack2<T>(x.v[2 * i], x.v[2 * i + 1]);
  return r;
}
FP_FN F8 load8(const bf16* p) { return widen8(load<U4>(p), bf16{}); }
FP_FN F8 load8(const f16* p) { return widen8(load<U4>(p), f16{}); }
FP_FN void store8(float* p, const F8& x) {
  U4 a, b;
  FP_UNROLL for (int i = 0; i < 4; i++) {
    a.v[i] = bits_of_float(x.v[i]);
    b.v[i] = bits_of_float(x.v[i + 4]);
  }
  store(p, a);
  store(p + 4, b);
}
FP_FN void store8(bf16* p, const F8& x) { store(p, narrow8<bf16>(x)); }
FP_FN void store8(f16* p, const F8& x) { store(p, narrow8<f16>(x)); }

FP_FN F8 load8_any(u64 ptr, u32 dtype, u64 i) {
  switch (dtype) {
    case kBF16: return load8(reinterpret_cast<const bf16*>(ptr) + i);
    case kF16: return load8(reinterpret_cast<const f16*>(ptr) + i);
    case kU8: {
      const U2 b = load<U2>(reinterpret_cast<const u8*>(ptr) + i);
      F8 r;
      FP_UNROLL for (int k = 0; k < 8; k++)
        r.v[k] = static_cast<float>(b.v[k / 4] >> (k % 4 * 8) & 0xffu);
      return r;
    }
    default: return load8(reinterpret_cast<const float*>(ptr) + i);
  }
}

FP_FN void store8_any(u64 ptr, u32 dtype, u64 i, const F8& x) {
  switch (dtype) {
    case kBF16: store8(reinterpret_cast<bf16*>(ptr) + i, x); break;
    case kF16: store8(reinterpret_cast<f16*>(ptr) + i, x); break;
    case kU8: {
      U2 b = {{0, 0}};
      FP_UNROLL for (int k = 0; k < 8; k++)
        b.v[k / 4] |= static_cast<u32>(x.v[k]) << (k % 4 * 8);
      store(reinterpret_cast<u8*>(ptr) + i, b);
      break;
    }
    default: store8(reinterpret_cast<float*>(ptr) + i, x);
  }
}

// Eight elements of a row that do not start on 16 bytes or end early, as one chunk with zeros behind.
template <class T>
FP_FN U4 gather8(const T* p, u32 count) {
  u32 bits[8];
  FP_UNROLL for (u32 e = 0; e < 8; e++)
    bits[e] = e < count ? load<T>(p + e).bits : 0;
  U4 r;
  FP_UNROLL for (u32 e = 0; e < 4; e++)
    r.v[e] = bits[2 * e] | bits[2 * e + 1] << 16;
  return r;
}
// ---------------------------------------------------------------- T or f32, chosen at run time

template <class T>
FP_FN float load_two(u64 ptr, u32 dtype, u64 i) {
  if (dtype == kF32) return load<float>(reinterpret_cast<const float*>(ptr) + i);
  return value_of(load<T>(reinterpret_cast<const T*>(ptr) + i));
}
template <class T>
FP_FN void store_two(u64 ptr, u32 dtype, u64 i, float v) {
  if (dtype == kF32) store(reinterpret_cast<float*>(ptr) + i, v);
  else store(reinterpret_cast<T*>(ptr) + i, rounded<T>(v));
}
template <class T>
FP_FN F8 load8_two(u64 ptr, u32 dtype, u64 i) {
  if (dtype == kF32) return load8(reinterpret_cast<const float*>(ptr) + i);
  return load8(reinterpret_cast<const T*>(ptr) + i);
}
template <class T>
FP_FN void store8_two(u64 ptr, u32 dtype, u64 i, const F8& x) {
  if (dtype == kF32) store8(reinterpret_cast<float*>(ptr) + i, x);
  else store8(reinterpret_cast<T*>(ptr) + i, x);
}

// ---------------------------------------------------------------- activations

// All are x * sigmoid(z): 0.5 (1 + tanh u) = sigmoid(2 u).
FP_FN float act_of(u32 act, float x) {
  if (act == kNone) return x;
  const float gelu = 1.5957691216057308f * fma_exact(0.044715f * x * x, x, x);
  const float z = act == kGeluTanh ? gelu : act == kSilu ? x : 1.702f * x;
  return divide(x, 1.0f + exp_of(-z));
}

// ---------------------------------------------------------------- sums

template <class V>
FP_FN V warp_sum(V v) {
  FP_UNROLL for (u32 m = 16; m > 0; m >>= 1)
    v += shuffle_xor(v, m);
  return v;
}
FP_FN float warp_max(float v) {
  FP_UNROLL for (u32 m = 16; m > 0; m >>= 1)
    v = max_of(v, shuffle_xor(v, m));
  return v;
}
// Sum over the block, the same on every thread, in one fixed order. Uses warps * sizeof(V) bytes at
// `at`, and leaves them free for the next use: it ends with a barrier.
template <class V>
FP_FN V block_sum(V v, u32 at) {
  const u32 warps = block_threads() / 32;
  v = warp_sum(v);
  if (lane_id() == 0) shared_store<V>(at + thread_x() / 32 * sizeof(V), v);
  sync_threads();
  V total = 0;
  for (u32 i = 0; i < warps; i++) total += shared_load<V>(at + i * sizeof(V));
  if (!FP_MUTANT(sum_no_barrier)) sync_threads();
  return total;
}

// ---------------------------------------------------------------- columns of a product

FP_FN U2 pick(bool first, U2 a, U2 b) { return first ? a : b; }

// A product leaves a lane four pairs of columns, eight apart: pair n is columns 8 n + lane % 4 * 2 and the next. Four
// neighbouring lanes transpose 4 x 4 of them; a lane then has the eight columns from lane % 4 * 8 on.
FP_FN F8 eight_of_pairs(const U2 (&p)[4]) {
  const bool low = (lane_id() & 1) == 0, front = (lane_id() & 2) == 0;
  U2 q[2][2], r[2][2];
  FP_UNROLL for (u32 n = 0; n < 2; n++) {
    const U2 got = shuffle_xor(pick(low, p[2 * n + 1], p[2 * n]), 1);
    q[n][0] = pick(low, p[2 * n], got);
    q[n][1] = pick(low, got, p[2 * n + 1]);
  }
  FP_UNROLL for (u32 j = 0; j < 2; j++) {
    const U2 got = shuffle_xor(pick(front, q[1][j], q[0][j]), 2);
    r[0][j] = pick(front, q[0][j], got);
    r[1][j] = pick(front, got, q[1][j]);
  }
  F8 x;
  FP_UNROLL for (u32 j = 0; j < 4; j++) {
    x.v[2 * j] = float_of_bits(r[j / 2][j % 2].v[0]);
    x.v[2 * j + 1] = float_of_bits(r[j / 2][j % 2].v[1]);
  }
  return x;
}
