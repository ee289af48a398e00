//! Norms over the last dimension: layer_norm and rms_norm. One row at a time: it is read from memory once and
//! stays in the first cache for the passes that follow. Sums run in a fixed order, whatever the threads do.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Desc = backend.Desc;
const Status = backend.Status;
const lanes = simd.lanes;
const F = simd.F;

pub fn layer_norm(args: *const backend.LayerNorm) Status {
    const weight: ?*const Desc = if (args.weight) |*w| w else null;
    const bias: ?*const Desc = if (args.bias) |*b| b else null;
    var p: [2][]const f32 = undefined;
    const status = work.params("layer_norm", 2, 0, .{ weight, bias }, &p);
    if (status != .ok) return status;
    centred(&args.out, &args.x, .{
        .scale = if (weight != null) p[0].ptr else null,
        .shift = if (bias != null) p[1].ptr else null,
        .eps = args.eps,
    });
    return .ok;
}

pub fn rms_norm(args: *const backend.RmsNorm) Status {
    var p: [1][]const f32 = undefined;
    const status = work.params("rms_norm", 1, 0, .{&args.weight}, &p);
    if (status != .ok) return status;
    const rows = Pair.init(.{ &args.x, &args.out });
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            eachRow(T, &rows, &args.out, &args.x, Rms{ .weight = p[0].ptr, .eps = args.eps });
        },
        else => unreachable,
    }
    return .ok;
}

/// Normalises each row of x to mean 0 and variance 1, then applies what `f` holds.
pub fn centred(out: *const Desc, x: *const Desc, f: Centred) void {
    const rows = Pair.init(.{ x, out });
    switch (x.dtype) {
        inline .f32, .bf16, .f16 => |d| eachRow(simd.Elem(d), &rows, out, x, f),
        else => unreachable,
    }
}

/// (x − mean) / sqrt(variance + eps) · scale + shift, with null for "without".
pub const Centred = struct {
    scale: ?[*]const f32,
    shift: ?[*]const f32,
    eps: f32,

    fn row(f: Centred, comptime T: type, out: [*]T, x: [*]const T, n: usize) void {
        const count: f32 = @floatFromInt(n);
        const mean = sumOver(T, x, n, Identity{}) / count;
        const variance = sumOver(T, x, n, SquareAround{ .mean = mean }) / count;
        const inverse = 1 / @sqrt(variance + f.eps);
        if (f.scale) |scale| {
            if (f.shift) |shift| return f.write(T, out, x, n, mean, inverse, scale, shift);
            return f.write(T, out, x, n, mean, inverse, scale, {});
        }
        if (f.shift) |shift| return f.write(T, out, x, n, mean, inverse, {}, shift);
        f.write(T, out, x, n, mean, inverse, {}, {});
    }

    inline fn write(
        _: Centred,
        comptime T: type,
        out: [*]T,
        x: [*]const T,
        n: usize,
        mean: f32,
        inverse: f32,
        scale: anytype,
        shift: anytype,
    ) void {
        var i: usize = 0;
        while (i < n) : (i += lanes) {
            const k = @min(lanes, n - i);
            var y = (take(T, x + i, k) - simd.splat(mean)) * simd.splat(inverse);
            if (@TypeOf(scale) != void) y *= take(f32, scale + i, k);
            if (@TypeOf(shift) != void) y += take(f32, shift + i, k);
            put(T, out + i, k, y);
        }
    }
};

const Rms = struct {
    weight: [*]const f32,
    eps: f32,

    fn row(f: Rms, comptime T: type, out: [*]T, x: [*]const T, n: usize) void {
        const inverse = simd.splat(rmsInverse(T, x, n, f.eps));
        var i: usize = 0;
        while (i < n) : (i += lanes) {
            const k = @min(lanes, n - i);
            const y = simd.roundTo(T, take(T, x + i, k) * inverse);
            put(T, out + i, k, y * take(f32, f.weight + i, k));
        }
    }
};

/// 1 / sqrt(mean(x²) + eps).
pub inline fn rmsInverse(comptime T: type, x: [*]const T, n: usize, eps: f32) f32 {
    const count: f32 = @floatFromInt(n);
    return 1 / @sqrt(sumOver(T, x, n, SquareAround{ .mean = 0 }) / count + eps);
}

// ------------------------------------------------------------------------------------------ loops

const Pair = work.Rows(2);

fn eachRow(comptime T: type, rows: *const Pair, out: *const Desc, x: *const Desc, f: anytype) void {
    const Context = struct { rows: *const Pair, out: [*]T, x: [*]const T, f: @TypeOf(f) };
    const context: Context = .{ .rows = rows, .out = out.host(T), .x = x.host(T), .f = f };
    if (rows.columns == 0) return;
    pool.parallelRange(rows.count, work.rowGrain(rows.columns), context, struct {
        fn some(c: Context, from: usize, to: usize) void {
            for (from..to) |i| {
                const at = c.rows.at(i);
                c.f.row(T, c.out + at[1], c.x + at[0], c.rows.columns);
            }
        }
    }.some);
}

const Identity = struct {
    inline fn of(_: Identity, v: F) F {
        return v;
    }
};

const SquareAround = struct {
    mean: f32,
    inline fn of(f: SquareAround, v: F) F {
        const d = v - simd.splat(f.mean);
        return d * d;
    }
};

