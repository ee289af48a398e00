//! The sampler's arithmetic on whole latents: lincomb, unipc, denoised. Contiguous f32 in and out.
//! Coefficients are f64 and so are the sums; each result is rounded once.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Desc = backend.Desc;
const Status = backend.Status;
const lanes = simd.lanes;
const D = @Vector(lanes, f64);

pub fn lincomb(args: *const backend.Lincomb) Status {
    eachSpan(args.out.count(), args, struct {
        fn span(a: *const backend.Lincomb, from: usize, to: usize) void {
            var xs: [backend.lincomb_max][*]const f32 = undefined;
            for (xs[0..a.n], a.xs[0..a.n]) |*x, d| x.* = d.host(f32);
            const out = a.out.host(f32);
            var i = from;
            while (i < to) : (i += lanes) {
                const n = @min(lanes, to - i);
                var sum: D = @splat(0);
                for (xs[0..a.n], a.cs[0..a.n]) |x, c| sum = mulAdd(c, take(x + i, n), sum);
                put(out + i, n, sum);
            }
        }
    }.span);
    return .ok;
}

pub fn unipc(args: *const backend.Unipc) Status {
    eachSpan(args.x.count(), args, unipcSpan);
    return .ok;
}

fn unipcSpan(a: *const backend.Unipc, from: usize, to: usize) void {
    const corrected = a.corrected.host(f32);
    var i = from;
    while (i < to) : (i += lanes) {
        const n = @min(lanes, to - i);
        const mt = take(a.mt.host(f32) + i, n);
        const m0 = take(a.m0.host(f32) + i, n);
        const m1: D = if (a.m1) |m| take(m.host(f32) + i, n) else @splat(0);
        const m2: D = if (a.m2) |m| take(m.host(f32) + i, n) else @splat(0);
        var c: D = take(a.x.host(f32) + i, n) * @as(D, @splat(a.cc[0]));
        c = mulAdd(a.cc[1], mt, c);
        c = mulAdd(a.cc[2], m0, c);
        if (a.m1 != null) c = mulAdd(a.cc[3], m1, c);
        if (a.m2 != null) c = mulAdd(a.cc[4], m2, c);
        put(corrected + i, n, c);
        const predicted = a.predicted orelse continue;
        var p: D = take(corrected + i, n) * @as(D, @splat(a.cp[0]));
        p = mulAdd(a.cp[1], mt, p);
        p = mulAdd(a.cp[2], m0, p);
        if (a.m1 != null) p = mulAdd(a.cp[3], m1, p);
        put(predicted.host(f32) + i, n, p);
    }
}

pub fn denoised(args: *const backend.Denoised) Status {
    eachSpan(args.x.count(), args, struct {
        fn span(a: *const backend.Denoised, from: usize, to: usize) void {
            switch (a.rounding) {
                1 => denoisedSpan(simd.Bf16, a, from, to),
                2 => denoisedSpan(f16, a, from, to),
                else => denoisedSpan(f32, a, from, to),
            }
        }
    }.span);
    return .ok;
}

fn denoisedSpan(comptime R: type, a: *const backend.Denoised, from: usize, to: usize) void {
    const x = a.x.host(f32);
    const v = a.v.host(f32);
    const out = a.out.host(f32);
    var i = from;
    while (i < to) : (i += lanes) {
        const n = @min(lanes, to - i);
        const plain = if (n == lanes) simd.load(f32, x + i) else simd.loadPart(f32, x + i, n);
        put(out + i, n, mulAdd(-a.sigma, take(v + i, n), @floatCast(simd.roundTo(R, plain))));
    }
}

fn eachSpan(count: u64, args: anytype, comptime span: fn (@TypeOf(args), usize, usize) void) void {
    pool.parallelRange(@intCast(count), work.piece_elements, args, span);
}

inline fn mulAdd(c: f64, v: D, sum: D) D {
    return @mulAdd(D, @splat(c), v, sum);
}

inline fn take(p: [*]const f32, n: usize) D {
    return @floatCast(if (n == lanes) simd.load(f32, p) else simd.loadPart(f32, p, n));
}

