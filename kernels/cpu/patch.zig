//! patch_gather and unpatchify: latents cut into rows of tokens, and rows put back.
//! Tokens are few and patches small: plain loops, one task for some tokens.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;

pub fn patch_gather(args: *const backend.PatchGather) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |from| switch (args.out.dtype) {
            inline .f32, .bf16, .f16 => |to| eachToken(args.out.dims, args, struct {
                fn token(a: *const backend.PatchGather, n: usize) void {
                    gather(simd.Elem(to), simd.Elem(from), a, n);
                }
            }.token),
            else => unreachable,
        },
        else => unreachable,
    }
    return .ok;
}

pub fn unpatchify(args: *const backend.Unpatchify) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |from| switch (args.out.dtype) {
            inline .f32, .bf16, .f16 => |to| eachToken(args.x.dims, args, struct {
                fn token(a: *const backend.Unpatchify, n: usize) void {
                    scatter(simd.Elem(to), simd.Elem(from), a, n);
                }
            }.token),
            else => unreachable,
        },
        else => unreachable,
    }
    return .ok;
}

fn eachToken(
    dims: [backend.rank_max]u32,
    args: anytype,
    comptime token: fn (@TypeOf(args), usize) void,
) void {
    pool.parallelRange(dims[0], work.rowGrain(dims[1]), args, struct {
        fn some(a: @TypeOf(args), from: usize, to: usize) void {
            for (from..to) |n| token(a, n);
        }
    }.some);
}

/// Token n of the grid (t, y, x); indices past the end repeat the last one.
fn gather(comptime O: type, comptime I: type, args: *const backend.PatchGather, n: usize) void {
    const d = args.x.dims;
    const s = args.x.strides;
    const grid_h = ceil(d[2], args.kh);
    const grid_w = ceil(d[3], args.kw);
    const t0 = n / (grid_h * grid_w) * args.kt;
    const y0 = n / grid_w % grid_h * args.kh;
    const x0 = n % grid_w * args.kw;
    const in = args.x.host(I);
    var out = args.out.host(O) + n * args.out.strides[0]; // out[n, :]
    for (0..d[0]) |c| for (0..args.kt) |kt| for (0..args.kh) |kh| {
        const t = @min(t0 + kt, d[1] - 1);
        const y = @min(y0 + kh, d[2] - 1);
        const row = in + c * s[0] + t * s[1] + y * s[2]; // x[c, t, y, :]
        for (0..args.kw) |kw| {
            out[kw] = simd.fromF32(O, simd.toF32(I, row[@min(x0 + kw, d[3] - 1) * s[3]]));
        }
        out += args.kw;
    };
}

/// Row n goes to its place in every channel; what lies past the edge is left out.
fn scatter(comptime O: type, comptime I: type, args: *const backend.Unpatchify, n: usize) void {
    const d = args.out.dims;
    const s = args.out.strides;
    const grid_h = ceil(d[2], args.kh);
    const grid_w = ceil(d[3], args.kw);
    const t = n / (grid_h * grid_w);
    const y0 = n / grid_w % grid_h * args.kh;
    const x0 = n % grid_w * args.kw;
    const in = args.x.host(I) + n * args.x.strides[0]; // x[n, :]
    const out = args.out.host(O) + t * s[1];
    for (0..d[0]) |c| for (y0..@min(y0 + args.kh, d[2])) |y| {
        const from = in + (c * args.kh + y - y0) * args.kw;
        const row = out + c * s[0] + y * s[2]; // out[c, t, y, :]
        for (x0..@min(x0 + args.kw, d[3])) |x| {
            row[x * s[3]] = simd.fromF32(O, simd.toF32(I, from[x - x0]));
        }
    };
}

fn ceil(a: usize, b: usize) usize {
    return (a + b - 1) / b;
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "patch_gather repeats the edge where the kernel does not divide the size" {
    const dims = [_]u32{ 3, 5, 7, 9 };
    for ([_][3]u32{ .{ 1, 2, 2 }, .{ 2, 4, 4 }, .{ 4, 8, 8 }, .{ 1, 1, 1 } }) |k| {
        var r = cases.Random.init(k[1]);
        var x: cases.Case(f32) = try .init(&dims, 0);
        defer x.deinit();
        x.fillRandom(&r, 2);
        const grid = [_]u32{ (5 + k[0] - 1) / k[0], (7 + k[1] - 1) / k[1], (9 + k[2] - 1) / k[2] };
        const columns = 3 * k[0] * k[1] * k[2];
        var out: cases.Case(simd.Bf16) = try .init(&.{ grid[0] * grid[1] * grid[2], columns }, 6);
        defer out.deinit();

        _ = patch_gather(&.{ .out = out.desc, .x = x.desc, .kt = k[0], .kh = k[1], .kw = k[2] });

        var i: usize = 0;
        for (0..grid[0]) |gt| for (0..grid[1]) |gy| for (0..grid[2]) |gx| for (0..3) |c| {
            for (0..k[0]) |kt| for (0..k[1]) |kh| for (0..k[2]) |kw| {
                const t = @min(gt * k[0] + kt, 4);
                const y = @min(gy * k[1] + kh, 6);
                const xx = @min(gx * k[2] + kw, 8);
                const v = x.get(((c * 5 + t) * 7 + y) * 9 + xx);
                try testing.expectEqual(
                    simd.toF32(simd.Bf16, simd.fromF32(simd.Bf16, v)),
                    out.get(i),
                );
                i += 1;
            };
        };
        try out.expectGapsUntouched();
    }
}

test "unpatchify undoes patch_gather" {
    for ([_][4]u32{ .{ 16, 3, 4, 6 }, .{ 2, 1, 2, 2 } }) |dims| {
        var r = cases.Random.init(dims[0]);
        var x: cases.Case(f32) = try .init(&dims, 0);
        defer x.deinit();
        x.fillRandom(&r, 2);
        var rows: cases.Case(f32) = try .init(
            &.{ dims[1] * dims[2] * dims[3] / 4, dims[0] * 4 },
            3,
        );
        defer rows.deinit();
        var back: cases.Case(f32) = try .init(&dims, 0);
        defer back.deinit();

        _ = patch_gather(&.{ .out = rows.desc, .x = x.desc, .kt = 1, .kh = 2, .kw = 2 });
        _ = unpatchify(&.{ .out = back.desc, .x = rows.desc, .kh = 2, .kw = 2 });

        try testing.expectEqualSlices(f32, x.memory, back.memory);
    }
}
