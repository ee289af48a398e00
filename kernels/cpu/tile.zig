//! The register tile under matmul, attention and convolution: mr rows of A times a panel of B, both
//! along k. A is row-major as it lies in memory; B is packed: one step of k is one row of vectors.
//! Kind f32 multiplies f32, one k a step; kind bf16 pairs of bf16, two k a step, where the CPU can.

const std = @import("std");
const builtin = @import("builtin");
const simd = @import("simd.zig");
const lanes = simd.lanes;
const F = simd.F;
const U = simd.U;

pub const Kind = enum {
    f32,
    bf16,

    /// Elements of k one step covers.
    pub fn depth(kind: Kind) usize {
        return if (kind == .f32) 1 else 2;
    }

    pub fn Elem(comptime kind: Kind) type {
        return if (kind == .f32) f32 else simd.Bf16;
    }
};

const registers = if (simd.has_avx512 or builtin.cpu.arch == .aarch64) 32 else 16;
/// Rows and vectors of the largest tile: the accumulators leave room for a row of B and one value
/// of A. 8×3 of 32 registers reads 11 values for 24 products, 6×2 of 16 reads 8 for 12.
pub const mr: usize = if (registers == 32) 8 else 6;
pub const nv: usize = if (registers == 32) 3 else 2;
/// Columns of a full panel.
pub const nr: usize = nv * lanes;

/// c[r, 0..vectors·lanes] = Σ a[r][k]·b[k, ·] over steps·depth values of k; `add`: c += that sum.
/// b has `ldb` words (an f32, or a pair of bf16) a step, c has `ldc` floats a row.
pub fn multiply(
    comptime kind: Kind,
    comptime vectors: usize,
    comptime add: bool,
    a: [mr][*]const kind.Elem(),
    b: [*]const u32,
    ldb: usize,
    steps: usize,
    c: [*]f32,
    ldc: usize,
) void {
    var acc: [mr][vectors]F = undefined;
    inline for (0..mr) |r| inline for (0..vectors) |j| {
        acc[r][j] = if (add) simd.load(f32, c + r * ldc + j * lanes) else @splat(0);
    };
    var row = b;
    for (0..steps) |s| {
        var bs: [vectors]F = undefined;
        inline for (0..vectors) |j| bs[j] = simd.load(f32, @ptrCast(row + j * lanes));
        inline for (0..mr) |r| {
            const x = broadcast(kind, a[r], s);
            inline for (0..vectors) |j| acc[r][j] = dot(kind, acc[r][j], x, bs[j]);
        }
        row += ldb;
    }
    inline for (0..mr) |r| inline for (0..vectors) |j| {
        simd.store(f32, c + r * ldc + j * lanes, acc[r][j]);
    };
}

/// The same with the number of vectors known at run time only, 1 ≤ vectors ≤ nv.
pub fn multiplyN(
    comptime kind: Kind,
    vectors: usize,
    comptime add: bool,
    a: [mr][*]const kind.Elem(),
    b: [*]const u32,
    ldb: usize,
    steps: usize,
    c: [*]f32,
    ldc: usize,
) void {
    inline for (1..nv + 1) |n| {
        if (vectors == n) return multiply(kind, n, add, a, b, ldb, steps, c, ldc);
    }
    unreachable;
}

inline fn broadcast(comptime kind: Kind, row: [*]const kind.Elem(), s: usize) F {
    if (kind == .f32) return @splat(row[s]);
    const pairs: [*]align(2) const u32 = @ptrCast(row);
    return @bitCast(@as(U, @splat(pairs[s])));
}

/// acc + a·b per lane; of kind bf16 every lane is a pair, and both products are added.
pub inline fn dot(comptime kind: Kind, acc: F, a: F, b: F) F {
    if (kind == .f32) return simd.fma(a, b, acc);
    if (!simd.has_bf16) @compileError("this CPU kind has no bf16 products");
    return asm ("vdpbf16ps %[b], %[a], %[acc]"
        : [acc] "=v" (-> F),
        : [old] "0" (acc),
          [a] "v" (a),
          [b] "v" (b),
    );
}

// --------------------------------------------------------------------------------------- packing

