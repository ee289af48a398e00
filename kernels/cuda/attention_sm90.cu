// softmax(scale q k^T) v per sequence on Hopper: heads of 128 in 16 bits, no mask. attention.cu does the rest.
// A block holds 128 queries of one head and stays for many such tiles. One warp fetches queries, keys and values with
// the copy engine; two warpgroups own 64 queries each and multiply. They take turns: while one's products run, the
// other computes its exponentials. Within a warpgroup the scores of the next keys are multiplied together with the
// values of the last ones, so that the tensor cores have work whenever either is ready.
#include "attention.cuh"

struct AttentionSm90Args {
  TensorMap q, k, v;  // [T, H, 128], boxes of [rows, 1, 64]
  AttentionArgs a;
  u32 tiles_q;  // tiles that the longest sequence may have
  u32 tiles;    // tiles_q * heads * sequences
};

constexpr u32 kQueries = 128;
constexpr u32 kThreads = 384;
constexpr u32 kStages = 2;
constexpr u32 kQueryBytes = kQueries * 256;

// Shared memory: queries, then `stages` blocks of keys, then of values, each as two halves of 64 columns, then the
// barriers. A stage's first barrier ends when it is filled, the second when all eight warps have read it.
template <class T_, u32 keys_>
struct Hopper {
  typedef T_ T;
  static constexpr u32 keys = keys_, half = keys * 128, bytes = keys * 256;
  static constexpr u32 at_k = kQueryBytes, at_v = at_k + kStages * bytes;
  static constexpr u32 q_full = at_v + kStages * bytes, q_free = q_full + 8;
  static constexpr u32 k_full = q_free + 8, k_free = k_full + 8 * kStages;
  static constexpr u32 v_full = k_free + 8 * kStages, v_free = v_full + 8 * kStages;
  static constexpr u32 v_tail = v_free + 8 * kStages;
};

struct Tile {
  Sequence s;
  u32 from, head, blocks;
};

// False for a tile beyond its sequence.
template <class S>
FP_FN bool find_tile(const AttentionSm90Args& args, u32 index, Tile& t) {
  const u32 rest = index / args.tiles_q;
  t.s = sequence_of(args.a, rest / args.a.heads);
  t.from = index % args.tiles_q * kQueries;
  t.head = rest % args.a.heads;
  t.blocks = (t.s.k_len + S::keys - 1) / S::keys;
  return t.from < t.s.q_len;
}

FP_FN u32 stage_of(u32 turn) { return turn % kStages; }
FP_FN u32 parity_of(u32 turn) { return turn / kStages & 1; }

// ---------------------------------------------------------------- the fetching warp

// Rows of one head from `row` on, as two halves.
FP_FN void fetch(u32 at, u32 half, const TensorMap& map, u32 head, u32 row, u32 barrier) {
  const i32 y = static_cast<i32>(head), z = static_cast<i32>(row);
  tensor_copy(at, map, 0, y, z, barrier);
  tensor_copy(at + half, map, 64, y, z, barrier);
}

// The values of a block that ends inside another sequence, whose values are replaced by zeros: their weights are 0,
// but 0 times infinity is not.
template <class S>
FP_FN void fetch_tail(const AttentionSm90Args& args, const Tile& t, u32 kv_head, u32 turn,
                      u32 tail_turn, u32 key0) {
  const u32 at = S::at_v + stage_of(turn) * S::bytes;
  if (lane_id() == 0) {
    mbarrier_expect(S::v_tail, S::bytes);
    fetch(at, S::half, args.v, kv_head, t.s.k0 + key0, S::v_tail);
  }
  mbarrier_wait(S::v_tail, tail_turn & 1);
  const u32 left = t.s.k_len - key0;
  for (u32 i = lane_id(); i < (S::keys - left) * 16; i += 32) {
    const u32 row = left + i / 16, chunk = i % 16;
    shared_store<U4>(at + chunk / 8 * S::half + row * 128 + chunk % 8 * 16, U4{{0, 0, 0, 0}});
  }
  if (!FP_MUTANT(sm90_no_proxy_fence)) fence_proxy_async();
  sync_warp();
  if (lane_id() == 0) mbarrier_arrive(S::v_full + stage_of(turn) * 8);
}