/// Σ f(x_i) over n elements: four sums side by side hide the latency of the additions.
inline fn sumOver(comptime T: type, x: [*]const T, n: usize, f: anytype) f32 {
    var s: [4]F = @splat(simd.splat(0));
    var i: usize = 0;
    while (i + 4 * lanes <= n) : (i += 4 * lanes) {
        inline for (&s, 0..) |*a, k| a.* += f.of(simd.load(T, x + i + k * lanes));
    }
    while (i + lanes <= n) : (i += lanes) s[0] += f.of(simd.load(T, x + i));
    if (i < n) s[1] += keep(n - i, f.of(simd.loadPart(T, x + i, n - i)));
    return simd.sum((s[0] + s[1]) + (s[2] + s[3]));
}

/// v with lanes from k on set to zero.
inline fn keep(k: usize, v: F) F {
    const index: simd.U = std.simd.iota(u32, lanes);
    return @select(f32, index < @as(simd.U, @splat(@intCast(k))), v, simd.splat(0));
}

inline fn take(comptime T: type, p: [*]const T, k: usize) F {
    return if (k == lanes) simd.load(T, p) else simd.loadPart(T, p, k);
}

inline fn put(comptime T: type, p: [*]T, k: usize, v: F) void {
    if (k == lanes) simd.store(T, p, v) else simd.storePart(T, p, k, v);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

const shapes = [_][]const u32{
    &.{ 1, 1 },
    &.{ 3, 5 },
    &.{ 2, 3, 64 },
    &.{ 0, 8 },
    &.{ 7, 131 },
    &.{ 40, 1153 },
};

test "layer_norm matches the plain loop, with and without weight and bias" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |dims| for (0..4) |has| {
        const n = dims[dims.len - 1];
        var r = cases.Random.init(n + has);
        var x: cases.Case(T) = try .init(dims, 3);
        defer x.deinit();
        x.fillRandom(&r, 5);
        var out: cases.Case(T) = try .init(dims, 1);
        defer out.deinit();
        var w: cases.Case(f16) = try .init(&.{n}, 0);
        defer w.deinit();
        w.fillRandom(&r, 1);
        var b: cases.Case(f32) = try .init(&.{n}, 0);
        defer b.deinit();
        b.fillRandom(&r, 1);
        const weight = if (has & 1 != 0) w.desc else null;
        const bias = if (has & 2 != 0) b.desc else null;

        const args: backend.LayerNorm = .{
            .out = out.desc,
            .x = x.desc,
            .weight = weight,
            .bias = bias,
            .eps = 1e-6,
        };
        try testing.expectEqual(Status.ok, layer_norm(&args));

        for (0..x.count() / n) |t| {
            var mean: f64 = 0;
            for (0..n) |c| mean += x.get(t * n + c);
            mean /= @floatFromInt(n);
            var variance: f64 = 0;
            for (0..n) |c| variance += (x.get(t * n + c) - mean) * (x.get(t * n + c) - mean);
            variance /= @floatFromInt(n);
            for (0..n) |c| {
                var y = (x.get(t * n + c) - mean) / @sqrt(variance + 1e-6);
                if (weight != null) y *= w.get(c);
                if (bias != null) y += b.get(c);
                try cases.expectClose(T, @floatCast(y), out.get(t * n + c), 4);
            }
        }
        try out.expectGapsUntouched();
    };
}

test "rms_norm rounds the normalised value before the weight" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |dims| {
        const n = dims[dims.len - 1];
        var r = cases.Random.init(n);
        var x: cases.Case(T) = try .init(dims, 3);
        defer x.deinit();
        x.fillRandom(&r, 5);
        var w: cases.Case(simd.Bf16) = try .init(&.{n}, 0);
        defer w.deinit();
        w.fillRandom(&r, 1);
        var out: cases.Case(T) = try .init(dims, 0);
        defer out.deinit();

        _ = rms_norm(&.{ .out = out.desc, .x = x.desc, .weight = w.desc, .eps = 1e-5 });

        for (0..x.count() / n) |t| {
            var mean: f64 = 0;
            for (0..n) |c| mean += x.get(t * n + c) * x.get(t * n + c);
            mean /= @floatFromInt(n);
            for (0..n) |c| {
                const y: f32 = @floatCast(x.get(t * n + c) / @sqrt(mean + 1e-5));
                const want = simd.toF32(T, simd.fromF32(T, y)) * w.get(c);
                // The inner rounding may fall on the other side for a last-bit difference.
                const limit = @abs(want) * 1.5 * cases.ulp(T) + 1e-5;
                try testing.expectApproxEqAbs(want, out.get(t * n + c), limit);
            }
        }
    };
}

test "layer_norm of a constant row far from zero is zero" {
    var x: [300]f32 = @splat(1e6);
    var out: [300]f32 = undefined;
    const args: backend.LayerNorm = .{
        .out = cases.dense(f32, &out, &.{ 1, 300 }),
        .x = cases.dense(f32, &x, &.{ 1, 300 }),
        .weight = null,
        .bias = null,
        .eps = 1e-6,
    };

    _ = layer_norm(&args);

    for (out) |v| try testing.expectEqual(0, v);
}
