//! teacache: how much the modulated input changed since the last step, as two means, and keeps it for the next step.
//! Sums are f64 by fixed pieces, added in order: the same result on any number of threads.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;
const lanes = simd.lanes;
const D = @Vector(lanes, f64);

pub fn teacache(args: *const backend.Teacache) Status {
    const rows = work.Rows(2).init(.{ &args.a, &args.prev });
    const bytes = rows.count * @sizeOf([2]f64);
    const memory = pool.scratch(0, bytes) orelse return pool.noScratch("teacache", bytes);
    const sums: [*][2]f64 = @ptrCast(memory);
    switch (args.a.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            const Context = struct {
                rows: *const work.Rows(2),
                a: [*]const T,
                prev: [*]T,
                sums: [*][2]f64,
            };
            const c: Context = .{
                .rows = &rows,
                .a = args.a.host(T),
                .prev = args.prev.host(T),
                .sums = sums,
            };
            pool.parallelRange(rows.count, work.rowGrain(rows.columns), c, struct {
                fn some(k: Context, from: usize, to: usize) void {
                    for (from..to) |t| {
                        const at = k.rows.at(t);
                        k.sums[t] = replace(T, k.a + at[0], k.prev + at[1], k.rows.columns);
                    }
                }
            }.some);
        },
        else => unreachable,
    }
    var total: [2]f64 = .{ 0, 0 };
    for (sums[0..rows.count]) |s| {
        total[0] += s[0];
        total[1] += s[1];
    }
    const n: f64 = @floatFromInt(rows.count * rows.columns);
    const out = args.out.host(f32);
    for (total, 0..) |s, i| out[i] = if (n == 0) 0 else @floatCast(s / n);
    return .ok;
}

/// prev := a; returns Σ|r(a − prev)| and Σ|prev| over the old values.
fn replace(comptime T: type, a: [*]const T, prev: [*]T, n: usize) [2]f64 {
    var change: D = @splat(0);
    var base: D = @splat(0);
    var i: usize = 0;
    while (i < n) : (i += lanes) {
        const k = @min(lanes, n - i);
        const x = if (k == lanes) simd.load(T, a + i) else simd.loadPart(T, a + i, k);
        const old = if (k == lanes) simd.load(T, prev + i) else simd.loadPart(T, prev + i, k);
        change += @floatCast(@abs(simd.roundTo(T, x - old)));
        base += @floatCast(@abs(old));
        if (k == lanes) simd.store(T, prev + i, x) else simd.storePart(T, prev + i, k, x);
    }
    return .{ @reduce(.Add, change), @reduce(.Add, base) };
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "both means are the same bytes on any number of threads" {
    var a: cases.Case(f32) = try .init(&.{ 301, 211 }, 0);
    defer a.deinit();
    var r = cases.Random.init(6);
    a.fillRandom(&r, 3);
    defer pool.library.stop();
    var out: [2][2]f32 = undefined;
    for (&out, [_]u32{ 1, 3 }) |*o, threads| {
        try pool.library.resize(threads);
        var prev: cases.Case(f32) = try .init(&.{ 301, 211 }, 0);
        defer prev.deinit();
        var again = cases.Random.init(7);
        prev.fillRandom(&again, 3);

        _ = teacache(&.{ .out = cases.vector(f32, o), .a = a.desc, .prev = prev.desc });
    }

    try testing.expectEqual(out[0], out[1]);
}

test "teacache gives both means and keeps the new input" {
    const shapes = [_][2]u32{ .{ 1, 1 }, .{ 13, 37 }, .{ 40, 640 } };
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |dims| {
        var r = cases.Random.init(dims[0]);
        var a: cases.Case(T) = try .init(&dims, 3);
        defer a.deinit();
        a.fillRandom(&r, 2);
        var prev: cases.Case(T) = try .init(&dims, 0);
        defer prev.deinit();
        prev.fillRandom(&r, 2);
        var change: f64 = 0;
        var base: f64 = 0;
        for (0..a.count()) |i| {
            change += @abs(simd.toF32(T, simd.fromF32(T, a.get(i) - prev.get(i))));
            base += @abs(prev.get(i));
        }
        const n: f64 = @floatFromInt(a.count());
        var out: [2]f32 = undefined;

        _ = teacache(&.{ .out = cases.vector(f32, &out), .a = a.desc, .prev = prev.desc });

        try testing.expectApproxEqRel(@as(f32, @floatCast(change / n)), out[0], 2e-7);
        try testing.expectApproxEqRel(@as(f32, @floatCast(base / n)), out[1], 2e-7);
        for (0..a.count()) |i| try testing.expectEqual(a.get(i), prev.get(i));
    };
}