template <class S>
FP_FN void fetch_tiles(const AttentionSm90Args& args) {
  u32 tile_turn = 0, turn = 0, tail_turn = 0;
  for (u32 index = block_x(); index < args.tiles; index += grid_x()) {
    Tile t;
    if (!find_tile<S>(args, index, t) || t.blocks == 0) continue;
    const u32 kv_head = t.head * args.a.kv_heads / args.a.heads;
    const bool has_tail = t.s.k0 + t.s.k_len < args.a.tokens_k && t.s.k_len % S::keys != 0;
    mbarrier_wait(S::q_free, (tile_turn & 1) ^ 1);
    if (lane_id() == 0) {
      mbarrier_expect(S::q_full, kQueryBytes);
      fetch(0, kQueryBytes / 2, args.q, t.head, t.s.q0 + t.from, S::q_full);
    }
    for (u32 b = 0; b < t.blocks; b++, turn++) {
      const u32 stage = stage_of(turn), free = parity_of(turn) ^ 1, key0 = b * S::keys;
      mbarrier_wait(S::k_free + stage * 8, free);
      if (lane_id() == 0) {
        mbarrier_expect(S::k_full + stage * 8, S::bytes);
        fetch(S::at_k + stage * S::bytes, S::half, args.k, kv_head, t.s.k0 + key0,
              S::k_full + stage * 8);
      }
      mbarrier_wait(S::v_free + stage * 8, free);
      if (has_tail && b + 1 == t.blocks) {
        fetch_tail<S>(args, t, kv_head, turn, tail_turn++, key0);
      } else if (lane_id() == 0) {
        mbarrier_expect(S::v_full + stage * 8, S::bytes);
        fetch(S::at_v + stage * S::bytes, S::half, args.v, kv_head, t.s.k0 + key0,
              S::v_full + stage * 8);
      }
    }
    tile_turn++;
  }
}

// ---------------------------------------------------------------- the multiplying warpgroups

template <class S>
struct Running {
  float scores[S::keys / 2];  // as wgmma keeps them: [column pair, half, element]
  float values[64];
  u32 weights[S::keys / 16][4];
  float maximum[2], sum[2];
};

// One arrival a warp, once none of its products reads the stage any more.
FP_FN void release(u32 barrier) {
  if (lane_id() == 0) mbarrier_arrive(barrier);
}

// Starts scores = q k^T.
template <class S>
FP_FN void start_scores(Running<S>& r, u32 group, u32 turn) {
  wgmma_hold(r.scores);
  if (!FP_MUTANT(sm90_no_fence)) wgmma_fence();
  const u64 q = operand_at(group * 64 * 128, 16);
  const u64 k = operand_at(S::at_k + stage_of(turn) * S::bytes, 16);
  FP_UNROLL for (u32 d = 0; d < 8; d++) {
    const u32 step = d % 4 * 32;
    const u32 q_step = d / 4 * (kQueryBytes / 2) + step, k_step = d / 4 * S::half + step;
    wgmma<typename S::T, S::keys>(r.scores, q + (q_step >> 4), k + (k_step >> 4), d != 0);
  }
  wgmma_commit();
}

// Starts values += weights v.
template <class S>
FP_FN void start_values(Running<S>& r, u32 turn, bool keep) {
  wgmma_hold(r.values);
  wgmma_fence();
  const u64 v = operand_at(S::at_v + stage_of(turn) * S::bytes, S::half);
  FP_UNROLL for (u32 n = 0; n < S::keys / 16; n++)
    wgmma_rs<typename S::T, 128>(r.values, r.weights[n], v + (n * 2048 >> 4), n != 0 || keep);
  wgmma_commit();
}

// Hides the keys beyond the first `count` of this block.
template <class S>
FP_FN void hide_keys(Running<S>& r, u32 count) {
  FP_UNROLL for (u32 i = 0; i < S::keys / 2; i++)
    if (i / 4 * 8 + lane_id() % 4 * 2 + i % 2 >= count) r.scores[i] = float_of_bits(0xff800000u);
}

