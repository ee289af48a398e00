//! matmul against plain loops: shapes around the edges of tiles, views, dtypes, every epilogue.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const matmul = @import("matmul.zig").matmul;
const support = @import("testing.zig");
const testing = std.testing;
const Buffer = support.Buffer;

const Case = struct {
    m: u32,
    n: u32,
    k: u32,
    a: backend.Dtype = .f32,
    w: backend.Dtype = .f32,
    out: backend.Dtype = .f32,
    /// Elements between the end of a row and the start of the next, in a, w and out alike.
    gap: u32 = 0,
    act: backend.Act = .none,
    bias: ?backend.Dtype = null,
    gate: ?backend.Dtype = null,
    residual: enum { none, apart, is_out } = .none,
};

const Operands = struct {
    a: Buffer,
    w: Buffer,
    out: Buffer,
    residual: Buffer,
    bias: Buffer,
    gate: Buffer,
    args: backend.Matmul,

    fn init(case: Case) !Operands {
        const row = case.gap;
        var o: Operands = undefined;
        o.a = try .init(case.a, &.{ case.m, case.k }, case.k + row, row);
        o.w = try .init(case.w, &.{ case.n, case.k }, case.k + row, row);
        o.out = try .init(case.out, &.{ case.m, case.n }, case.n + row, row);
        o.residual = try .init(case.out, &.{ case.m, case.n }, case.n + row, row);
        o.bias = try .init(case.bias orelse .f32, &.{case.n}, 0, 0);
        o.gate = try .init(case.gate orelse .f32, &.{case.n}, 0, 0);
        inline for (.{ "a", "w", "residual", "bias", "gate" }, 1..) |name, seed| {
            @field(o, name).randomize(seed);
        }
        if (case.residual == .is_out) o.out.randomize(3);
        o.args = .{
            .out = o.out.desc,
            .a = o.a.desc,
            .w = o.w.desc,
            .bias = if (case.bias != null) o.bias.desc else null,
            .residual = switch (case.residual) {
                .none => null,
                .apart => o.residual.desc,
                .is_out => o.out.desc,
            },
            .gate = if (case.gate != null) o.gate.desc else null,
            .act = case.act,
        };
        return o;
    }

    fn deinit(o: Operands) void {
        for ([_]Buffer{ o.a, o.w, o.out, o.residual, o.bias, o.gate }) |b| b.deinit();
    }
};

/// One element by plain loops in precision P.
fn reference(comptime P: type, case: Case, o: Operands, r: usize, c: usize) P {
    var y: P = 0;
    for (0..case.k) |i| y += @as(P, o.a.get(r * case.k + i)) * o.w.get(c * case.k + i);
    if (case.bias != null) y += o.bias.get(c);
    y = switch (case.act) {
        .none => y,
        .gelu_tanh => y / 2 * (1 + std.math.tanh(0.7978845608028654 * y * (1 + 0.044715 * y * y))),
        .silu => y / (1 + @exp(-y)),
        .quick_gelu => y / (1 + @exp(-1.702 * y)),
    };
    if (case.residual == .none) return y;
    if (case.gate != null) y *= o.gate.get(c);
    return y + o.residual.get(r * case.n + c);
}

fn expectCase(case: Case) !void {
    errdefer std.debug.print("case {any}\n", .{case});
    const o: Operands = try .init(case);
    defer o.deinit();
    const count = case.m * case.n;
    const exact = try testing.allocator.alloc(f64, count);
    defer testing.allocator.free(exact);
    const plain = try testing.allocator.alloc(f32, count);
    defer testing.allocator.free(plain);
    for (0..count) |i| {
        exact[i] = reference(f64, case, o, i / case.n, i % case.n);
        plain[i] = reference(f32, case, o, i / case.n, i % case.n);
    }

    try testing.expectEqual(.ok, matmul(&o.args));

    try support.expectClose(o.out, exact, plain);
    if (case.residual == .is_out) return;
    const around = case.gap * (case.m + 1);
    try testing.expect(o.out.untouched() >= around);
}

