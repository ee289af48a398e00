//! adaln: layer norm without affine parameters, modulated by a scale and a shift for each column.
//! Once 1 is added to the scale it is a layer norm with weight and bias; the rows are norm.zig's.

const std = @import("std");
const backend = @import("../backend.zig");
const norm = @import("norm.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;

pub fn adaln(args: *const backend.Adaln) Status {
    var p: [2][]const f32 = undefined;
    const status = work.params("adaln", 2, 0, .{ &args.scale, &args.shift }, &p);
    if (status != .ok) return status;
    const scale: []f32 = @constCast(p[0]); // scratch of this op
    for (scale) |*s| s.* += 1;
    norm.centred(&args.out, &args.x, .{ .scale = scale.ptr, .shift = p[1].ptr, .eps = args.eps });
    return .ok;
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "adaln matches the plain loop in every dtype" {
    inline for (.{ f32, simd.Bf16, f16 }) |T| for ([_]u32{ 1, 17, 96, 1024 }) |n| {
        var r = cases.Random.init(n);
        var x: cases.Case(T) = try .init(&.{ 5, n }, 2);
        defer x.deinit();
        x.fillRandom(&r, 3);
        var mod: cases.Case(simd.Bf16) = try .init(&.{ 2, n }, 0);
        defer mod.deinit();
        mod.fillRandom(&r, 1);
        var out: cases.Case(T) = try .init(&.{ 5, n }, 0);
        defer out.deinit();

        _ = adaln(&.{
            .out = out.desc,
            .x = x.desc,
            .shift = cases.vector(simd.Bf16, mod.memory[0..n]),
            .scale = cases.vector(simd.Bf16, mod.memory[n..]),
            .eps = 1e-6,
        });

        for (0..5) |t| {
            var mean: f64 = 0;
            for (0..n) |c| mean += x.get(t * n + c);
            mean /= @floatFromInt(n);
            var variance: f64 = 0;
            for (0..n) |c| variance += (x.get(t * n + c) - mean) * (x.get(t * n + c) - mean);
            variance /= @floatFromInt(n);
            for (0..n) |c| {
                const y = (x.get(t * n + c) - mean) / @sqrt(variance + 1e-6);
                const want = y * (1 + mod.get(n + c)) + mod.get(c);
                try cases.expectClose(T, @floatCast(want), out.get(t * n + c), 8);
            }
        }
    };
}