// Scores become weights exp(scale (s - max)); shrink is what older sums are multiplied by.
template <class S>
FP_FN void soften(Running<S>& r, float scale_log2, float (&shrink)[2]) {
  FP_UNROLL for (u32 h = 0; h < 2; h++) {
    float top = r.maximum[h];
    FP_UNROLL for (u32 i = 0; i < S::keys / 4; i++)
      top = max_of(top, r.scores[i / 2 * 4 + h * 2 + i % 2]);
    top = max_of(top, shuffle_xor(top, 1));
    top = max_of(top, shuffle_xor(top, 2));
    // Every score is -inf: any finite base will do.
    const float base = top == float_of_bits(0xff800000u) ? 0.0f : top * scale_log2;
    shrink[h] = exp2_fast(fma_exact(r.maximum[h], scale_log2, -base));
    r.maximum[h] = top;
    float sum = 0;
    FP_UNROLL for (u32 i = 0; i < S::keys / 4; i++) {
      float& s = r.scores[i / 2 * 4 + h * 2 + i % 2];
      s = exp2_fast(fma_exact(s, scale_log2, -base));
      sum += s;
    }
    r.sum[h] = fma_exact(r.sum[h], shrink[h], sum);
  }
}

// The scores' layout is the one in which wgmma takes its left operand from registers.
template <class S>
FP_FN void pack_weights(Running<S>& r) {
  FP_UNROLL for (u32 n = 0; n < S::keys / 16; n++) FP_UNROLL
    for (u32 i = 0; i < 4; i++)
      r.weights[n][i] =
          pack2<typename S::T>(r.scores[n * 8 + i * 2], r.scores[n * 8 + i * 2 + 1]);
}

// The group's turn at the tensor cores, and the other's.
FP_FN void take_turn(u32 group) { named_sync(1 + group, 256); }
FP_FN void pass_turn(u32 group) { named_arrive(2 - group, 256); }

// All keys of a tile. `turn` counts blocks of keys over all tiles.
template <class S>
FP_FN void attend(const AttentionSm90Args& args, const Tile& t, Running<S>& r, u32 group,
                  u32& turn) {
  const float scale_log2 = args.a.scale * 1.4426950408889634f;
  const u32 last = t.s.k_len - (t.blocks - 1) * S::keys;  // keys of the last block
  float shrink[2];
  if (!FP_MUTANT(sm90_no_wait)) mbarrier_wait(S::k_full + stage_of(turn) * 8, parity_of(turn));
  start_scores<S>(r, group, turn);
  if (FP_MUTANT(sm90_pending)) wgmma_wait<1>();
  else wgmma_wait<0>();
  wgmma_hold(r.scores);
  release(S::k_free + stage_of(turn) * 8);
  if (t.blocks == 1) hide_keys<S>(r, last);
  soften<S>(r, scale_log2, shrink);
  pack_weights<S>(r);

  for (u32 b = 1; b < t.blocks; b++) {
    const u32 before = turn++;
    mbarrier_wait(S::k_full + stage_of(turn) * 8, parity_of(turn));
    take_turn(group);
    start_scores<S>(r, group, turn);
    mbarrier_wait(S::v_full + stage_of(before) * 8, parity_of(before));
    start_values<S>(r, before, b > 1);
    if (FP_MUTANT(sm90_early_release)) release(S::v_free + stage_of(before) * 8);
    pass_turn(group);
    wgmma_wait<1>();
    wgmma_hold(r.scores);
    release(S::k_free + stage_of(turn) * 8);
    if (b + 1 == t.blocks) hide_keys<S>(r, last);
    soften<S>(r, scale_log2, shrink);
    // One wait before the branch would be moved ahead of the exponentials by the assembler, and hide nothing of them.
    if (vote_any(shrink[0] != 1.0f || shrink[1] != 1.0f)) {
      wgmma_wait<0>();
      wgmma_hold(r.values);
      FP_UNROLL for (u32 i = 0; i < 64; i++)
        r.values[i] *= shrink[i / 2 % 2];
    } else {
      wgmma_wait<0>();
      wgmma_hold(r.values);
    }
    if (!FP_MUTANT(sm90_early_release)) release(S::v_free + stage_of(before) * 8);
    pack_weights<S>(r);
  }
  release(S::q_free);
  mbarrier_wait(S::v_full + stage_of(turn) * 8, parity_of(turn));
  start_values<S>(r, turn, t.blocks > 1);
  wgmma_wait<0>();
  wgmma_hold(r.values);
  release(S::v_free + stage_of(turn) * 8);
  turn++;
}

