// softmax(scale q k^T) v per sequence, on every architecture's tensor cores: mma.sync, ldmatrix,
// cp.async. A block holds BM queries of one head and walks the keys BN at a time, keeping for each
// query the running maximum, the sum and the weighted values, so that no score ever reaches memory.
// While a block of keys is multiplied, its values are on their way, and while values are, the next
// keys. Rows start on 16 bytes and D is a multiple of 8; anything else goes to the plain kernel.
#include "attention.cuh"

// Rows of a tile are 16 bytes longer than their data: an odd number of 16-byte columns spreads
// eight rows over all banks for ldmatrix.
//   size 64, 80: 128 x 64, four warps of 32 rows each read K and V once for two 16-row groups
//   size 128: 128 x 64, eight warps of 16 rows: 32 rows of sums fill a warp's registers and spill
//   size 512: 32 x 16; four warps share a row group, each a quarter of D, since 512 sums a row
//     exceed a warp's share
template <class T_, u32 size_, u32 bm_, u32 bn_, u32 row_warps_, u32 splits_>
struct Shape {
  typedef T_ T;
  static constexpr u32 size = size_, bm = bm_, bn = bn_, row_warps = row_warps_, splits = splits_;
  static constexpr u32 threads = row_warps * splits * 32;
  static constexpr u32 groups = bm / row_warps / 16;  // 16-row groups a warp
  static constexpr u32 slice = size / splits;         // columns of D a warp
  static constexpr u32 pitch = size * 2 + 16;
  static constexpr u32 at_k = bm * pitch, at_v = at_k + bn * pitch, at_sums = at_v + bn * pitch;
};

template <class S>
struct Running {
  float scores[S::groups][S::bn / 8][4];
  float values[S::groups][S::slice / 8][4];
  float maximum[S::groups][2], sum[S::groups][2];
};

// rows [from, from + count) of one head into shared memory at `at`; zeros beyond `rows` and beyond
// D.
template <class S>
FP_FN void fetch_rows(const AttentionArgs& a, u32 at, const Heads& x, u32 head, u32 first, u32 from,
                      u32 rows, u32 count) {
  typedef typename S::T T;
  constexpr u32 chunks = S::size / 8;
  FP_UNROLL_BY(2) for (u32 i = thread_x(); i < count * chunks; i += S::threads) {
    const u32 r = i / chunks, c = i % chunks * 8;
    const bool is_inside = from + r < rows && c < a.size;
    const T* p = reinterpret_cast<const T*>(x.ptr);
    if (is_inside) p += static_cast<u64>(first + from + r) * x.stride_t + head * x.stride_h + c;
    u32 n = is_inside ? a.size - c : 0;
    if (n > 8) n = 8;
    const u32 to = at + r * S::pitch + c * 2;
    copy_async16(to, p, n * 2);
  }
}

// scores = q k^T over this warp's slice of D.
template <class S>
FP_FN void score_block(Running<S>& r, u32 row, u32 d0) {
  const u32 lane = lane_id();
  FP_UNROLL for (u32 g = 0; g < S::groups; g++)
    FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++)
      FP_UNROLL for (u32 i = 0; i < 4; i++) r.scores[g][n][i] = 0;
  FP_UNROLL for (u32 d = 0; d < S::slice; d += 16) {
    u32 q[S::groups][4];
    FP_UNROLL for (u32 g = 0; g < S::groups; g++)
      ldmatrix4((row + g * 16 + lane % 16) * S::pitch + (d0 + d + lane / 16 * 8) * 2, q[g]);
    FP_UNROLL for (u32 n = 0; n < S::bn; n += 16) {
      u32 k[4];
      const u32 key = n + lane % 8 + lane / 16 * 8;
      ldmatrix4(S::at_k + key * S::pitch + (d0 + d + lane / 8 % 2 * 8) * 2, k);
      FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
        mma16816<typename S::T>(r.scores[g][n / 8], q[g], k[0], k[1]);
        mma16816<typename S::T>(r.scores[g][n / 8 + 1], q[g], k[2], k[3]);
      }
    }
  }
}

// Where a warp keeps its part of the scores of group g, column block n, for the others: f32 [split,
// bm, bn].
template <class S>
FP_FN u32 score_at(u32 split, u32 row, u32 n) {
  return S::at_sums +
         ((split * S::bm + row + lane_id() / 4) * S::bn + n * 8 + lane_id() % 4 * 2) * 4;
}

