//! attention against plain loops: ragged sequences, masks, shared heads, head sizes, views, dtypes.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const attention = @import("attention.zig").attention;
const block = @import("attention_block.zig");
const support = @import("testing.zig");
const testing = std.testing;
const Buffer = support.Buffer;

const Case = struct {
    q: []const i32 = &.{},
    k: []const i32 = &.{},
    tq: u32,
    tk: u32,
    heads: u32 = 1,
    kv_heads: u32 = 1,
    d: u32 = 8,
    dtype: backend.Dtype = .f32,
    out: ?backend.Dtype = null,
    mask: backend.Mask = .none,
    frame: u32 = 1,
    scale: f32 = 0.4,
    gap: u32 = 0,
};

const Operands = struct {
    out: Buffer,
    q: Buffer,
    k: Buffer,
    v: Buffer,
    cu_q: Buffer,
    cu_k: Buffer,
    args: backend.Attention,

    fn init(case: Case) !Operands {
        var o: Operands = undefined;
        const gap = case.gap;
        const row = case.d + gap;
        const q_dims = [_]u32{ case.tq, case.heads, case.d };
        const k_dims = [_]u32{ case.tk, case.kv_heads, case.d };
        o.out = try .init(case.out orelse case.dtype, &q_dims, row, gap);
        o.q = try .init(case.dtype, &q_dims, row, gap);
        o.k = try .init(case.dtype, &k_dims, row, gap);
        o.v = try .init(case.dtype, &k_dims, row, gap);
        o.cu_q = try .init(.i32, &.{@intCast(case.q.len)}, 0, 0);
        o.cu_k = try .init(.i32, &.{@intCast(case.k.len)}, 0, 0);
        for (case.q, 0..) |x, i| o.cu_q.set(i, @floatFromInt(x));
        for (case.k, 0..) |x, i| o.cu_k.set(i, @floatFromInt(x));
        o.q.randomize(1);
        o.k.randomize(2);
        o.v.randomize(3);
        o.args = .{
            .out = o.out.desc,
            .q = o.q.desc,
            .k = o.k.desc,
            .v = o.v.desc,
            .cu_q = if (case.q.len > 0) o.cu_q.desc else null,
            .cu_k = if (case.k.len > 0) o.cu_k.desc else null,
            .mask = case.mask,
            .frame = case.frame,
            .scale = case.scale,
        };
        return o;
    }

    fn deinit(o: Operands) void {
        inline for (.{ "out", "q", "k", "v", "cu_q", "cu_k" }) |name| @field(o, name).deinit();
    }
};

/// The whole output by plain loops in precision P; rows of no sequence keep the poison.
fn reference(comptime P: type, case: Case, o: Operands, out: []P) !void {
    @memset(out, Buffer.poison);
    const whole_q = [_]i32{ 0, @intCast(case.tq) };
    const whole_k = [_]i32{ 0, @intCast(case.tk) };
    const cu_q = if (case.q.len > 0) case.q else &whole_q;
    const cu_k = if (case.k.len > 0) case.k else &whole_k;
    const weights = try testing.allocator.alloc(P, case.tk);
    defer testing.allocator.free(weights);
    for (cu_q[0 .. cu_q.len - 1], cu_q[1..], cu_k[0 .. cu_k.len - 1], cu_k[1..]) |q0, q1, k0, k1| {
        const first: usize = @intCast(k0);
        const keys: usize = @intCast(k1 - k0);
        for (0..@intCast(q1 - q0)) |i| for (0..case.heads) |head| {
            const row = (@as(usize, @intCast(q0)) + i) * case.heads + head;
            const kv = head * case.kv_heads / case.heads;
            const queries: usize = @intCast(q1 - q0);
            const n = visible(case, i, queries, keys);
            var top = -std.math.inf(P);
            for (weights[0..n], first..) |*w, k| {
                w.* = 0;
                for (0..case.d) |j| {
                    w.* += @as(P, o.q.get(row * case.d + j)) *
                        o.k.get((k * case.kv_heads + kv) * case.d + j);
                }
                w.* *= case.scale;
                top = @max(top, w.*);
            }
            var total: P = 0;
            for (weights[0..n]) |*w| {
                w.* = @exp(w.* - top);
                total += w.*;
                // What goes into the product is rounded to the dtype, as on every backend.
                if (P == f32 and case.dtype == .bf16) {
                    w.* = simd.toF32(simd.Bf16, simd.fromF32(simd.Bf16, w.*));
                }
            }
            for (0..case.d) |j| {
                var y: P = 0;
                for (weights[0..n], first..) |w, k| {
                    y += w * o.v.get((k * case.kv_heads + kv) * case.d + j);
                }
                out[row * case.d + j] = if (n == 0) 0 else y / total;
            }
        };
    }
}

fn visible(case: Case, i: usize, queries: usize, keys: usize) usize {
    var n: usize = 0;
    for (0..keys) |k| {
        const sees = switch (case.mask) {
            .none => true,
            .causal => k + queries <= i + keys,
            .frame_causal => k / case.frame <= i / case.frame,
        };
        n += @intFromBool(sees);
    }
    return n;
}