inline fn put(p: [*]f32, n: usize, v: D) void {
    const rounded: simd.F = @floatCast(v);
    if (n == lanes) simd.store(f32, p, rounded) else simd.storePart(f32, p, n, rounded);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

fn randoms(r: *cases.Random, comptime n: usize) [n]f32 {
    var x: [n]f32 = undefined;
    for (&x) |*v| v.* = r.next() * 3;
    return x;
}

test "lincomb sums eight tensors in f64 and may write over one of them" {
    const n = 53;
    var r = cases.Random.init(1);
    var x: [8][n]f32 = undefined;
    for (&x) |*row| row.* = randoms(&r, n);
    const before = x;
    const cs: [8]f64 = .{ 1.5, -2, 0.25, 1e-3, 7, -1, 0.1, 3 };
    var xs: [8]Desc = undefined;
    for (&xs, &x) |*d, *row| d.* = cases.vector(f32, row);

    _ = lincomb(&.{ .out = xs[3], .n = 8, .xs = xs, .cs = cs });

    for (0..n) |i| {
        var want: f64 = 0;
        for (cs, before) |c, row| want += c * row[i];
        try testing.expectApproxEqRel(@as(f32, @floatCast(want)), x[3][i], 2e-7);
    }
}

test "unipc corrects and predicts, with and without its optional terms" {
    const n = 37;
    var r = cases.Random.init(2);
    var x = randoms(&r, n);
    var mt = randoms(&r, n);
    var m0 = randoms(&r, n);
    var m1 = randoms(&r, n);
    var m2 = randoms(&r, n);
    const cc: [5]f64 = .{ 0.9, -0.2, 0.3, 0.4, -0.5 };
    const cp: [4]f64 = .{ 1.1, 0.6, -0.7, 0.8 };
    for (0..3) |orders| {
        var corrected: [n]f32 = undefined;
        var predicted: [n]f32 = undefined;

        _ = unipc(&.{
            .corrected = cases.vector(f32, &corrected),
            .predicted = if (orders > 0) cases.vector(f32, &predicted) else null,
            .x = cases.vector(f32, &x),
            .mt = cases.vector(f32, &mt),
            .m0 = cases.vector(f32, &m0),
            .m1 = if (orders > 0) cases.vector(f32, &m1) else null,
            .m2 = if (orders > 1) cases.vector(f32, &m2) else null,
            .cc = cc,
            .cp = cp,
        });

        for (0..n) |i| {
            var c: f64 = cc[0] * x[i] + cc[1] * mt[i] + cc[2] * m0[i];
            if (orders > 0) c += cc[3] * m1[i];
            if (orders > 1) c += cc[4] * m2[i];
            try testing.expectApproxEqAbs(@as(f32, @floatCast(c)), corrected[i], 1e-6);
            if (orders == 0) continue;
            const p = cp[0] * c + cp[1] * mt[i] + cp[2] * m0[i] + cp[3] * m1[i];
            try testing.expectApproxEqAbs(@as(f32, @floatCast(p)), predicted[i], 1e-6);
        }
    }
}

test "denoised subtracts the velocity from x rounded as asked" {
    var x: [3]f32 = .{ 1.00390625, -2.7182818, 1e-3 };
    var v: [3]f32 = .{ 0, 0, 0 };
    var out: [3]f32 = undefined;
    const expected = [_][3]f32{
        x,
        .{ 1, -2.71875, 0.00099945068359375 },
        .{ 1.00390625, -2.71875, 0.0010004043579101562 },
    };
    for (expected, 0..) |want, rounding| {
        _ = denoised(&.{
            .out = cases.vector(f32, &out),
            .x = cases.vector(f32, &x),
            .v = cases.vector(f32, &v),
            .sigma = 0.5,
            .rounding = @intCast(rounding),
        });

        try testing.expectEqual(want, out);
    }
    v = .{ 1, 2, 4 };
    _ = denoised(&.{
        .out = cases.vector(f32, &x),
        .x = cases.vector(f32, &x),
        .v = cases.vector(f32, &v),
        .sigma = 0.5,
        .rounding = 1,
    });
    try testing.expectEqual([3]f32{ 0.5, -3.71875, -1.99900054931640625 }, x);
}
