//! blend: two tensors crossfaded along one axis with a weight for each index of it, any strides.
//! The seams of tiles decoded apart; axes are few and spans short, so the walk is by rows.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Desc = backend.Desc;
const Status = backend.Status;
const lanes = simd.lanes;

pub fn blend(args: *const backend.Blend) Status {
    switch (args.a.dtype) {
        inline .f32, .bf16, .f16 => |d| blendRows(simd.Elem(d), args),
        else => unreachable,
    }
    return .ok;
}

fn blendRows(comptime T: type, args: *const backend.Blend) void {
    // A fourth operand with stride 1 on the axis and 0 elsewhere: its offset is the index on the axis.
    const last = args.a.rank - 1;
    var index = args.a;
    index.strides = @splat(0);
    index.strides[args.axis] = 1;
    const rows = work.Rows(4).init(.{ &args.a, &args.b, &args.out, &index });
    const Context = struct { args: *const backend.Blend, last: usize };
    rows.pieces(Context{ .args = args, .last = last }, struct {
        fn piece(c: Context, at: [4]usize, from: usize, n: usize) void {
            const k = c.args;
            const strides: [3]usize = .{
                k.a.strides[c.last],
                k.b.strides[c.last],
                k.out.strides[c.last],
            };
            const a = k.a.host(T) + at[0] + from * strides[0];
            const b = k.b.host(T) + at[1] + from * strides[1];
            const out = k.out.host(T) + at[2] + from * strides[2];
            const weights = k.weights.host(f32);
            if (k.axis == c.last) {
                for (0..n) |i| mix(
                    T,
                    &out[i * strides[2]],
                    a[i * strides[0]],
                    b[i * strides[1]],
                    weights[from + i],
                );
            } else if (n > 1 and strides[0] == 1 and strides[1] == 1 and strides[2] == 1) {
                mixSpan(T, out, a, b, n, weights[at[3]]);
            } else {
                for (0..n) |i| mix(
                    T,
                    &out[i * strides[2]],
                    a[i * strides[0]],
                    b[i * strides[1]],
                    weights[at[3]],
                );
            }
        }
    }.piece);
}

fn mixSpan(comptime T: type, out: [*]T, a: [*]const T, b: [*]const T, n: usize, w: f32) void {
    var i: usize = 0;
    while (i + lanes <= n) : (i += lanes) {
        const y = simd.load(T, a + i) * simd.splat(1 - w) + simd.load(T, b + i) * simd.splat(w);
        simd.store(T, out + i, y);
    }
    while (i < n) : (i += 1) mix(T, &out[i], a[i], b[i], w);
}

inline fn mix(comptime T: type, out: *T, a: T, b: T, w: f32) void {
    out.* = simd.fromF32(T, simd.toF32(T, a) * (1 - w) + simd.toF32(T, b) * w);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "blend crossfades along every axis, in place and with gaps" {
    const dims = [_]u32{ 4, 5, 2, 37 };
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (0..4) |axis| {
        var r = cases.Random.init(axis);
        var a: cases.Case(T) = try .init(&dims, 3);
        defer a.deinit();
        a.fillRandom(&r, 2);
        var b: cases.Case(T) = try .init(&dims, 0);
        defer b.deinit();
        b.fillRandom(&r, 2);
        var w: [37]f32 = undefined;
        const n = dims[axis];
        for (w[0..n], 0..) |*v, i| v.* = @as(f32, @floatFromInt(i)) / @as(f32, @floatFromInt(n));
        var want: [4 * 5 * 2 * 37]f32 = undefined;
        const after = [_]usize{ 5 * 2 * 37, 2 * 37, 37, 1 };
        for (&want, 0..) |*v, i| {
            const k = w[i / after[axis] % n];
            v.* = a.get(i) * (1 - k) + b.get(i) * k;
        }

        const weights = cases.vector(f32, w[0..n]);
        _ = blend(&.{
            .out = b.desc,
            .a = a.desc,
            .b = b.desc,
            .weights = weights,
            .axis = @intCast(axis),
        });

        for (want, 0..) |v, i| try cases.expectClose(T, v, b.get(i), 1);
    };
}

test "blend walks transposed tensors" {
    var a: [6]f32 = .{ 0, 0, 0, 0, 0, 0 };
    var b: [6]f32 = .{ 1, 2, 3, 4, 5, 6 };
    var w: [2]f32 = .{ 0.5, 1 };
    var out: [6]f32 = undefined;
    var turned = cases.dense(f32, &b, &.{ 3, 2 });
    turned.dims[0..2].* = .{ 2, 3 };
    turned.strides[0..2].* = .{ 1, 2 };

    _ = blend(&.{
        .out = cases.dense(f32, &out, &.{ 2, 3 }),
        .a = cases.dense(f32, &a, &.{ 2, 3 }),
        .b = turned,
        .weights = cases.vector(f32, &w),
        .axis = 0,
    });

    try testing.expectEqual([6]f32{ 0.5, 1.5, 2.5, 2, 4, 6 }, out);
}
