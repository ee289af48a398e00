//! matmul for a few rows of a: every weight is read once, from where it lies; nothing is packed.
//! Groups of rows of w and a meet in registers; lanes run along k and are summed at the end.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const epilogue = @import("epilogue.zig");
const matmul = @import("matmul.zig");
const Kind = tile.Kind;
const lanes = simd.lanes;
const F = simd.F;
const nr = tile.nr;

/// Up to this many rows this way wins over packing.
pub const rows_max = 8;
const slot = 0;
/// Rows of a that pass one group of w together, and rows of w in a group.
const a_group = if (tile.mr == 8) 4 else 2;
const w_group = 4;

/// Kind f32 takes any dtypes, kind bf16 takes a and w of bf16.
pub fn run(comptime kind: Kind, args: *const backend.Matmul) backend.Status {
    const E = kind.Elem();
    const m: usize = args.a.dims[0];
    const k: usize = args.a.dims[1];
    // Always copied: as E, and padded by zeros to whole vectors, so that only w has tails.
    const lda = std.mem.alignForward(usize, k, lanes * kind.depth());
    const bytes = @max(1, m * lda * @sizeOf(E));
    const copy: [*]E = @ptrCast(pool.scratch(slot, bytes) orelse
        return pool.noScratch("matmul", bytes));
    for (0..m) |r| switch (args.a.dtype) {
        inline .f32, .bf16, .f16 => |dtype| {
            const T = simd.Elem(dtype);
            const src = args.a.host(T) + r * args.a.strides[0];
            matmul.convertRow(T, E, src, copy + r * lda, k, lda);
        },
        else => unreachable,
    };
    const p: Plan(kind) = .{
        .args = args,
        .end = .of(args),
        .a = copy,
        .lda = lda,
        .m = m,
        .n = args.out.dims[1],
        .k = k,
    };
    pool.parallelRange(p.n, grain_columns, &p, Plan(kind).columns);
    return .ok;
}

/// Columns of out a task makes.
const grain_columns = nr / w_group * w_group;

fn Plan(comptime kind: Kind) type {
    const E = kind.Elem();
    return struct {
        const Self = @This();

        args: *const backend.Matmul,
        end: epilogue.Epilogue,
        a: [*]const E,
        lda: usize,
        m: usize,
        n: usize,
        k: usize,

        fn columns(p: *const Self, from: usize, to: usize) void {
            switch (p.args.w.dtype) {
                inline .f32, .bf16, .f16 => |dtype| {
                    const T = simd.Elem(dtype);
                    if (kind == .bf16 and T != simd.Bf16) unreachable;
                    p.columnsAs(T, from, to);
                },
                else => unreachable,
            }
        }

        fn columnsAs(p: *const Self, comptime T: type, from: usize, to: usize) void {
            var c: [rows_max * nr]f32 align(64) = undefined;
            const stride = p.args.w.strides[0];
            var n = from;
            while (n < to) : (n += w_group) {
                // Past the end the last row of w stands in; its column of c is not stored.
                var w: [w_group][*]const T = undefined;
                for (&w, 0..) |*x, i| x.* = p.args.w.host(T) + @min(n + i, to - 1) * stride;
                var r: usize = 0;
                while (r < p.m) {
                    const a = p.a + r * p.lda;
                    const sums = c[r * nr + (n - from) ..].ptr;
                    const take: usize = if (p.m - r >= a_group) a_group else 1;
                    if (take == a_group) {
                        p.group(T, a_group, a, w, sums);
                    } else {
                        p.group(T, 1, a, w, sums);
                    }
                    r += take;
                }
            }
            epilogue.finish(&p.end, &c, nr, 0, p.m, from, to - from);
        }

        /// sums[i·nr + j] = Σ a[i, ·]·w[j][·] for `rows` rows of a.
        fn group(
            p: *const Self,
            comptime T: type,
            comptime rows: usize,
            a: [*]const E,
            w: [w_group][*]const T,
            sums: [*]f32,
        ) void {
            const wide = comptime lanes * kind.depth();
            var acc: [rows][w_group]F = @splat(@splat(@splat(0)));
            var at: usize = 0;
            while (at + wide <= p.k) : (at += wide) {
                var x: [rows]F = undefined;
                inline for (0..rows) |i| x[i] = vector(kind, E, a + i * p.lda + at);
                inline for (0..w_group) |j| {
                    const y = vector(kind, T, w[j] + at);
                    inline for (0..rows) |i| acc[i][j] = tile.dot(kind, acc[i][j], x[i], y);
                }
            }
            if (at < p.k) inline for (0..w_group) |j| {
                var part: [wide]T = @splat(std.mem.zeroes(T));
                for (0..p.k - at) |i| part[i] = w[j][at + i];
                const y = vector(kind, T, &part);
                inline for (0..rows) |i| {
                    acc[i][j] = tile.dot(kind, acc[i][j], vector(kind, E, a + i * p.lda + at), y);
                }
            };
            inline for (0..rows) |i| inline for (0..w_group) |j| {
                sums[i * nr + j] = simd.sum(acc[i][j]);
            };
        }
    };
}

/// A vector of f32, or the bits of a vector of bf16 pairs.
inline fn vector(comptime kind: Kind, comptime T: type, p: [*]const T) F {
    if (kind == .f32) return simd.load(T, p);
    return @as(*align(2) const F, @ptrCast(p)).*;
}
