//! group_norm_coeffs: one pass over the activations gives the scale and shift that normalise them; scale_shift_act or
//! conv3d apply them on load. Sums are f64: exact enough for 52 million elements, and still faster than memory.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;
const lanes = simd.lanes;
const D = @Vector(lanes, f64);

/// Elements whose sums one task adds up: about the second cache, so that columns can be walked one block after another.
const span_elements: usize = 32 * 1024;

const Sums = struct { plain: [*]f64, squares: [*]f64 };

pub fn group_norm_coeffs(args: *const backend.GroupNormCoeffs) Status {
    const channels: usize = args.x.dims[args.x.rank - 1];
    const count: usize = @intCast(args.x.count());
    const positions = if (channels == 0) 0 else count / channels;
    const grain = @max(1, span_elements / @max(1, channels));
    const spans = (positions + grain - 1) / grain;
    // For each span, the sums and the sums of squares of every channel.
    const bytes = spans * channels * 2 * @sizeOf(f64);
    const memory = pool.scratch(1, bytes) orelse return pool.noScratch("group_norm_coeffs", bytes);
    const sums: []f64 = @as([*]f64, @ptrCast(memory))[0 .. spans * channels * 2];
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            const Context = struct { x: [*]const T, sums: []f64, channels: usize, grain: usize };
            const context: Context = .{
                .x = args.x.host(T),
                .sums = sums,
                .channels = channels,
                .grain = grain,
            };
            pool.parallelRange(positions, grain, context, struct {
                fn span(c: Context, from: usize, to: usize) void {
                    const out = c.sums.ptr + from / c.grain * c.channels * 2;
                    sumSpan(T, c.x + from * c.channels, to - from, c.channels, out);
                }
            }.span);
        },
        else => unreachable,
    }
    return coefficients(args, sums, spans, positions, channels);
}

fn sumSpan(comptime T: type, x: [*]const T, positions: usize, channels: usize, out: [*]f64) void {
    var c: usize = 0;
    while (c < channels) : (c += lanes) {
        const n = @min(lanes, channels - c);
        var plain: D = @splat(0);
        var squares: D = @splat(0);
        for (0..positions) |i| {
            const p = x + i * channels + c;
            const v: D = @floatCast(if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n));
            plain += v;
            squares = @mulAdd(D, v, v, squares);
        }
        const halves: [2][lanes]f64 = .{ plain, squares };
        @memcpy(out[c..][0..n], halves[0][0..n]);
        @memcpy(out[channels + c ..][0..n], halves[1][0..n]);
    }
}

fn coefficients(
    args: *const backend.GroupNormCoeffs,
    sums: []const f64,
    spans: usize,
    positions: usize,
    channels: usize,
) Status {
    var p: [2][]const f32 = undefined;
    const status = work.params("group_norm_coeffs", 2, 0, .{ &args.weight, &args.bias }, &p);
    if (status != .ok) return status;
    const out = args.out.host(f32);
    const members = channels / args.groups;
    const n: f64 = @floatFromInt(positions * members);
    for (0..args.groups) |g| {
        const from = g * members;
        const to = from + members;
        var plain: f64 = 0;
        var squares: f64 = 0;
        for (0..spans) |s| for (from..to) |c| {
            plain += sums[s * 2 * channels + c];
            squares += sums[(s * 2 + 1) * channels + c];
        };
        const mean = plain / n;
        const variance = @max(0, squares / n - mean * mean);
        const inverse = 1 / @sqrt(variance + args.eps);
        for (from..to) |c| {
            const scale = p[0][c] * inverse;
            out[c] = @floatCast(scale);
            out[channels + c] = @floatCast(p[1][c] - mean * scale);
        }
    }
    return .ok;
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

fn expectCoeffs(comptime T: type, dims: []const u32, groups: u32, offset: f32) !void {
    const channels = dims[dims.len - 1];
    var r = cases.Random.init(channels);
    var x: cases.Case(T) = try .init(dims, 0);
    defer x.deinit();
    for (0..x.count()) |i| x.set(i, offset + r.next());
    var affine: cases.Case(f32) = try .init(&.{ 2, channels }, 0);
    defer affine.deinit();
    affine.fillRandom(&r, 1);
    var out: cases.Case(f32) = try .init(&.{ 2, channels }, 0);
    defer out.deinit();

    const args: backend.GroupNormCoeffs = .{
        .out = out.desc,
        .x = x.desc,
        .weight = cases.vector(f32, affine.memory[0..channels]),
        .bias = cases.vector(f32, affine.memory[channels..]),
        .groups = groups,
        .eps = 1e-6,
    };
    try testing.expectEqual(Status.ok, group_norm_coeffs(&args));

    const members = channels / groups;
    for (0..groups) |g| {
        var mean: f64 = 0;
        var n: f64 = 0;
        for (0..x.count()) |i| if (i % channels / members == g) {
            mean += x.get(i);
            n += 1;
        };
        mean /= n;
        var variance: f64 = 0;
        for (0..x.count()) |i| if (i % channels / members == g) {
            variance += (x.get(i) - mean) * (x.get(i) - mean);
        };
        const inverse = 1 / @sqrt(variance / n + 1e-6);
        for (g * members..(g + 1) * members) |c| {
            const scale = affine.get(c) * inverse;
            const shift = affine.get(channels + c) - mean * scale;
            try testing.expectApproxEqRel(scale, out.get(c), 1e-6);
            try testing.expectApproxEqAbs(shift, out.get(channels + c), 1e-6 * (1 + @abs(shift)));
        }
    }
}

test "group_norm_coeffs matches two-pass statistics" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| {
        try expectCoeffs(T, &.{ 3, 5, 7, 64 }, 32, 0.3);
        try expectCoeffs(T, &.{ 2, 3, 12 }, 3, -1);
        try expectCoeffs(T, &.{ 1, 4 }, 2, 0);
        try expectCoeffs(T, &.{ 5000, 32 }, 8, 0.1);
    }
}

test "coefficients are the same bytes on any number of threads" {
    const n = 24;
    var x: cases.Case(simd.Bf16) = try .init(&.{ 7001, n }, 0);
    defer x.deinit();
    var r = cases.Random.init(2);
    x.fillRandom(&r, 3);
    var affine: [n]f32 = @splat(1.5);
    defer pool.library.stop();
    var out: [2][2 * n]f32 = undefined;
    for (&out, [_]u32{ 1, 3 }) |*o, threads| {
        try pool.library.resize(threads);

        _ = group_norm_coeffs(&.{
            .out = cases.dense(f32, o, &.{ 2, n }),
            .x = x.desc,
            .weight = cases.vector(f32, &affine),
            .bias = cases.vector(f32, &affine),
            .groups = 3,
            .eps = 1e-6,
        });
    }

    try testing.expectEqual(out[0], out[1]);
}

test "statistics hold when the mean is far larger than the spread" {
    try expectCoeffs(f32, &.{ 4000, 32 }, 4, 3000);
}