template <class S>
FP_FN void publish_scores(const Running<S>& r, u32 row, u32 split) {
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++) {
      FP_UNROLL for (u32 h = 0; h < 2; h++) {
        const U2 pair = {
            {bits_of_float(r.scores[g][n][2 * h]), bits_of_float(r.scores[g][n][2 * h + 1])}};
        shared_store<U2>(score_at<S>(split, row + g * 16 + h * 8, n), pair);
      }
    }
  }
}

template <class S>
FP_FN void collect_scores(Running<S>& r, u32 row) {
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++) {
      FP_UNROLL for (u32 h = 0; h < 2; h++) {
        float x = 0, y = 0;
        FP_UNROLL for (u32 s = 0; s < S::splits; s++) {
          const U2 pair = shared_load<U2>(score_at<S>(s, row + g * 16 + h * 8, n));
          x += float_of_bits(pair.v[0]);
          y += float_of_bits(pair.v[1]);
        }
        r.scores[g][n][2 * h] = x;
        r.scores[g][n][2 * h + 1] = y;
      }
    }
  }
}

// Hides what the queries from `query` on do not see in the block of keys that begins at key0.
template <class S>
FP_FN void mask_scores(const AttentionArgs& a, const Sequence& s, Running<S>& r, u32 query,
                       u32 key0) {
  const float nothing = float_of_bits(0xff800000u);
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 h = 0; h < 2; h++) {
      const u32 seen = keys_seen(a, s, query + g * 16 + h * 8 + lane_id() / 4);
      FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++) {
        FP_UNROLL for (u32 i = 0; i < 2; i++) {
          if (key0 + n * 8 + lane_id() % 4 * 2 + i >= seen) r.scores[g][n][h * 2 + i] = nothing;
        }
      }
    }
  }
}

// Scores become weights exp(scale (s - max)); what was summed under an older maximum shrinks to the
// new one.
template <class S>
FP_FN void soften(Running<S>& r, float scale_log2) {
  const float nothing = float_of_bits(0xff800000u);
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 h = 0; h < 2; h++) {
      float top = r.maximum[g][h];
      FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++)
        top = max_of(top, max_of(r.scores[g][n][2 * h], r.scores[g][n][2 * h + 1]));
      top = max_of(top, shuffle_xor(top, 1));
      top = max_of(top, shuffle_xor(top, 2));
      // A query that has seen no key yet: any finite base will do.
      const float base = top == nothing ? 0.0f : top * scale_log2;
      const float shrink = exp2_fast(fma_exact(r.maximum[g][h], scale_log2, -base));
      r.maximum[g][h] = top;
      float sum = 0;
      FP_UNROLL for (u32 n = 0; n < S::bn / 8; n++) {
        FP_UNROLL for (u32 i = 2 * h; i < 2 * h + 2; i++) {
          r.scores[g][n][i] = exp2_fast(fma_exact(r.scores[g][n][i], scale_log2, -base));
          sum += r.scores[g][n][i];
        }
      }
      r.sum[g][h] = fma_exact(r.sum[g][h], shrink, sum);
      if (FP_MUTANT(attention_rescale)) continue;
      FP_UNROLL for (u32 n = 0; n < S::slice / 8; n++) {
        r.values[g][n][2 * h] *= shrink;
        r.values[g][n][2 * h + 1] *= shrink;
      }
    }
  }
}

// values += weights v over this warp's slice of D.
template <class S>
FP_FN void weigh_block(Running<S>& r, u32 d0) {
  typedef typename S::T T;
  const u32 lane = lane_id();
  FP_UNROLL for (u32 n = 0; n < S::bn; n += 16) {
    u32 p[S::groups][4];
    FP_UNROLL for (u32 g = 0; g < S::groups; g++)
      FP_UNROLL for (u32 i = 0; i < 4; i++) {
        const float* s = r.scores[g][n / 8 + i / 2] + i % 2 * 2;
        p[g][i] = pack2<T>(s[0], s[1]);
      }
    FP_UNROLL for (u32 d = 0; d < S::slice; d += 16) {
      u32 v[4];
      ldmatrix4_trans(S::at_v + (n + lane % 16) * S::pitch + (d0 + d + lane / 16 * 8) * 2, v);
      FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
        mma16816<T>(r.values[g][d / 8], p[g], v[0], v[1]);
        mma16816<T>(r.values[g][d / 8 + 1], p[g], v[2], v[3]);
      }
    }
  }
}

