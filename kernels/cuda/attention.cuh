// What every attention kernel is given, and which keys a query sees.
//   out, q [Tq, H, D]    k, v [Tk, G, D]    cu_q, cu_k i32 [B + 1] or 0 for one sequence
#pragma once

#include "device.cuh"

struct Heads {
  u64 ptr;
  u64 stride_t, stride_h;  // in elements
};

struct AttentionArgs {
  Heads out, q, k, v;
  u64 cu_q, cu_k;
  u32 tokens_q, tokens_k;
  u32 heads, kv_heads;
  u32 size;  // D
  u32 mask, frame;
  float scale;
  u32 dtype;
  u32 pad;
};

// One sequence of the batch: its rows in q and in k.
struct Sequence {
  u32 q0, q_len, k0, k_len;
};

FP_FN Sequence sequence_of(const AttentionArgs& a, u32 index) {
  if (a.cu_q == 0) return Sequence{0, a.tokens_q, 0, a.tokens_k};
  const i32 *q = reinterpret_cast<const i32*>(a.cu_q), *k = reinterpret_cast<const i32*>(a.cu_k);
  const u32 q0 = static_cast<u32>(load<i32>(q + index)),
            k0 = static_cast<u32>(load<i32>(k + index));
  return Sequence{q0, static_cast<u32>(load<i32>(q + index + 1)) - q0, k0,
                  static_cast<u32>(load<i32>(k + index + 1)) - k0};
}

// Every mask shows a query the first keys of its sequence: how many.
FP_FN u32 keys_seen(const AttentionArgs& a, const Sequence& s, u32 query) {
  i64 seen = s.k_len;
  if (a.mask == kMaskCausal) {
    seen = static_cast<i64>(query) + 1 + static_cast<i64>(s.k_len) - static_cast<i64>(s.q_len);
    if (FP_MUTANT(attention_mask)) seen += 1;
  }
  if (a.mask == kMaskFrameCausal) seen = (static_cast<i64>(query / a.frame) + 1) * a.frame;
  if (seen < 0) return 0;
  return seen > s.k_len ? s.k_len : static_cast<u32>(seen);
}
