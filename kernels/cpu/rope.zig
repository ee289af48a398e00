//! qk_norm_rope: RMS norm of every head row and its rotation by the row of a table, in place, in one pass.
//! The norm rounds as if it were written to memory in T twice, which is what the models were trained with.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const norm = @import("norm.zig");
const work = @import("work.zig");
const Status = backend.Status;
const lanes = simd.lanes;
const F = simd.F;

pub fn qk_norm_rope(args: *const backend.QkNormRope) Status {
    var p: [1][]const f32 = undefined;
    const weight: ?*const backend.Desc = if (args.weight) |*w| w else null;
    const status = work.params("qk_norm_rope", 1, 0, .{weight}, &p);
    if (status != .ok) return status;
    const Context = struct { args: *const backend.QkNormRope, weight: ?[*]const f32 };
    const context: Context = .{ .args = args, .weight = if (weight != null) p[0].ptr else null };
    const columns = @as(usize, args.x.dims[1]) * args.x.dims[2];
    if (columns == 0) return .ok;
    pool.parallelRange(args.x.dims[0], work.rowGrain(columns), context, struct {
        fn tokens(c: Context, from: usize, to: usize) void {
            switch (c.args.x.dtype) {
                inline .f32, .bf16, .f16 => |d| switch (c.args.style) {
                    inline else => |s| for (from..to) |t| {
                        token(simd.Elem(d), s, c.args, c.weight, t);
                    },
                },
                else => unreachable,
            }
        }
    }.tokens);
    return .ok;
}

fn token(
    comptime T: type,
    comptime style: backend.RopeStyle,
    args: *const backend.QkNormRope,
    weight: ?[*]const f32,
    t: usize,
) void {
    const size: usize = args.x.dims[2];
    const table: ?[*]const f32 = row: {
        const all = args.table orelse break :row null;
        if (t >= all.dims[0]) break :row null;
        break :row all.host(f32) + t * all.strides[0]; // table[t, :]: cosines, then sines
    };
    for (0..args.x.dims[1]) |h| {
        const x = args.x.host(T) + t * args.x.strides[0] + h * args.x.strides[1]; // x[t, h, :]
        if (weight) |w| scaleRow(T, x, size, w, args.eps);
        const cos = table orelse continue;
        switch (style) {
            .neighbours => rotateNeighbours(T, x, size, cos, cos + size),
            .halves => rotateHalves(T, x, size / 2, cos, cos + size),
        }
    }
}

inline fn scaleRow(comptime T: type, x: [*]T, size: usize, weight: [*]const f32, eps: f32) void {
    const inverse = simd.splat(norm.rmsInverse(T, x, size, eps));
    var i: usize = 0;
    while (i < size) : (i += lanes) {
        const n = @min(lanes, size - i);
        const y = simd.roundTo(T, take(T, x + i, n) * inverse);
        put(T, x + i, n, y * take(f32, weight + i, n));
    }
}

/// Pairs (2i, 2i+1): the partner of every lane is its neighbour.
inline fn rotateNeighbours(
    comptime T: type,
    x: [*]T,
    size: usize,
    cos: [*]const f32,
    sin: [*]const f32,
) void {
    const swap = comptime swap: {
        var m: [lanes]i32 = undefined;
        for (&m, 0..) |*i, k| i.* = k ^ 1;
        break :swap m;
    };
    const sign = comptime sign: {
        var s: [lanes]f32 = undefined;
        for (&s, 0..) |*v, k| v.* = if (k % 2 == 0) -1 else 1;
        break :sign s;
    };
    var i: usize = 0;
    while (i < size) : (i += lanes) {
        const n = @min(lanes, size - i);
        const v = take(T, x + i, n);
        const partner = @shuffle(f32, v, undefined, swap) * @as(F, sign);
        put(T, x + i, n, simd.fma(partner, take(f32, sin + i, n), v * take(f32, cos + i, n)));
    }
}

