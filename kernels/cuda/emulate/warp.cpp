// The warp-wide operations, computed for all 32 lanes at once when the last of them has arrived.
#include "engine.h"

namespace emu {

namespace {

typedef float Vec8 __attribute__((vector_size(32)));

void shuffle_xor(void** operands) {
  for (u32 lane = 0; lane < 32; lane++) {
    Shuffle& mine = *static_cast<Shuffle*>(operands[lane]);
    mine.out = static_cast<Shuffle*>(operands[(lane ^ mine.mask) & 31])->in;
  }
}

void vote_any(void** operands) {
  u64 any = 0;
  for (u32 lane = 0; lane < 32; lane++) any |= static_cast<Shuffle*>(operands[lane])->in;
  for (u32 lane = 0; lane < 32; lane++) static_cast<Shuffle*>(operands[lane])->out = any;
}

// Register i of a lane holds two neighbours of matrix i: row lane/4, columns 2(lane%4) and the next.
void ldmatrix(void** operands, bool is_trans, Site site) {
  const u32 warp_tid = self()->tid & ~31u;
  for (u32 m = 0; m < 4; m++) {
    u16 rows[8][8];
    for (u32 r = 0; r < 8; r++) {
      const u32 lane = m * 8 + r;
      const u8* p =
          shared_read(static_cast<Ldmatrix*>(operands[lane])->at, 16, site, warp_tid + lane);
      if (p) memcpy(rows[r], p, 16);
      else memset(rows[r], 0xff, 16);
    }
    for (u32 lane = 0; lane < 32; lane++) {
      const u32 r = lane / 4, c = lane % 4 * 2;
      const u32 lo = is_trans ? rows[c][r] : rows[r][c];
      const u32 hi = is_trans ? rows[c + 1][r] : rows[r][c + 1];
      static_cast<Ldmatrix*>(operands[lane])->r[m] = lo | hi << 16;
    }
  }
}

template <float (*widen)(u16)>
void mma(void** operands) {
  float a[16][16];
  alignas(32) float b[16][8], c[16][8];
  for (u32 lane = 0; lane < 32; lane++) {
    const Mma& op = *static_cast<Mma*>(operands[lane]);
    const u32 row = lane / 4, col = lane % 4 * 2;
    for (u32 i = 0; i < 4; i++) {
      const u32 r = row + (i & 1) * 8, k = col + (i >> 1) * 8;
      a[r][k] = widen(static_cast<u16>(op.a[i]));
      a[r][k + 1] = widen(static_cast<u16>(op.a[i] >> 16));
      c[row + (i >> 1) * 8][col + (i & 1)] = op.c[i];
    }
    for (u32 i = 0; i < 2; i++) {
      b[col + i * 8][row] = widen(static_cast<u16>(op.b[i]));
      b[col + i * 8 + 1][row] = widen(static_cast<u16>(op.b[i] >> 16));
    }
  }
  for (u32 r = 0; r < 16; r++) {
    Vec8 sum;
    memcpy(&sum, c[r], sizeof sum);
    for (u32 k = 0; k < 16; k++) {
      Vec8 row;
      memcpy(&row, b[k], sizeof row);
      sum += a[r][k] * row;
    }
    memcpy(c[r], &sum, sizeof sum);
  }
  for (u32 lane = 0; lane < 32; lane++) {
    const Mma& op = *static_cast<Mma*>(operands[lane]);
    for (u32 i = 0; i < 4; i++) op.c[i] = c[lane / 4 + (i >> 1) * 8][lane % 4 * 2 + (i & 1)];
  }
}

}  // namespace

void execute(u32 kind, void** operands, Site site) {
  switch (kind) {
    case kSyncWarp: self()->block->warps[self()->tid / 32].epoch++; break;
    case kShuffleXor: shuffle_xor(operands); break;
    case kVoteAny: vote_any(operands); break;
    case kLdmatrix: ldmatrix(operands, false, site); break;
    case kLdmatrixTrans: ldmatrix(operands, true, site); break;
    case kMmaBf16: mma<bf16_to>(operands); break;
    case kMmaF16: mma<f16_to>(operands); break;
  }
}

u16 bf16_of(float x) {
  u32 b;
  memcpy(&b, &x, 4);
  if ((b & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<u16>((b + 0x7fffu + (b >> 16 & 1)) >> 16);
}

}  // namespace emu