// Rounds the weighted values into the queries' place, which only this warp still owns, and from
// there to out.
template <class S>
FP_FN void store_rows(const AttentionArgs& a, Running<S>& r, u32 row, u32 d0, u32 head, u32 first,
                      u32 from, u32 rows) {
  typedef typename S::T T;
  const u32 lane = lane_id();
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 h = 0; h < 2; h++) {
      float sum = r.sum[g][h];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
      const u32 at = (row + g * 16 + h * 8 + lane / 4) * S::pitch + (d0 + lane % 4 * 2) * 2;
      FP_UNROLL for (u32 n = 0; n < S::slice / 8; n++)
        shared_store<u32>(at + n * 16, pack2<T>(r.values[g][n][2 * h] * share,
                                                r.values[g][n][2 * h + 1] * share));
    }
  }
  if (!FP_MUTANT(attention_no_warp_barrier)) sync_warp();
  constexpr u32 chunks = S::slice / 8;
  for (u32 i = lane; i < S::groups * 16 * chunks; i += 32) {
    const u32 q = row + i / chunks, c = d0 + i % chunks * 8;
    if (from + q >= rows || c >= a.size) continue;
    const U4 bits = shared_load<U4>(q * S::pitch + c * 2);
    T* out = reinterpret_cast<T*>(a.out.ptr) + static_cast<u64>(first + from + q) * a.out.stride_t +
             head * a.out.stride_h + c;  // out[query, head, c ..]
    store(out, bits);
  }
}

template <class S>
FP_FN void attention_body(const AttentionArgs& a) {
  const Sequence s = sequence_of(a, block_z());
  const u32 from = block_x() * S::bm, head = block_y(), kv_head = head * a.kv_heads / a.heads;
  if (from >= s.q_len) return;
  const u32 warp = warp_id(), row = warp / S::splits * S::groups * 16, split = warp % S::splits;
  const u32 d0 = split * S::slice;
  const u32 last = from + S::bm < s.q_len ? from + S::bm - 1 : s.q_len - 1;
  const u32 seen_all = keys_seen(a, s, from), seen_any = keys_seen(a, s, last);
  const u32 blocks = (seen_any + S::bn - 1) / S::bn;

  Running<S> r;
  FP_UNROLL for (u32 g = 0; g < S::groups; g++) {
    FP_UNROLL for (u32 n = 0; n < S::slice / 8; n++)
      FP_UNROLL for (u32 i = 0; i < 4; i++) r.values[g][n][i] = 0;
    FP_UNROLL for (u32 h = 0; h < 2; h++) {
      r.maximum[g][h] = float_of_bits(0xff800000u);
      r.sum[g][h] = 0;
    }
  }
  fetch_rows<S>(a, 0, a.q, head, s.q0, from, s.q_len, S::bm);
  if (blocks) fetch_rows<S>(a, S::at_k, a.k, kv_head, s.k0, 0, s.k_len, S::bn);
  copy_async_commit();

  for (u32 b = 0; b < blocks; b++) {
    const u32 key0 = b * S::bn;
    copy_async_wait<0>();
    sync_threads();  // this block's keys are there, and nobody needs the last values any more
    fetch_rows<S>(a, S::at_v, a.v, kv_head, s.k0, key0, s.k_len, S::bn);
    copy_async_commit();
    score_block<S>(r, row, d0);
    if (S::splits > 1) publish_scores<S>(r, row, split);
    if (FP_MUTANT(attention_no_wait)) copy_async_wait<1>();
    else copy_async_wait<0>();
    if (!FP_MUTANT(attention_no_barrier))
      sync_threads();  // the values are there, nobody needs the keys
    if (b + 1 < blocks) fetch_rows<S>(a, S::at_k, a.k, kv_head, s.k0, key0 + S::bn, s.k_len, S::bn);
    copy_async_commit();
    if (S::splits > 1) collect_scores<S>(r, row);
    if (key0 + S::bn > seen_all) mask_scores<S>(a, s, r, from + row, key0);
    soften<S>(r, a.scale * 1.4426950408889634f);
    weigh_block<S>(r, d0);
  }
  copy_async_wait<0>();
  sync_threads();
  store_rows<S>(a, r, row, d0, head, s.q0, from, s.q_len);
}