template <class S>
FP_FN void store_tile(const AttentionArgs& a, const Tile& t, Running<S>& r, u32 group) {
  typedef typename S::T T;
  FP_UNROLL for (u32 h = 0; h < 2; h++) {
    float sum = r.sum[h];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    const float share = sum > 0 ? 1.0f / sum : 0.0f;
    const u32 query = t.from + group * 64 + warp_id() % 4 * 16 + lane_id() / 4 + h * 8;
    T* out = reinterpret_cast<T*>(a.out.ptr) + (static_cast<u64>(t.s.q0) + query) * a.out.stride_t +
             t.head * a.out.stride_h + lane_id() % 4 * 8;  // out[query, head, ..]
    FP_UNROLL for (u32 g = 0; g < 4; g++) {
      F8 y = eight_columns(r.values, g, h);
      FP_UNROLL for (u32 e = 0; e < 8; e++)
        y.v[e] *= share;
      if (query < t.s.q_len) store8(out + g * 32, y);
    }
  }
}

template <class S>
FP_FN void multiply_tiles(const AttentionSm90Args& args, u32 group) {
  u32 tile_turn = 0, turn = 0;
  if (group == 1) pass_turn(group);
  for (u32 index = block_x(); index < args.tiles; index += grid_x()) {
    Tile t;
    if (!find_tile<S>(args, index, t)) continue;
    Running<S> r;
    FP_UNROLL for (u32 h = 0; h < 2; h++) {
      r.maximum[h] = float_of_bits(0xff800000u);
      r.sum[h] = 0;
    }
    if (t.blocks == 0) {
      FP_UNROLL for (u32 i = 0; i < 64; i++)
        r.values[i] = 0;
    } else {
      mbarrier_wait(S::q_full, tile_turn++ & 1);
      attend<S>(args, t, r, group, turn);
    }
    store_tile<S>(args.a, t, r, group);
  }
  // The turn that nobody takes any more.
  if (group == 0) take_turn(group);
}

template <class S>
FP_FN void attention_sm90_body(const AttentionSm90Args& args) {
  if (thread_x() == 0) {
    mbarrier_init(S::q_full, 1);
    mbarrier_init(S::q_free, 8);
    for (u32 s = 0; s < kStages * 8; s += 8) {
      mbarrier_init(S::k_full + s, 1);
      mbarrier_init(S::k_free + s, 8);
      mbarrier_init(S::v_full + s, 1);
      mbarrier_init(S::v_free + s, 8);
    }
    mbarrier_init(S::v_tail, 1);
    mbarrier_init_done();
    tensor_prefetch(args.q);
    tensor_prefetch(args.k);
    tensor_prefetch(args.v);
  }
  sync_threads();
  const u32 group = warp_id() / 4;
  if (group == 0) {
    registers_give<24>();
    if (warp_id() == 0) fetch_tiles<S>(args);
  } else {
    registers_take<240>();
    multiply_tiles<S>(args, group - 1);
  }
}

FP_KERNEL(attention_sm90_bf16_kernel, AttentionSm90Args, kThreads, 1) {
  attention_sm90_body<Hopper<bf16, 176>>(args);
}
FP_KERNEL(attention_sm90_f16_kernel, AttentionSm90Args, kThreads, 1) {
  attention_sm90_body<Hopper<f16, 176>>(args);
}