/// Packs rows of w (along k, `stride` elements apart) as one panel: dst[step][0..nr] words. Columns
/// from `rows` on, and the odd k at the end, become zero. Kind f32 widens any T, bf16 takes bf16.
pub fn packPanel(
    comptime kind: Kind,
    comptime T: type,
    src: [*]const T,
    stride: usize,
    rows: usize,
    k: usize,
    dst: [*]u32,
) void {
    const wide = comptime lanes * kind.depth();
    for (0..nv) |v| {
        const have = @min(rows -| v * lanes, lanes);
        const from = src + v * lanes * stride;
        const to = dst + v * lanes;
        var at: usize = 0;
        while (at + wide <= k) : (at += wide) {
            var block: [lanes]U = undefined;
            if (have == lanes) {
                inline for (0..lanes) |i| {
                    const p = from + i * stride + at;
                    block[i] = words(kind, T, p);
                    @prefetch(p + ahead / @sizeOf(T), .{});
                }
            } else for (&block, 0..) |*x, i| {
                x.* = if (i < have) words(kind, T, from + i * stride + at) else @splat(0);
            }
            transpose(&block);
            inline for (0..lanes) |i| storeWords(to + (at / kind.depth() + i) * nr, block[i]);
        }
        if (at == k) continue;
        var block: [lanes]U = @splat(@splat(0));
        for (0..have) |i| block[i] = wordsPart(kind, T, from + i * stride + at, k - at);
        transpose(&block);
        for (0..(k - at + kind.depth() - 1) / kind.depth()) |i| {
            storeWords(to + (at / kind.depth() + i) * nr, block[i]);
        }
    }
}

/// Bytes ahead of the rows being packed: 16 strided streams are too many for the hardware to guess.
const ahead = 256;

inline fn words(comptime kind: Kind, comptime T: type, p: [*]const T) U {
    if (kind == .f32) return @bitCast(simd.load(T, p));
    if (T != simd.Bf16) @compileError("bf16 pairs come from bf16");
    return @as(*align(2) const U, @ptrCast(p)).*;
}

fn wordsPart(comptime kind: Kind, comptime T: type, p: [*]const T, n: usize) U {
    var part: [lanes * kind.depth()]T = @splat(std.mem.zeroes(T));
    for (0..n) |i| part[i] = p[i];
    return words(kind, T, &part);
}

inline fn storeWords(p: [*]u32, v: U) void {
    @as(*align(4) U, @ptrCast(p)).* = v;
}

/// lanes × lanes words in registers: swaps the off-diagonal halves, then quarters, and so on.
pub inline fn transpose(block: *[lanes]U) void {
    comptime var h: usize = lanes / 2;
    inline while (h > 0) : (h /= 2) {
        const low, const high = comptime swapMasks(h);
        inline for (0..lanes) |i| if (i & h == 0) {
            const a = block[i];
            const b = block[i + h];
            block[i] = @shuffle(u32, a, b, low);
            block[i + h] = @shuffle(u32, a, b, high);
        };
    }
}

fn swapMasks(comptime h: usize) [2]@Vector(lanes, i32) {
    var low: [lanes]i32 = undefined;
    var high: [lanes]i32 = undefined;
    for (0..lanes) |l| {
        low[l] = if (l & h == 0) l else ~@as(i32, l - h);
        high[l] = if (l & h == 0) l + h else ~@as(i32, l);
    }
    return .{ low, high };
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;

fn value(i: usize, j: usize) f32 {
    const x: f32 = @floatFromInt((i * 7 + j * 13) % 31);
    return x / 8 - 2; // exact in bf16
}

fn expectTile(comptime kind: Kind, comptime T: type, rows: usize, k: usize) !void {
    const k_max = 80;
    var w: [nr * k_max]T = undefined;
    for (0..rows) |n| for (0..k) |i| {
        w[n * k_max + i] = simd.fromF32(T, value(n, i));
    };
    var panel: [k_max * nr]u32 = @splat(0xffff_ffff);
    packPanel(kind, T, &w, k_max, rows, k, &panel);
    const E = kind.Elem();
    var a_rows: [mr][k_max]E = @splat(@splat(std.mem.zeroes(E)));
    var a: [mr][*]const E = undefined;
    for (0..mr) |r| {
        for (0..k) |i| a_rows[r][i] = simd.fromF32(E, value(i, r + 3));
        a[r] = &a_rows[r];
    }
    var c: [mr][nr]f32 = @splat(@splat(1));
    const steps = (k + kind.depth() - 1) / kind.depth();

    const vectors = @max(1, (rows + lanes - 1) / lanes);
    multiplyN(kind, vectors, true, a, &panel, nr, steps, &c[0], nr);

    for (0..mr) |r| for (0..vectors * lanes) |n| {
        var want: f32 = 1;
        if (n < rows) for (0..k) |i| {
            want += value(n, i) * value(i, r + 3);
        };
        try testing.expectEqual(want, c[r][n]);
    };
}

test "a tile is the product of its rows and its packed panel" {
    for ([_]usize{ 1, lanes - 1, lanes, lanes + 1, nr - 1, nr }) |rows| {
        for ([_]usize{ 1, 2, 3, lanes - 1, lanes, lanes + 1, 2 * lanes, 2 * lanes + 1, 79 }) |k| {
            try expectTile(.f32, f32, rows, k);
            try expectTile(.f32, f16, rows, k);
            try expectTile(.f32, simd.Bf16, rows, k);
            if (simd.has_bf16) try expectTile(.bf16, simd.Bf16, rows, k);
        }
    }
}