#define FP_ATTENTION(type, size, bm, bn, row_warps, splits)                                 \
  FP_KERNEL(attention_##type##_##size##_kernel, AttentionArgs, row_warps* splits * 32, 1) { \
    attention_body<Shape<type, size, bm, bn, row_warps, splits>>(args);                     \
  }
FP_ATTENTION(bf16, 64, 128, 64, 4, 1)
FP_ATTENTION(bf16, 80, 128, 64, 4, 1)
FP_ATTENTION(bf16, 128, 128, 64, 8, 1)
FP_ATTENTION(bf16, 512, 32, 16, 2, 4)
FP_ATTENTION(f16, 64, 128, 64, 4, 1)
FP_ATTENTION(f16, 80, 128, 64, 4, 1)
FP_ATTENTION(f16, 128, 128, 64, 8, 1)
FP_ATTENTION(f16, 512, 32, 16, 2, 4)

// ---------------------------------------------------------------- plain

// f32 arithmetic, any types: one warp a query. Lanes share the keys for the scores and D for the
// values. Shared memory of a warp: its query f32 [512], then 32 weights.
constexpr u32 kPlainThreads = 128;
constexpr u32 kPlainBytes = (512 + 32) * 4;

FP_KERNEL(attention_plain_kernel, AttentionArgs, kPlainThreads, 2) {
  const Sequence s = sequence_of(args, block_z());
  const u32 query = block_x() * (kPlainThreads / 32) + warp_id(), head = block_y(),
            lane = lane_id();
  if (query >= s.q_len) return;
  const u32 kv_head = head * args.kv_heads / args.heads, at = warp_id() * kPlainBytes,
            size = args.size;
  const u64 q = (static_cast<u64>(s.q0) + query) * args.q.stride_t +
                head * args.q.stride_h;  // q[query, head, :]
  for (u32 d = lane; d < size; d += 32)
    shared_store<float>(at + d * 4, load_any(args.q.ptr, args.dtype, q + d));
  sync_warp();
  const float nothing = float_of_bits(0xff800000u);
  float values[16] = {}, top = nothing, sum = 0;
  const u32 seen = keys_seen(args, s, query);
  for (u32 key0 = 0; key0 < seen; key0 += 32) {
    float score = nothing;
    if (key0 + lane < seen) {
      const u64 k =
          (static_cast<u64>(s.k0) + key0 + lane) * args.k.stride_t + kv_head * args.k.stride_h;
      score = 0;
      for (u32 d = 0; d < size; d++)
        score = fma_exact(shared_load<float>(at + d * 4), load_any(args.k.ptr, args.dtype, k + d),
                          score);
      score *= args.scale;
    }
    const float higher = max_of(top, warp_max(score));
    const float shrink = exp2_fast((top - higher) * 1.4426950408889634f);
    const float weight = exp2_fast((score - higher) * 1.4426950408889634f);
    top = higher;
    sum = fma_exact(sum, shrink, warp_sum(weight));
    shared_store<float>(at + 2048 + lane * 4, weight);
    sync_warp();
    const u32 count = seen - key0 < 32 ? seen - key0 : 32;
    FP_UNROLL for (u32 j = 0; j < 16; j++) {
      if (j * 32 + lane >= size) continue;
      values[j] *= shrink;
      for (u32 i = 0; i < count; i++) {
        const u64 v =
            (static_cast<u64>(s.k0) + key0 + i) * args.v.stride_t + kv_head * args.v.stride_h;
        values[j] = fma_exact(shared_load<float>(at + 2048 + i * 4),
                              load_any(args.v.ptr, args.dtype, v + j * 32 + lane), values[j]);
      }
    }
    sync_warp();
  }
  const u64 out = (static_cast<u64>(s.q0) + query) * args.out.stride_t + head * args.out.stride_h;
  FP_UNROLL for (u32 j = 0; j < 16; j++) {
    const u32 d = j * 32 + lane;
    if (d < size) store_any(args.out.ptr, args.dtype, out + d, sum > 0 ? values[j] / sum : 0.0f);
  }
}