const edge_m = [_]u32{ 1, 2, 4, 5, 15, 16, 17, 2 * tile.mr - 1, 3 * tile.mr, 3 * tile.mr + 1, 61 };
const edge_n = [_]u32{ 1, 3, simd.lanes, tile.nr - 1, tile.nr, tile.nr + 1, 101 };
const edge_k = [_]u32{ 1, 2, simd.lanes - 1, 2 * simd.lanes, 2 * simd.lanes + 1, 67 };

test "matmul is right at every edge of its tiles" {
    for (edge_m) |m| for (edge_n) |n| for (edge_k) |k| {
        try expectCase(.{ .m = m, .n = n, .k = k, .gap = 3 });
        try expectCase(.{ .m = m, .n = n, .k = k, .a = .bf16, .w = .bf16, .out = .bf16 });
    };
}

test "matmul takes every pair of dtypes, and stores T or f32" {
    const floats = [_]backend.Dtype{ .f32, .bf16, .f16 };
    for ([_]u32{ 3, 29 }) |m| for (floats) |a| for (floats) |w| {
        try expectCase(.{ .m = m, .n = 53, .k = 45, .a = a, .w = w, .out = a, .gap = 5 });
        try expectCase(.{ .m = m, .n = 53, .k = 45, .a = a, .w = w, .out = .f32, .gap = 2 });
    };
}

test "matmul applies bias, activation, gate and residual in that order" {
    for ([_]u32{ 5, 23 }) |m| for (std.enums.values(backend.Act)) |act| {
        var case: Case = .{ .m = m, .n = 50, .k = 33, .act = act, .bias = .bf16 };
        try expectCase(case);
        case.residual = .apart;
        try expectCase(case);
        case.gate = .f16;
        try expectCase(case);
        case.a, case.w, case.out = .{ .bf16, .bf16, .bf16 };
        case.residual = .is_out;
        case.gap = 4;
        try expectCase(case);
    };
}

test "matmul sums long rows in blocks" {
    try expectCase(.{ .m = 19, .n = 50, .k = 5003 });
    try expectCase(.{ .m = 19, .n = 50, .k = 9001, .a = .bf16, .w = .bf16, .bias = .f32 });
}

test "matmul without columns to sum gives the bias" {
    try expectCase(.{ .m = 2, .n = 5, .k = 0, .bias = .f32 });
    try expectCase(.{ .m = 20, .n = 5, .k = 0, .bias = .f32 });
}

test "matmul of no rows does nothing" {
    try expectCase(.{ .m = 0, .n = 5, .k = 3 });
    try expectCase(.{ .m = 5, .n = 0, .k = 3 });
}

test "matmul passes NaN and infinity on to their row only" {
    for ([_]u32{ 2, 20 }) |m| for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| {
        const o: Operands = try .init(.{ .m = m, .n = 49, .k = 35, .a = dtype, .w = dtype });
        defer o.deinit();
        o.a.set(34, std.math.nan(f32));
        for (0..35) |i| o.a.set(35 + i, if (i == 7) std.math.inf(f32) else 0);
        for (0..49 * 35) |i| o.w.set(i, 1);

        try testing.expectEqual(.ok, matmul(&o.args));

        for (0..49) |c| {
            try testing.expect(std.math.isNan(o.out.get(c)));
            try testing.expectEqual(std.math.inf(f32), o.out.get(49 + c));
            if (m > 2) try testing.expect(std.math.isFinite(o.out.get(98 + c)));
        }
    };
}

test "matmul gives the same bits on any number of threads" {
    defer pool.library.stop();
    for ([_]u32{ 6, 700 }) |m| {
        const o: Operands = try .init(.{ .m = m, .n = 130, .k = 70, .gap = 1 });
        defer o.deinit();
        try testing.expectEqual(.ok, matmul(&o.args));
        const alone = try testing.allocator.dupe(u8, o.out.bytes);
        defer testing.allocator.free(alone);
        for ([_]u32{ 2, 5 }) |threads| {
            try pool.library.resize(threads);

            try testing.expectEqual(.ok, matmul(&o.args));

            try testing.expectEqualSlices(u8, alone, o.out.bytes);
        }
        pool.library.stop();
    }
}
