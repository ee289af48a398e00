//! The register tile of conv3d: neighbouring positions of one output row times one panel of output channels, summed
//! over taps and input channels. Input words lie at a fixed distance from position to position, so a tile needs one
//! address for each tap. The order of sums for an element does not depend on where the tiles are cut.

const std = @import("std");
const builtin = @import("builtin");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const lanes = simd.lanes;
const F = simd.F;
pub const Kind = tile.Kind;

const registers = if (simd.has_avx512 or builtin.cpu.arch == .aarch64) 32 else 16;
/// Vectors of output channels in a panel: two, so that a word that is broadcast serves two products; one where there
/// are not more channels than that.
pub const nv_max: usize = 2;

/// Positions of the largest tile: as many sums as leave registers for a row of weights and a broadcast.
pub fn mr(comptime nv: usize) usize {
    return (if (registers == 32) 24 else 12) / nv;
}

/// A word is an f32 or a pair of bf16; pairs that come straight from a tensor are only aligned as bf16 are.
pub const Words = [*]align(2) const u32;

pub const Visit = struct {
    /// Words, and for each tap the offset of the row's first position.
    x: Words,
    taps: [*]const usize,
    /// Runs of taps whose words follow each other, and the taps of each.
    runs: usize,
    run: usize,
    /// Words from one position to the next.
    stride: usize,
    /// Words to sum over, for each run.
    steps: usize,
    /// [runs][steps][nv·lanes] words.
    w: [*]const u32,
    /// [positions][nv·lanes] sums.
    c: [*]f32,
    /// Whether c holds sums already.
    add: bool,
};

/// Adds one group of taps to the sums of `positions` ≤ mr(nv) positions that start at position `first`.
pub fn visit(
    comptime kind: Kind,
    comptime nv: usize,
    positions: usize,
    v: *const Visit,
    first: usize,
) void {
    switch (positions) {
        inline 1...mr(nv) => |n| rows(kind, nv, n, v, first),
        else => unreachable,
    }
}

fn rows(
    comptime kind: Kind,
    comptime nv: usize,
    comptime n: usize,
    v: *const Visit,
    first: usize,
) void {
    const nr = nv * lanes;
    var acc: [n][nv]F = undefined;
    if (v.add) {
        inline for (0..n) |r| inline for (0..nv) |j| {
            acc[r][j] = simd.load(f32, v.c + r * nr + j * lanes);
        };
    } else {
        inline for (0..n) |r| inline for (0..nv) |j| {
            acc[r][j] = @splat(0);
        };
    }
    var w = v.w;
    const stride = v.stride;
    for (0..v.runs) |run| {
        const x = v.x + v.taps[run * v.run] + first * stride;
        for (0..v.steps) |s| {
            var ws: [nv]F = undefined;
            inline for (0..nv) |j| ws[j] = simd.load(f32, @ptrCast(w + j * lanes));
            inline for (0..n) |r| {
                const word: F = @bitCast(@as(simd.U, @splat(x[r * stride + s])));
                inline for (0..nv) |j| acc[r][j] = tile.dot(kind, acc[r][j], word, ws[j]);
            }
            w += nr;
        }
    }
    inline for (0..n) |r| inline for (0..nv) |j| {
        simd.store(f32, v.c + r * nr + j * lanes, acc[r][j]);
    };
}