fn expectCase(case: Case) !void {
    errdefer std.debug.print("case {any}\n", .{case});
    const o: Operands = try .init(case);
    defer o.deinit();
    const count = case.tq * case.heads * case.d;
    const exact = try testing.allocator.alloc(f64, count);
    defer testing.allocator.free(exact);
    const plain = try testing.allocator.alloc(f32, count);
    defer testing.allocator.free(plain);
    try reference(f64, case, o, exact);
    try reference(f32, case, o, plain);

    try testing.expectEqual(.ok, attention(&o.args));

    try support.expectClose(o.out, exact, plain);
}

test "attention is right at every edge of its blocks" {
    const rows = block.rows_max;
    const edges = [_]u32{ 1, 2, 7, simd.lanes + 1, rows - 1, rows, rows + 1 };
    const keys = [_]u32{ 1, 2, 31, 47, 48, 49, 383, 384, 385, 769 };
    for (edges) |tq| for (keys) |tk| {
        try expectCase(.{ .tq = tq, .tk = tk });
        try expectCase(.{ .tq = tq, .tk = tk, .dtype = .bf16, .gap = 3 });
    };
}

test "attention takes any head size to 128 and multiples of 16 to 512" {
    for ([_]u32{ 1, 3, 15, 16, 17, 32, 47, 64, 72, 97, 127, 128, 144, 320, 512 }) |d| {
        try expectCase(.{ .tq = 13, .tk = 50, .d = d, .heads = 2, .kv_heads = 2, .scale = 0.1 });
        try expectCase(.{ .tq = 13, .tk = 51, .d = d, .dtype = .bf16, .scale = 0.1 });
    }
}

test "attention takes f16, and stores f32 if asked" {
    try expectCase(.{ .tq = 70, .tk = 90, .d = 20, .dtype = .f16, .gap = 2 });
    try expectCase(.{ .tq = 70, .tk = 90, .d = 20, .dtype = .f16, .out = .f32 });
    try expectCase(.{ .tq = 70, .tk = 90, .d = 20, .dtype = .bf16, .out = .f32 });
}

test "several query heads read one kv head" {
    try expectCase(.{ .tq = 66, .tk = 40, .heads = 6, .kv_heads = 2, .gap = 1 });
    try expectCase(.{ .tq = 66, .tk = 40, .heads = 4, .kv_heads = 1, .dtype = .bf16 });
}

test "the causal mask is aligned to the last key" {
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| {
        for ([_][2]u32{ .{ 100, 100 }, .{ 3, 500 }, .{ 70, 30 }, .{ 450, 450 } }) |t| {
            try expectCase(.{ .tq = t[0], .tk = t[1], .mask = .causal, .dtype = dtype });
        }
    }
}

test "the frame-causal mask opens a whole frame at a time" {
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| for ([_]u32{ 1, 7, 64, 500 }) |frame| {
        var case: Case = .{ .tq = 445, .tk = 445, .mask = .frame_causal, .dtype = dtype };
        case.frame = frame;
        try expectCase(case);
    };
}

test "ragged sequences keep to themselves, empty ones write nothing" {
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| for (std.enums.values(backend.Mask)) |mask| {
        try expectCase(.{
            .q = &.{ 0, 5, 5, 70, 137, 140 },
            .k = &.{ 2, 2, 40, 91, 500, 501 },
            .tq = 143,
            .tk = 510,
            .heads = 2,
            .mask = mask,
            .frame = 9,
            .dtype = dtype,
        });
    };
}

test "attention keeps large scores apart and follows a growing maximum" {
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| {
        try expectCase(.{ .tq = 60, .tk = 800, .d = 32, .scale = 30, .dtype = dtype });
        try expectCase(.{ .tq = 60, .tk = 800, .d = 32, .scale = -3, .dtype = dtype });
    }
}

test "NaN in a key reaches the queries that see it and no others" {
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| {
        const case: Case = .{ .tq = 20, .tk = 20, .mask = .causal, .dtype = dtype };
        const o: Operands = try .init(case);
        defer o.deinit();
        o.k.set(11 * case.d, std.math.nan(f32));

        try testing.expectEqual(.ok, attention(&o.args));

        for (0..20) |i| try testing.expectEqual(i >= 11, std.math.isNan(o.out.get(i * case.d)));
    }
}

test "bounds outside the tensor are refused" {
    for ([_][]const i32{ &.{ 0, 9 }, &.{ 3, 1 }, &.{ -1, 4 } }) |cu| {
        const o: Operands = try .init(.{ .q = cu, .k = &.{ 0, 4 }, .tq = 8, .tk = 4 });
        defer o.deinit();
        try testing.expectEqual(.bad_argument, attention(&o.args));
    }
}

test "attention gives the same bits on any number of threads" {
    const case: Case = .{ .tq = 200, .tk = 300, .heads = 3, .kv_heads = 3, .d = 24 };
    const o: Operands = try .init(case);
    defer o.deinit();
    try testing.expectEqual(.ok, attention(&o.args));
    const alone = try testing.allocator.dupe(u8, o.out.bytes);
    defer testing.allocator.free(alone);
    defer pool.library.stop();
    for ([_]u32{ 2, 5 }) |threads| {
        try pool.library.resize(threads);

        try testing.expectEqual(.ok, attention(&o.args));

        try testing.expectEqualSlices(u8, alone, o.out.bytes);
    }
}
