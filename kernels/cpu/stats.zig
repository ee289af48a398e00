//! stats: what a tensor holds, in one pass: non-finite values, range, mean and spread.
//! Each piece keeps f64 sums; pieces are added in order, so that any number of threads gives the same numbers.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;
const lanes = simd.lanes;
const F = simd.F;
const D = @Vector(lanes, f64);

const Part = struct {
    bad: u64 = 0,
    low: f32 = std.math.inf(f32),
    high: f32 = -std.math.inf(f32),
    sum: f64 = 0,
    squares: f64 = 0,
};

pub fn stats(args: *const backend.Stats) Status {
    const rows = work.Rows(1).flat(.{&args.x});
    const a_row = if (rows.columns == 0) 0 else (rows.columns - 1) / work.piece_elements + 1;
    const parts = rows.count * a_row;
    const bytes = parts * @sizeOf(Part);
    const memory = pool.scratch(0, bytes) orelse return pool.noScratch("stats", bytes);
    const sums: [*]Part = @ptrCast(memory);
    const Context = struct {
        x: *const backend.Desc,
        rows: *const work.Rows(1),
        a_row: usize,
        sums: [*]Part,
    };
    const context: Context = .{ .x = &args.x, .rows = &rows, .a_row = a_row, .sums = sums };
    const grain = work.rowGrain(@min(rows.columns, work.piece_elements));
    pool.parallelRange(parts, grain, context, struct {
        fn some(c: Context, from: usize, to: usize) void {
            for (from..to) |i| {
                const column = i % c.a_row * work.piece_elements;
                const n = @min(work.piece_elements, c.rows.columns - column);
                const at = c.rows.at(i / c.a_row)[0] + column;
                c.sums[i] = switch (c.x.dtype) {
                    inline .f32, .bf16, .f16 => |d| part(
                        simd.Elem(d),
                        c.x.host(simd.Elem(d)) + at,
                        n,
                    ),
                    inline .i32, .u8 => |d| wholePart(simd.Elem(d), c.x.host(simd.Elem(d)) + at, n),
                };
            }
        }
    }.some);
    write(args.out.host(f32), sums[0..parts], args.x.count());
    return .ok;
}

fn write(out: [*]f32, parts: []const Part, count: u64) void {
    var all: Part = .{};
    for (parts) |p| {
        all.bad += p.bad;
        all.low = @min(all.low, p.low);
        all.high = @max(all.high, p.high);
        all.sum += p.sum;
        all.squares += p.squares;
    }
    const finite = count - all.bad;
    const n: f64 = @floatFromInt(@max(1, finite));
    const mean = all.sum / n;
    const variance = @max(0, all.squares / n - mean * mean);
    out[0] = @floatFromInt(all.bad);
    out[1] = if (finite == 0) 0 else all.low;
    out[2] = if (finite == 0) 0 else all.high;
    out[3] = @floatCast(mean);
    out[4] = @floatCast(@sqrt(variance));
    out[5] = if (finite == 0) 0 else @max(@abs(all.low), @abs(all.high));
}

fn part(comptime T: type, x: [*]const T, n: usize) Part {
    var bad: @Vector(lanes, u32) = @splat(0);
    var low = simd.splat(std.math.inf(f32));
    var high = simd.splat(-std.math.inf(f32));
    var sum: D = @splat(0);
    var squares: D = @splat(0);
    var i: usize = 0;
    while (i + lanes <= n) : (i += lanes) {
        const v = simd.load(T, x + i);
        const finite = @abs(v) < simd.splat(std.math.inf(f32)); // false for NaN
        const safe = @select(f32, finite, v, simd.splat(0));
        bad += @select(u32, finite, @as(simd.U, @splat(0)), @as(simd.U, @splat(1)));
        low = simd.min(@select(f32, finite, v, low), low);
        high = simd.max(@select(f32, finite, v, high), high);
        const wide: D = @floatCast(safe);
        sum += wide;
        squares = @mulAdd(D, wide, wide, squares);
    }
    var p: Part = .{
        .bad = @reduce(.Add, bad),
        .low = @reduce(.Min, low),
        .high = @reduce(.Max, high),
        .sum = @reduce(.Add, sum),
        .squares = @reduce(.Add, squares),
    };
    while (i < n) : (i += 1) addOne(&p, simd.toF32(T, x[i]));
    return p;
}

fn wholePart(comptime T: type, x: [*]const T, n: usize) Part {
    var p: Part = .{};
    for (x[0..n]) |v| addOne(&p, @floatFromInt(v));
    return p;
}

fn addOne(p: *Part, v: f32) void {
    if (!std.math.isFinite(v)) {
        p.bad += 1;
        return;
    }
    p.low = @min(p.low, v);
    p.high = @max(p.high, v);
    p.sum += v;
    p.squares += @as(f64, v) * v;
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "stats of a ramp" {
    inline for (.{ f32, simd.Bf16, f16, i32, u8 }) |T| {
        var x: cases.Case(T) = try .init(&.{ 3, 33 }, 2);
        defer x.deinit();
        for (0..99) |i| x.set(i, @floatFromInt(i));
        var out: [6]f32 = undefined;

        _ = stats(&.{ .out = cases.vector(f32, &out), .x = x.desc });

        try testing.expectEqual([4]f32{ 0, 0, 98, 49 }, out[0..4].*);
        try testing.expectApproxEqRel(@sqrt(@as(f32, (99.0 * 99.0 - 1.0) / 12.0)), out[4], 1e-6);
        try testing.expectEqual(98, out[5]);
    }
}

test "non-finite values are counted and left out" {
    var x: [40_000]f32 = @splat(-3);
    x[0] = std.math.nan(f32);
    x[20_000] = std.math.inf(f32);
    x[39_999] = -std.math.inf(f32);
    var out: [6]f32 = undefined;

    _ = stats(&.{ .out = cases.vector(f32, &out), .x = cases.vector(f32, &x) });

    try testing.expectEqual([6]f32{ 3, -3, -3, -3, 0, 3 }, out);
}

test "stats are the same bytes on any number of threads" {
    var x: cases.Case(f32) = try .init(&.{ 37, 3001 }, 5);
    defer x.deinit();
    var r = cases.Random.init(8);
    x.fillRandom(&r, 3);
    defer pool.library.stop();
    var out: [2][6]f32 = undefined;
    for (&out, [_]u32{ 1, 3 }) |*o, threads| {
        try pool.library.resize(threads);

        _ = stats(&.{ .out = cases.vector(f32, o), .x = x.desc });
    }

    try testing.expectEqual(out[0], out[1]);
}

test "nothing finite gives zeros" {
    var x: [2]f32 = @splat(std.math.nan(f32));
    var out: [6]f32 = undefined;

    _ = stats(&.{ .out = cases.vector(f32, &out), .x = cases.vector(f32, &x) });
    try testing.expectEqual([6]f32{ 2, 0, 0, 0, 0, 0 }, out);

    _ = stats(&.{ .out = cases.vector(f32, &out), .x = cases.vector(f32, x[0..0]) });
    try testing.expectEqual([6]f32{ 0, 0, 0, 0, 0, 0 }, out);
}
