//! conv3d by its definition, in plain loops, for the tests of the fast one.
//! Only test blocks may import this file.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const cases = @import("cases.zig");
const conv3dWithin = @import("conv3d.zig").conv3dWithin;
const testing = std.testing;

pub const Setup = struct {
    x: [4]u32,
    out: u32,
    kernel: [3]u32 = .{ 3, 3, 3 },
    stride: [3]u32 = .{ 1, 1, 1 },
    up_t: bool = false,
    up_s: bool = false,
    coeffs: bool = false,
    act: backend.Act = .none,
    residual: bool = false,
    gap: u32 = 0,
    bytes_kept: usize = 1 << 20,

    /// Weights of one output channel.
    fn taps(s: Setup) usize {
        return @as(usize, s.kernel[0]) * s.kernel[1] * s.kernel[2] * s.x[3];
    }

    fn virtual(s: Setup, axis: usize) usize {
        const n: usize = s.x[axis];
        if (axis == 0) return if (s.up_t) 2 * n - 1 else n;
        return if (s.up_s) 2 * n else n;
    }

    fn outDims(s: Setup) [4]u32 {
        var d: [4]u32 = undefined;
        for (0..3) |i| {
            const pad = if (i == 0) s.kernel[0] - 1 else s.kernel[i] / 2 * 2;
            d[i] = @intCast((s.virtual(i) + pad + s.stride[i] - s.kernel[i]) / s.stride[i]);
        }
        d[3] = s.out;
        return d;
    }
};

/// An element of x as the convolution sees it.
fn activated(comptime T: type, s: Setup, x: f32, c: usize, k: []const f32) f32 {
    var v = x;
    if (s.coeffs) v = v * k[c] + k[s.x[3] + c];
    if (s.act == .silu) v = v / (1 + @exp(-v));
    return simd.toF32(T, simd.fromF32(T, v));
}

/// Where in x the virtual position lies, which may be in the padding: all channels of it.
fn plainInput(s: Setup, x: []const f32, position: [3]i64) []const f32 {
    var at: [3]usize = undefined;
    for (position, 0..) |v, i| {
        at[i] = @intCast(std.math.clamp(v, 0, @as(i64, @intCast(s.virtual(i))) - 1));
    }
    if (s.up_t) at[0] = (at[0] + 1) / 2;
    if (s.up_s) {
        at[1] /= 2;
        at[2] /= 2;
    }
    return x[((at[0] * s.x[1] + at[1]) * s.x[2] + at[2]) * s.x[3] ..][0..s.x[3]];
}

/// The sum of products at one output position, for one output channel's weights.
fn plainSum(s: Setup, x: []const f32, weights: []const f32, at: [3]usize) f64 {
    var sum: f64 = 0;
    var n: usize = 0;
    for (0..s.kernel[0]) |dt| for (0..s.kernel[1]) |dy| for (0..s.kernel[2]) |dx| {
        var position: [3]i64 = undefined;
        for (&position, [_]usize{ dt, dy, dx }, 0..) |*p, d, axis| {
            const pad = if (axis == 0) s.kernel[0] - 1 else s.kernel[axis] / 2;
            p.* = @as(i64, @intCast(at[axis] * s.stride[axis] + d)) - pad;
        }
        for (plainInput(s, x, position), weights[n..][0..s.x[3]]) |v, w| sum += w * v;
        n += s.x[3];
    };
    return sum;
}

pub fn expectConv(comptime T: type, comptime W: type, s: Setup) !void {
    const inner = s.x[3];
    var r = cases.Random.init(inner + s.out + s.x[1]);
    var x: cases.Case(T) = try .init(&s.x, s.gap);
    defer x.deinit();
    x.fillRandom(&r, 1);
    const w_dims = [_]u32{ s.out, s.kernel[0], s.kernel[1], s.kernel[2], inner };
    var w: cases.Case(W) = try .init(&w_dims, 0);
    defer w.deinit();
    const fan: f32 = @floatFromInt(s.kernel[0] * s.kernel[1] * s.kernel[2] * inner);
    w.fillRandom(&r, 1.7 / @sqrt(fan));
    var bias: cases.Case(T) = try .init(&.{s.out}, 0);
    defer bias.deinit();
    bias.fillRandom(&r, 1);
    var k: cases.Case(f32) = try .init(&.{ 2, inner }, 0);
    defer k.deinit();
    k.fillRandom(&r, 1);
    const plain = try testing.allocator.alloc(f32, x.count());
    defer testing.allocator.free(plain);
    for (plain, 0..) |*v, i| v.* = activated(T, s, x.get(i), i % inner, k.memory);
    const weights_f32 = try testing.allocator.alloc(f32, w.count());
    defer testing.allocator.free(weights_f32);
    for (weights_f32, 0..) |*v, i| v.* = w.get(i);
    const dims = s.outDims();
    var out: cases.Case(T) = try .init(&dims, s.gap);
    defer out.deinit();
    out.fillRandom(&r, 1);
    const before = try testing.allocator.alloc(f32, out.count());
    defer testing.allocator.free(before);
    for (before, 0..) |*v, i| v.* = if (s.residual) out.get(i) else 0;

    const status = conv3dWithin(s.bytes_kept, &.{
        .out = out.desc,
        .x = x.desc,
        .w = w.desc,
        .bias = bias.desc,
        .coeffs = if (s.coeffs) k.desc else null,
        .act = s.act,
        .residual = if (s.residual) out.desc else null,
        .stride_t = s.stride[0],
        .stride_h = s.stride[1],
        .stride_w = s.stride[2],
        .up_t = s.up_t,
        .up_s = s.up_s,
    });
    try testing.expectEqual(backend.Status.ok, status);

    for (before, 0..) |b, i| {
        const o = i % s.out;
        const at = [_]usize{
            i / s.out / dims[2] / dims[1],
            i / s.out / dims[2] % dims[1],
            i / s.out % dims[2],
        };
        const taps = weights_f32[o * s.taps() ..][0..s.taps()];
        const sum = bias.get(o) + b + plainSum(s, plain, taps, at);
        // Activated inputs may round to the other neighbour: noise of a few input roundings in a sum of `fan` terms.
        const asIs = s.act == .none and !s.coeffs;
        const noise = if (T == f32) 4e-6 else if (asIs) 3e-5 else cases.ulp(T) / 4;
        const want: f32 = @floatCast(sum);
        try testing.expectApproxEqAbs(want, out.get(i), noise + @abs(want) * cases.ulp(T) * 0.51);
    }
    try out.expectGapsUntouched();
}
