// The matrix product on Hopper: y = act(a w^T + bias), out = residual + gate * y, for 16-bit a and w of one type.
// A block stays and takes tiles of 128 x 256 in turn. One warp keeps four stages of 64 columns of K on their way; two
// warpgroups own 64 rows each. The copy engine fills what lies outside with zeros. N is a multiple of 8 and every row
// of out, residual, bias and gate starts on 16 bytes, so that eight columns are stored whole; matmul.cu does the rest.
#include "matmul.cuh"

struct MatmulSm90Args {
  TensorMap a, w;  // boxes of [128, 64] and [256, 64]
  MatmulArgs m;
};

constexpr u32 kRows = 128, kColumns = 256;
constexpr u32 kThreads = 384;
constexpr u32 kStages = 4;
constexpr u32 kRowBytes = 128;  // 64 columns of K
constexpr u32 kStageBytes = (kRows + kColumns) * kRowBytes;
// Barriers of stage s: filled at kBarriers + 16 s, read by all eight warps 8 bytes on.
constexpr u32 kBarriers = kStages * kStageBytes;

struct Step {
  u32 at, full, free, parity;
};
FP_FN Step step_of(u32 turn) {
  const u32 stage = turn % kStages, barriers = kBarriers + stage * 16;
  return Step{stage * kStageBytes, barriers, barriers + 8, turn / kStages & 1};
}

struct TilePlace {
  u32 m0, n0;
};
// Down sixteen rows of tiles before the next column: what runs at once then reads the fewest rows of a and w.
FP_FN TilePlace find_tile(const MatmulArgs& a, u32 index) {
  const u32 group = index / (16 * a.tiles_n), first = group * 16, place = index % (16 * a.tiles_n);
  const u32 height = a.tiles_m - first < 16 ? a.tiles_m - first : 16;
  return TilePlace{(first + place % height) * kRows, place / height * kColumns};
}

FP_FN void fetch_tiles(const MatmulSm90Args& args, u32 tiles, u32 steps) {
  u32 turn = 0;
  for (u32 index = block_x(); index < tiles; index += grid_x()) {
    const TilePlace t = find_tile(args.m, index);
    for (u32 k = 0; k < steps; k++, turn++) {
      const Step s = step_of(turn);
      const i32 column = static_cast<i32>(k * 64);
      mbarrier_wait(s.free, s.parity ^ 1);
      mbarrier_expect(s.full, FP_MUTANT(sm90_expect) ? kRows * kRowBytes : kStageBytes);
      tensor_copy(s.at, args.a, column, static_cast<i32>(t.m0), s.full);
      tensor_copy(s.at + kRows * kRowBytes, args.w, column, static_cast<i32>(t.n0), s.full);
    }
  }
}

// sums += a w^T over one stage.
template <class T>
FP_FN void start_step(float (&sums)[kColumns / 2], const Step& s, u32 group, bool keep) {
  const u64 a = operand_at(s.at + group * 64 * kRowBytes, 16);
  const u64 w = operand_at(s.at + kRows * kRowBytes, 16);
  wgmma_fence();
  FP_UNROLL for (u32 k = 0; k < 4; k++)
    wgmma<T, kColumns>(sums, a + (k * 32 >> 4), w + (k * 32 >> 4), k != 0 || keep);
  wgmma_commit();
}

template <class T>
FP_FN void multiply_tile(float (&sums)[kColumns / 2], u32 group, u32 steps, u32& turn) {
  wgmma_hold(sums);
  for (u32 k = 0; k < steps; k++, turn++) {
    const Step s = step_of(turn);
    if (!FP_MUTANT(sm90_matmul_no_wait)) mbarrier_wait(s.full, s.parity);
    start_step<T>(sums, s, group, k != 0);
    // The step before is done with its stage when at most this one is not.
    wgmma_wait<1>();
    if (k != 0 && lane_id() == 0 && !FP_MUTANT(sm90_no_release))
      mbarrier_arrive(step_of(turn - 1).free);
  }
  wgmma_wait<0>();
  wgmma_hold(sums);
  if (lane_id() == 0) mbarrier_arrive(step_of(turn - 1).free);
}

template <class T>
FP_FN void multiply_tiles(const MatmulSm90Args& args, u32 tiles, u32 steps, u32 group) {
  u32 turn = 0;
  for (u32 index = block_x(); index < tiles; index += grid_x()) {
    const TilePlace t = find_tile(args.m, index);
    float sums[kColumns / 2];
    multiply_tile<T>(sums, group, steps, turn);
    const Epilogue e = epilogue_of(args.m);
    const u64 row = t.m0 + group * 64 + warp_id() % 4 * 16 + lane_id() / 4;
    FP_UNROLL for (u32 g = 0; g < kColumns / 32; g++) {
      const Columns c = columns_of<true>(e, t.n0 + g * 32 + lane_id() % 4 * 8);
      FP_UNROLL for (u32 h = 0; h < 2; h++)
        store_eight<T>(e, MatmulPlaces{args.m}, c, row + h * 8, eight_columns(sums, g, h));
    }
  }
}

template <class T>
FP_FN void matmul_sm90_body(const MatmulSm90Args& args) {
  if (thread_x() == 0) {
    for (u32 s = 0; s < kStages; s++) {
      mbarrier_init(step_of(s).full, 1);
      mbarrier_init(step_of(s).free, 8);
    }
    mbarrier_init_done();
    tensor_prefetch(args.a);
    tensor_prefetch(args.w);
  }
  sync_threads();
  const u32 group = warp_id() / 4, tiles = args.m.tiles_m * args.m.tiles_n;
  const u32 steps = (args.m.k + 63) / 64;
  if (group == 0) {
    registers_give<24>();
    if (warp_id() == 0 && elect_one()) fetch_tiles(args, tiles, steps);
  } else {
    registers_take<240>();
    multiply_tiles<T>(args, tiles, steps, group - 1);
  }
}

FP_KERNEL(matmul_sm90_bf16_kernel, MatmulSm90Args, kThreads, 1) { matmul_sm90_body<bf16>(args); }
FP_KERNEL(matmul_sm90_f16_kernel, MatmulSm90Args, kThreads, 1) { matmul_sm90_body<f16>(args); }
