//! Pictures in and out: latent_rgb (a preview with no network), to_u8 and from_u8 with any strides.
//! Where a value falls on a step between two bytes matters, so products and sums round separately, as written.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const strided = @import("copy.zig");
const Status = backend.Status;
const lanes = simd.lanes;
const F = simd.F;

pub fn latent_rgb(args: *const backend.LatentRgb) Status {
    const rows = @as(usize, args.z.dims[1]) * args.z.dims[2];
    pool.parallelRange(rows, 8, args, struct {
        fn some(a: *const backend.LatentRgb, from: usize, to: usize) void {
            for (from..to) |row| rgbRow(a, row);
        }
    }.some);
    return .ok;
}

/// One row (t, y) of the picture.
fn rgbRow(args: *const backend.LatentRgb, row: usize) void {
    const z = args.z;
    const width: usize = z.dims[3];
    const t = row / z.dims[2];
    const y = row % z.dims[2];
    const in = z.host(f32) + t * z.strides[1] + y * z.strides[2]; // z[0, t, y, :]
    const o = args.out;
    const out = o.host(u8) + t * o.strides[0] + y * o.strides[1]; // out[t, y, :, :]
    const bias = args.bias.host(f32);
    const factors = args.factors.host(f32);
    var x: usize = 0;
    while (x < width) : (x += lanes) {
        const n = @min(lanes, width - x);
        var rgb: [3]F = .{ simd.splat(bias[0]), simd.splat(bias[1]), simd.splat(bias[2]) };
        for (0..z.dims[0]) |c| {
            const p = in + c * z.strides[0] + x;
            const v = if (n == lanes) simd.load(f32, p) else simd.loadPart(f32, p, n);
            const f = factors + c * args.factors.strides[0];
            inline for (&rgb, 0..) |*sum, k| sum.* += v * simd.splat(f[k]);
        }
        inline for (rgb, 0..) |sum, k| {
            const level = @floor(simd.splat(255) * clamp(sum, 0, 1));
            const bytes: [lanes]u8 = @as(@Vector(lanes, u8), @intFromFloat(level));
            for (bytes[0..n], 0..) |b, i| out[(x + i) * o.strides[2] + k] = b;
        }
    }
}

pub fn to_u8(args: *const backend.ToU8) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| strided.map(
            u8,
            simd.Elem(d),
            &args.out,
            &args.x,
            ToBytes(simd.Elem(d)),
        ),
        else => unreachable,
    }
    return .ok;
}

pub fn from_u8(args: *const backend.FromU8) Status {
    switch (args.out.dtype) {
        inline .f32, .bf16, .f16 => |d| strided.map(
            simd.Elem(d),
            u8,
            &args.out,
            &args.x,
            FromBytes(simd.Elem(d)),
        ),
        else => unreachable,
    }
    return .ok;
}

fn ToBytes(comptime T: type) type {
    return struct {
        pub fn one(x: T) u8 {
            const v = simd.toF32(T, x);
            const clamped: f32 = if (v > -1) @min(v, 1) else -1; // NaN gives -1
            return @intFromFloat(clamped * 127.5 + 127.5);
        }
        pub inline fn lift(x: [*]const T) simd.U {
            const v = clamp(simd.load(T, x), -1, 1) * simd.splat(127.5) + simd.splat(127.5);
            return @intFromFloat(v);
        }
        pub inline fn drop(out: [*]u8, words: simd.U) void {
            out[0..lanes].* = @as(@Vector(lanes, u8), @truncate(words));
        }
    };
}

fn FromBytes(comptime T: type) type {
    return struct {
        pub fn one(x: u8) T {
            return simd.fromF32(T, @as(f32, @floatFromInt(x)) / 127.5 - 1);
        }
        pub inline fn lift(x: [*]const u8) simd.U {
            const v: F = @floatFromInt(@as(@Vector(lanes, u8), x[0..lanes].*));
            return @bitCast(v / simd.splat(127.5) - simd.splat(1));
        }
        pub inline fn drop(out: [*]T, words: simd.U) void {
            simd.store(T, out, @bitCast(words));
        }
    };
}

/// NaN gives the lower end.
inline fn clamp(v: F, low: f32, high: f32) F {
    return simd.min(simd.max(v, simd.splat(low)), simd.splat(high));
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "latent_rgb matches its formula and clamps" {
    const c = 16;
    const dims = [_]u32{ c, 2, 3, 19 };
    var r = cases.Random.init(5);
    var z: cases.Case(f32) = try .init(&dims, 0);
    defer z.deinit();
    z.fillRandom(&r, 4);
    var f: cases.Case(f32) = try .init(&.{ c, 3 }, 0);
    defer f.deinit();
    f.fillRandom(&r, 0.1);
    var bias: [3]f32 = .{ 0.5, 0.4, 0.6 };
    var out: cases.Case(u8) = try .init(&.{ 2, 3, 19, 3 }, 0);
    defer out.deinit();

    _ = latent_rgb(&.{
        .out = out.desc,
        .z = z.desc,
        .factors = f.desc,
        .bias = cases.vector(f32, &bias),
    });

    for (0..out.count()) |i| {
        var sum = bias[i % 3];
        for (0..c) |k| sum += z.get(k * 2 * 3 * 19 + i / 3) * f.get(k * 3 + i % 3);
        try testing.expectEqual(@floor(255 * std.math.clamp(sum, 0, 1)), out.get(i));
    }
}

test "to_u8 truncates after the clamp, at any strides" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| {
        var x: cases.Case(T) = try .init(&.{ 3, 70 }, 1);
        defer x.deinit();
        var r = cases.Random.init(9);
        x.fillRandom(&r, 1.2);
        x.set(0, std.math.nan(f32));
        x.set(1, 1e9);
        x.set(2, -1e9);
        var out: cases.Case(u8) = try .init(&.{ 70, 3 }, 0);
        defer out.deinit();
        var turned = out.desc;
        turned.dims[0..2].* = .{ 3, 70 };
        turned.strides[0..2].* = .{ 1, 3 };
        var dense: cases.Case(u8) = try .init(&.{ 3, 70 }, 0);
        defer dense.deinit();

        _ = to_u8(&.{ .out = turned, .x = x.desc });
        _ = to_u8(&.{ .out = dense.desc, .x = x.desc });

        for (1..210) |i| {
            const want = @trunc(std.math.clamp(x.get(i), -1, 1) * 127.5 + 127.5);
            try testing.expectEqual(want, dense.get(i));
            try testing.expectEqual(want, out.get(i % 70 * 3 + i / 70));
        }
        try testing.expectEqual(0, dense.get(0));
        try testing.expectEqual(0, out.get(0));
    }
}

test "from_u8 maps every byte and to_u8 brings it back" {
    var bytes: [256]u8 = undefined;
    for (&bytes, 0..) |*b, i| b.* = @intCast(i);
    var x: [256]f32 = undefined;
    var back: [256]u8 = undefined;

    _ = from_u8(&.{ .out = cases.vector(f32, &x), .x = cases.vector(u8, &bytes) });

    for (x, 0..) |v, i| try testing.expectEqual(@as(f32, @floatFromInt(i)) / 127.5 - 1, v);
    try testing.expectEqual(-1, x[0]);
    try testing.expectEqual(1, x[255]);
    _ = to_u8(&.{ .out = cases.vector(u8, &back), .x = cases.vector(f32, &x) });
    for (bytes, back) |a, b| try testing.expect(a - b <= 1); // truncation may lose a step
}