/// Pairs (i, i + half).
inline fn rotateHalves(
    comptime T: type,
    x: [*]T,
    half: usize,
    cos: [*]const f32,
    sin: [*]const f32,
) void {
    var i: usize = 0;
    while (i < half) : (i += lanes) {
        const n = @min(lanes, half - i);
        const j = i + half;
        const a = take(T, x + i, n);
        const b = take(T, x + j, n);
        put(T, x + i, n, simd.fma(-b, take(f32, sin + i, n), a * take(f32, cos + i, n)));
        put(T, x + j, n, simd.fma(a, take(f32, sin + j, n), b * take(f32, cos + j, n)));
    }
}

inline fn take(comptime T: type, p: [*]const T, n: usize) F {
    return if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n);
}

inline fn put(comptime T: type, p: [*]T, n: usize, v: F) void {
    if (n == lanes) simd.store(T, p, v) else simd.storePart(T, p, n, v);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

/// The op by its definition, on one row of f32.
fn plainRow(
    comptime T: type,
    x: []f32,
    weight: ?[]const f32,
    table: ?[]const f32,
    style: backend.RopeStyle,
) void {
    const size = x.len;
    if (weight) |w| {
        var mean: f64 = 0;
        for (x) |v| mean += v * v;
        const inverse: f32 = @floatCast(1 / @sqrt(mean / @as(f64, @floatFromInt(size)) + 1e-6));
        for (x, w) |*v, s| {
            const y = simd.toF32(T, simd.fromF32(T, v.* * inverse));
            v.* = simd.toF32(T, simd.fromF32(T, y * s));
        }
    }
    const row = table orelse return;
    for (0..size / 2) |i| {
        const a = if (style == .neighbours) 2 * i else i;
        const b = if (style == .neighbours) a + 1 else i + size / 2;
        const xa = x[a];
        const xb = x[b];
        x[a] = xa * row[a] - xb * row[size + a];
        x[b] = xb * row[b] + xa * row[size + b];
    }
}

fn expectRope(
    comptime T: type,
    dims: [3]u32,
    rotated: ?u32,
    weighted: bool,
    style: backend.RopeStyle,
) !void {
    const size = dims[2];
    var r = cases.Random.init(size + dims[0]);
    var x: cases.Case(T) = try .init(&dims, 6);
    defer x.deinit();
    x.fillRandom(&r, 2);
    var w: cases.Case(f32) = try .init(&.{size}, 0);
    defer w.deinit();
    w.fillRandom(&r, 1);
    var table: cases.Case(f32) = try .init(&.{ rotated orelse 1, 2 * size }, 0);
    defer table.deinit();
    table.fillRandom(&r, 1);
    const want = try testing.allocator.alloc(f32, x.count());
    defer testing.allocator.free(want);
    for (want, 0..) |*v, i| v.* = x.get(i);
    for (0..dims[0] * dims[1]) |row| {
        const t = row / dims[1];
        const turned = if (rotated) |n| t < n else false;
        const of_row = table.memory[if (turned) t * 2 * size else 0..][0 .. 2 * size];
        const angles: ?[]const f32 = if (turned) of_row else null;
        plainRow(T, want[row * size ..][0..size], if (weighted) w.memory else null, angles, style);
    }

    _ = qk_norm_rope(&.{
        .x = x.desc,
        .weight = if (weighted) w.desc else null,
        .table = if (rotated != null) table.desc else null,
        .eps = 1e-6,
        .style = style,
    });

    // The roundings of the norm may fall on the other side: two ulps of T on values up to 2.
    for (want, 0..) |v, i| try testing.expectApproxEqAbs(v, x.get(i), 4 * cases.ulp(T) + 1e-6);
    try x.expectGapsUntouched();
}

test "qk_norm_rope matches its definition in both styles" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| for ([_]u32{ 2, 6, 16, 72, 128 }) |size| {
        for ([_]backend.RopeStyle{ .neighbours, .halves }) |style| {
            try expectRope(T, .{ 5, 3, size }, 5, true, style);
            try expectRope(T, .{ 5, 3, size }, 3, false, style);
            try expectRope(T, .{ 5, 3, size }, null, true, style);
        }
    };
    try expectRope(f32, .{ 0, 3, 8 }, 1, true, .neighbours);
    try expectRope(f32, .{ 2, 1, 7 }, null, true, .neighbours);
}
