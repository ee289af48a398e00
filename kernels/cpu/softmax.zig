//! The running softmax of one row: scores come in blocks, weights go out, the largest score so far
//! and the total of the weights stay. Works in powers of two, with scale·log2(e) as one factor.

const std = @import("std");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const Kind = tile.Kind;
const lanes = simd.lanes;
const F = simd.F;

pub const State = struct {
    max: f32 = -std.math.inf(f32),
    /// max·factor, rounded: what the exponents were lowered by.
    shift: f32 = 0,
    total: f32 = 0,
};

const log2e: f32 = 1.44269504088896341;

/// Replaces row[0..n] by weights of the kind's type, dense from the start of the row, then zeros up
/// to `end`. Returns the factor for what was summed before.
pub fn step(
    comptime kind: Kind,
    state: *State,
    row: [*]f32,
    n: usize,
    end: usize,
    scale: f32,
) f32 {
    if (n == 0) {
        clear(kind, row, 0, end);
        return 1;
    }
    // Whole vectors only from here on: what lies behind the last score must not count.
    const padded = std.mem.alignForward(usize, n, 2 * lanes);
    @memset(row[n..padded], -std.math.inf(f32));

    const factor = scale * log2e;
    const old = state.shift;
    state.max = maximum(row, padded, state.max);
    // All scores -inf so far: any other shift than -inf gives them the weight 0.
    state.shift = if (state.max == -std.math.inf(f32)) 0 else state.max * factor;
    const total = weights(kind, row, padded, simd.splat(factor), simd.splat(-state.shift));
    clear(kind, row, padded, end);
    // From the rounded shifts, or large scores would weigh differently in different blocks.
    const kept = if (state.total == 0) 1 else exp2(kind, simd.splat(old - state.shift))[0];
    state.total = state.total * kept + total;
    return kept;
}

fn clear(comptime kind: Kind, row: [*]f32, from: usize, end: usize) void {
    if (from >= end) return;
    const E = kind.Elem();
    const to: [*]E = @ptrCast(row);
    @memset(to[from..std.mem.alignForward(usize, end, kind.depth())], std.mem.zeroes(E));
}

fn maximum(row: [*]const f32, n: usize, start: f32) f32 {
    var a = simd.splat(start);
    var b = a;
    var i: usize = 0;
    while (i < n) : (i += 2 * lanes) {
        a = simd.max(a, simd.load(f32, row + i));
        b = simd.max(b, simd.load(f32, row + i + lanes));
    }
    return simd.maxLane(simd.max(a, b));
}

/// In place: 2^(score·factor + shift); returns their sum before rounding.
fn weights(comptime kind: Kind, row: [*]f32, n: usize, factor: F, shift: F) f32 {
    var sums: [2]F = .{ @splat(0), @splat(0) };
    var i: usize = 0;
    while (i < n) : (i += 2 * lanes) {
        const a = exp2(kind, simd.fma(simd.load(f32, row + i), factor, shift));
        const b = exp2(kind, simd.fma(simd.load(f32, row + i + lanes), factor, shift));
        sums[0] += a;
        sums[1] += b;
        if (kind == .f32) {
            simd.store(f32, row + i, a);
            simd.store(f32, row + i + lanes, b);
        } else {
            const half: [*]align(4) F = @ptrCast(row + i / 2);
            half[0] = pack(a, b);
        }
    }
    return simd.sum(sums[0] + sums[1]);
}

/// The bits of 2·lanes bf16: a's, then b's. Subnormals become 0, which a weight may.
inline fn pack(a: F, b: F) F {
    return asm ("vcvtne2ps2bf16 %[a], %[b], %[y]"
        : [y] "=v" (-> F),
        : [a] "v" (a),
          [b] "v" (b),
    );
}

/// 2^x for x ≤ 0; 0 for -inf, NaN for NaN. Within 2e-9 for f32 and 3e-6 for bf16 before rounding.
inline fn exp2(comptime kind: Kind, x: F) F {
    const small = comptime simd.splat(if (simd.has_avx512) -160 else -126);
    const v = simd.max(small, x); // keeps NaN, which is the second operand
    const magic = comptime simd.splat(12582912.0); // rounds to a whole number
    const n = (v + magic) - magic;
    const f = v - n;
    const fitted: []const f32 = if (kind == .bf16)
        &.{ 0.009582838043570518, 0.05590658262372017, 0.24024099111557007, 0.6931241750717163 }
    else
        &.{
            0.00015353341586887836, 0.0013398900628089905, 0.009618437848985195,
            0.055503323674201965,   0.24022647738456726,   0.6931471824645996,
        };
    var p = simd.splat(fitted[0]);
    inline for (fitted[1..]) |c| p = simd.fma(p, f, simd.splat(c));
    p = simd.fma(p, f, simd.splat(1));
    if (simd.has_avx512 and simd.has_asm) return simd.scalef(p, n);
    const i: simd.I = @intFromFloat(@select(f32, n == n, n, simd.splat(0)));
    const power: F = @bitCast((i + @as(simd.I, @splat(127))) << @splat(23));
    return @select(f32, x < small, simd.splat(0), p * power);
}
