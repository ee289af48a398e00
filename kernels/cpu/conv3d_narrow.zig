//! conv3d to few output channels (the last layer of a decoder has 3). A panel would be mostly empty, so vectors run
//! along the input channels: each sum is a vector of partial products, folded once all taps are in.

const std = @import("std");
const builtin = @import("builtin");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const product = @import("tile.zig");
const shapes = @import("conv3d_shape.zig");
const tile = @import("conv3d_tile.zig");
const weights = @import("conv3d_weights.zig");
const lanes = simd.lanes;
const F = simd.F;
const Kind = tile.Kind;

pub const out_max = 4;
/// Positions of a tile: with three outputs 24 (12) sums stay in registers.
const positions_max = if (simd.has_avx512 or builtin.cpu.arch == .aarch64) 8 else 4;

/// Words of one tap's weights for one output, in whole vectors.
pub fn tapWords(kind: Kind, channels: usize) usize {
    return std.mem.alignForward(usize, channels, lanes * kind.depth()) / kind.depth();
}

/// to[tap][output][tapWords]
pub fn pack(kind: Kind, w: *const backend.Desc, phase: *const shapes.Phase, to: [*]u32) void {
    switch (w.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            if (kind == .f32) return packAs(.f32, T, w, phase, to);
            if (T == simd.Bf16) return packAs(.bf16, T, w, phase, to);
            unreachable;
        },
        else => unreachable,
    }
}

fn packAs(
    comptime kind: Kind,
    comptime T: type,
    w: *const backend.Desc,
    phase: *const shapes.Phase,
    to: [*]u32,
) void {
    var at = to;
    for (phase.taps[0..phase.len]) |*tap| for (0..w.dims[0]) |o| {
        var channel: usize = 0;
        while (channel < w.dims[4]) : (channel += lanes * kind.depth()) {
            const output = w.host(T) + o * w.strides[0];
            at[0..lanes].* = weights.sum(kind, T, output, w, tap, channel);
            at += lanes;
        }
    };
}

pub const Row = struct {
    x: tile.Words,
    taps: []const usize,
    stride: usize,
    /// Vectors of one tap for one output.
    vectors: usize,
    w: [*]const u32,
    outputs: usize,
};

/// c[position][o] for the `width` positions of one row; positions of c are `lanes` floats apart.
pub fn row(comptime kind: Kind, r: *const Row, c: [*]f32, width: usize) void {
    switch (r.outputs) {
        inline 1...out_max => |outputs| {
            var first: usize = 0;
            comptime var n = positions_max;
            inline while (n > 0) : (n /= 2) {
                while (width - first >= n) : (first += n) dots(kind, n, outputs, r, c, first);
            }
        },
        else => unreachable,
    }
}

fn dots(
    comptime kind: Kind,
    comptime n: usize,
    comptime outputs: usize,
    r: *const Row,
    c: [*]f32,
    first: usize,
) void {
    @setEvalBranchQuota(20_000); // for the folds at the end
    var acc: [n][outputs]F = @splat(@splat(simd.splat(0)));
    var w = r.w;
    const stride = r.stride;
    const next = r.vectors * lanes;
    for (r.taps) |tap| {
        const x = r.x + tap + first * stride;
        for (0..r.vectors) |v| {
            var ws: [outputs]F = undefined;
            inline for (&ws, 0..) |*value, o| value.* = words(w + o * next + v * lanes);
            inline for (0..n) |i| {
                const xs = words(x + i * stride + v * lanes);
                inline for (0..outputs) |o| acc[i][o] = product.dot(kind, acc[i][o], xs, ws[o]);
            }
        }
        w += outputs * next;
    }
    inline for (0..n) |i| inline for (0..outputs) |o| {
        c[(first + i) * lanes + o] = simd.sum(acc[i][o]);
    };
}

inline fn words(p: tile.Words) F {
    return @as(*align(2) const F, @ptrCast(p)).*;
}
