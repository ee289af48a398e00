//! Ops that treat elements or columns one by one: activation, scale_shift_act, glu, add, add_gated, fill, mean_rows.
//! All are bound by memory: rows are cut into pieces for the threads and walked in vectors of f32.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Desc = backend.Desc;
const Status = backend.Status;
const lanes = simd.lanes;
const F = simd.F;

pub fn activation(args: *const backend.Activation) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| switch (args.act) {
            inline else => |kind| map(simd.Elem(d), Act(kind), .{}, &args.out, .{&args.x}, true),
        },
        else => unreachable,
    }
    return .ok;
}

pub fn scale_shift_act(args: *const backend.ScaleShiftAct) Status {
    const coeffs = args.coeffs.host(f32);
    const columns = args.x.dims[args.x.rank - 1];
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| switch (args.act) {
            inline else => |kind| {
                const f: ScaleShiftAct(kind) = .{ .scale = coeffs, .shift = coeffs + columns };
                map(simd.Elem(d), ScaleShiftAct(kind), f, &args.out, .{&args.x}, false);
            },
        },
        else => unreachable,
    }
    return .ok;
}

pub fn glu(args: *const backend.Glu) Status {
    switch (args.gate.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            map(simd.Elem(d), Glu, .{}, &args.out, .{ &args.gate, &args.up }, true);
        },
        else => unreachable,
    }
    return .ok;
}

pub fn add(args: *const backend.Add) Status {
    const same = args.b.rank == args.a.rank and
        std.mem.eql(u32, args.a.dims[0..args.a.rank], args.b.dims[0..args.b.rank]);
    var p: [1][]const f32 = undefined;
    if (!same) {
        const status = work.params("add", 1, 0, .{&args.b}, &p);
        if (status != .ok) return status;
    }
    switch (args.a.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            if (same) {
                map(T, Sum, .{}, &args.out, .{ &args.a, &args.b }, true);
            } else {
                map(T, AddColumns, .{ .b = p[0].ptr }, &args.out, .{&args.a}, false);
            }
        },
        else => unreachable,
    }
    return .ok;
}

pub fn add_gated(args: *const backend.AddGated) Status {
    var p: [1][]const f32 = undefined;
    const status = work.params("add_gated", 1, 0, .{&args.gate}, &p);
    if (status != .ok) return status;
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const f: AddGated = .{ .gate = p[0].ptr };
            map(simd.Elem(d), AddGated, f, &args.out, .{ &args.x, &args.y }, false);
        },
        else => unreachable,
    }
    return .ok;
}

pub fn fill(args: *const backend.Fill) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| fillWith(
            simd.Elem(d),
            args,
            simd.fromF32(simd.Elem(d), args.value),
        ),
        .i32 => fillWith(i32, args, std.math.lossyCast(i32, args.value)),
        .u8 => fillWith(u8, args, std.math.lossyCast(u8, args.value)),
    }
    return .ok;
}

/// Each task owns some columns and sums them over all rows, in blocks of rows so that long sums stay exact.
pub fn mean_rows(args: *const backend.MeanRows) Status {
    switch (args.x.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const T = simd.Elem(d);
            pool.parallelRange(args.x.dims[1], 8 * lanes, args, struct {
                fn columns(a: *const backend.MeanRows, from: usize, to: usize) void {
                    var c = from;
                    while (c < to) : (c += lanes) meanColumns(T, a, c, @min(lanes, to - c));
                }
            }.columns);
        },
        else => unreachable,
    }
    return .ok;
}

// -------------------------------------------------------------------------------------- functions

fn Act(comptime kind: backend.Act) type {
    return struct {
        inline fn at(_: @This(), _: usize, comptime part: bool, _: usize, v: [1]F) F {
            _ = part;
            return simd.act(kind, v[0]);
        }
    };
}

fn ScaleShiftAct(comptime kind: backend.Act) type {
    return struct {
        scale: [*]const f32,
        shift: [*]const f32,
        inline fn at(f: @This(), c: usize, comptime part: bool, n: usize, v: [1]F) F {
            const scale = column(f.scale, c, part, n);
            return simd.act(kind, simd.fma(v[0], scale, column(f.shift, c, part, n)));
        }
    };
}

const Glu = struct {
    inline fn at(_: Glu, _: usize, comptime part: bool, _: usize, v: [2]F) F {
        _ = part;
        return simd.silu(v[0]) * v[1];
    }
};

const Sum = struct {
    inline fn at(_: Sum, _: usize, comptime part: bool, _: usize, v: [2]F) F {
        _ = part;
        return v[0] + v[1];
    }
};

const AddColumns = struct {
    b: [*]const f32,
    inline fn at(f: AddColumns, c: usize, comptime part: bool, n: usize, v: [1]F) F {
        return v[0] + column(f.b, c, part, n);
    }
};

const AddGated = struct {
    gate: [*]const f32,
    inline fn at(f: AddGated, c: usize, comptime part: bool, n: usize, v: [2]F) F {
        return simd.fma(v[1], column(f.gate, c, part, n), v[0]);
    }
};

inline fn column(p: [*]const f32, c: usize, comptime part: bool, n: usize) F {
    return if (part) simd.loadPart(f32, p + c, n) else simd.load(f32, p + c);
}

// ------------------------------------------------------------------------------------------ loops

/// out = f(inputs) element by element. `flat` says that f does not look at the column.
fn map(
    comptime T: type,
    comptime Function: type,
    f: Function,
    out: *const Desc,
    inputs: anytype,
    comptime flat: bool,
) void {
    const n = inputs.len;
    var tensors: [n + 1]*const Desc = undefined;
    tensors[n] = out;
    inline for (0..n) |i| tensors[i] = inputs[i];
    const R = work.Rows(n + 1);
    const rows = if (flat) R.flat(tensors) else R.init(tensors);
    const Context = struct { f: Function, out: [*]T, in: [n][*]const T };
    var context: Context = .{ .f = f, .out = out.host(T), .in = undefined };
    inline for (0..n) |i| context.in[i] = inputs[i].host(T);
    rows.pieces(context, struct {
        fn piece(c: Context, offsets: [n + 1]usize, from: usize, count: usize) void {
            var in: [n][*]const T = undefined;
            inline for (0..n) |i| in[i] = c.in[i] + offsets[i] + from;
            span(T, n, c.f, c.out + offsets[n] + from, in, from, count);
        }
    }.piece);
}

fn span(
    comptime T: type,
    comptime n: usize,
    f: anytype,
    out: [*]T,
    in: [n][*]const T,
    from: usize,
    count: usize,
) void {
    var v: [n]F = undefined;
    var i: usize = 0;
    while (i + lanes <= count) : (i += lanes) {
        inline for (0..n) |k| v[k] = simd.load(T, in[k] + i);
        simd.store(T, out + i, f.at(from + i, false, lanes, v));
    }
    const rest = count - i;
    if (rest == 0) return;
    inline for (0..n) |k| v[k] = simd.loadPart(T, in[k] + i, rest);
    simd.storePart(T, out + i, rest, f.at(from + i, true, rest, v));
}

fn fillWith(comptime T: type, args: *const backend.Fill, value: T) void {
    const rows = work.Rows(1).flat(.{&args.x});
    const Context = struct { x: [*]T, value: T };
    rows.pieces(Context{ .x = args.x.host(T), .value = value }, struct {
        fn piece(c: Context, at: [1]usize, from: usize, n: usize) void {
            @memset((c.x + at[0] + from)[0..n], c.value);
        }
    }.piece);
}

const rows_block = 64;

fn meanColumns(comptime T: type, args: *const backend.MeanRows, c: usize, n: usize) void {
    const x = args.x.host(T) + c;
    const rows: usize = args.x.dims[0];
    const stride: usize = args.x.strides[0];
    var total = simd.splat(0);
    var t: usize = 0;
    while (t < rows) {
        const end = @min(t + rows_block, rows);
        var block = simd.splat(0);
        while (t < end) : (t += 1) {
            const p = x + t * stride;
            block += if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n);
        }
        total += block;
    }
    const mean = total / simd.splat(@floatFromInt(rows));
    switch (args.out.dtype) {
        inline .f32, .bf16, .f16 => |d| {
            const O = simd.Elem(d);
            simd.storePart(O, args.out.host(O) + c, n, mean);
        },
        else => unreachable,
    }
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

fn expectMap(
    comptime T: type,
    comptime n: usize,
    dims: []const u32,
    gaps: bool,
    run: fn ([n]Desc, Desc) Status,
    want: fn ([n]f32, usize) f32,
) !void {
    var r = cases.Random.init(dims.len + @as(u64, dims[dims.len - 1]));
    var in: [n]cases.Case(T) = undefined;
    var descs: [n]Desc = undefined;
    for (&in, &descs) |*x, *d| {
        x.* = try .init(dims, if (gaps) 3 else 0);
        x.fillRandom(&r, 2);
        d.* = x.desc;
    }
    defer for (&in) |*x| x.deinit();
    var out: cases.Case(T) = try .init(dims, if (gaps) 5 else 0);
    defer out.deinit();

    try testing.expectEqual(Status.ok, run(descs, out.desc));

    for (0..out.count()) |i| {
        var v: [n]f32 = undefined;
        for (&v, &in) |*y, *x| y.* = x.get(i);
        try cases.expectClose(T, want(v, i % dims[dims.len - 1]), out.get(i), 1);
    }
    try out.expectGapsUntouched();
}

const shapes = [_][]const u32{
    &.{ 1, 1 }, &.{ 3, 7 },        &.{ 2, 3, 16 }, &.{ 5, 0 },
    &.{ 0, 5 }, &.{ 2, 2, 2, 67 }, &.{ 131, 31 },  &.{ 1, 40_001 },
};

test "activation matches its formula in every dtype, dense and with gaps" {
    const call = struct {
        fn run(x: [1]Desc, out: Desc) Status {
            return activation(&.{ .out = out, .x = x[0], .act = .silu });
        }
        fn want(v: [1]f32, _: usize) f32 {
            return v[0] / (1 + @exp(-v[0]));
        }
    };
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |s| for ([_]bool{ false, true }) |gaps| {
        try expectMap(T, 1, s, gaps, call.run, call.want);
    };
}

test "glu is silu of the gate times up" {
    const call = struct {
        fn run(x: [2]Desc, out: Desc) Status {
            return glu(&.{ .out = out, .gate = x[0], .up = x[1] });
        }
        fn want(v: [2]f32, _: usize) f32 {
            return v[0] / (1 + @exp(-v[0])) * v[1];
        }
    };
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |s| for ([_]bool{ false, true }) |gaps| {
        try expectMap(T, 2, s, gaps, call.run, call.want);
    };
}

fn ramp(comptime T: type, p: []T) void {
    for (p, 0..) |*x, i| x.* = simd.fromF32(T, rampAt(i));
}
fn rampAt(i: usize) f32 {
    return @as(f32, @floatFromInt(i % 13)) * 0.25 - 1;
}

test "add_gated, add over rows and scale_shift_act take their value by column" {
    const call = struct {
        var columns: [40_001]simd.Bf16 = undefined;
        var coeffs: [2 * 40_001]f32 = undefined;

        fn gate(n: u32) Desc {
            ramp(simd.Bf16, columns[0..n]);
            return cases.vector(simd.Bf16, columns[0..n]);
        }
        fn gated(x: [2]Desc, out: Desc) Status {
            const g = gate(out.dims[out.rank - 1]);
            return add_gated(&.{ .out = out, .x = x[0], .y = x[1], .gate = g });
        }
        fn wantGated(v: [2]f32, c: usize) f32 {
            return v[0] + rampAt(c) * v[1];
        }
        fn rows(x: [1]Desc, out: Desc) Status {
            return add(&.{ .out = out, .a = x[0], .b = gate(out.dims[out.rank - 1]) });
        }
        fn wantRows(v: [1]f32, c: usize) f32 {
            return v[0] + rampAt(c);
        }
        fn scaled(x: [1]Desc, out: Desc) Status {
            const n = out.dims[out.rank - 1];
            for (coeffs[0..n], 0..) |*s, i| s.* = rampAt(i);
            for (coeffs[n .. 2 * n], 0..) |*s, i| s.* = rampAt(i + 5);
            const c = cases.vector(f32, coeffs[0 .. 2 * n]);
            return scale_shift_act(&.{ .out = out, .x = x[0], .coeffs = c, .act = .silu });
        }
        fn wantScaled(v: [1]f32, c: usize) f32 {
            const y = v[0] * rampAt(c) + rampAt(c + 5);
            return y / (1 + @exp(-y));
        }
    };
    inline for (.{ f32, simd.Bf16, f16 }) |T| for (shapes) |s| for ([_]bool{ false, true }) |gaps| {
        try expectMap(T, 2, s, gaps, call.gated, call.wantGated);
        try expectMap(T, 1, s, gaps, call.rows, call.wantRows);
        try expectMap(T, 1, s, gaps, call.scaled, call.wantScaled);
    };
}

test "add of equal shapes may write over its first operand" {
    var a: [3]f32 = .{ 1, 2, 3 };
    var b: [3]f32 = .{ 10, 20, 30 };
    const x = cases.vector(f32, &a);

    _ = add(&.{ .out = x, .a = x, .b = cases.vector(f32, &b) });

    try testing.expectEqual([3]f32{ 11, 22, 33 }, a);
}

test "fill reaches every element of every dtype and no gap" {
    inline for (.{ f32, simd.Bf16, f16, i32, u8 }) |T| {
        var x: cases.Case(T) = try .init(&.{ 3, 5, 7 }, 2);
        defer x.deinit();

        _ = fill(&.{ .x = x.desc, .value = 9 });

        for (0..x.count()) |i| try testing.expectEqual(9, x.get(i));
        try x.expectGapsUntouched();
    }
}

test "mean_rows is the mean of each column" {
    for ([_]u32{ 1, 7, 130, 261 }) |columns| for ([_]u32{ 1, 64, 203 }) |n| {
        var x: cases.Case(simd.Bf16) = try .init(&.{ n, columns }, 4);
        defer x.deinit();
        var r = cases.Random.init(n);
        x.fillRandom(&r, 3);
        var out: cases.Case(f32) = try .init(&.{columns}, 0);
        defer out.deinit();

        _ = mean_rows(&.{ .out = out.desc, .x = x.desc });

        for (0..columns) |c| {
            var sum: f64 = 0;
            for (0..n) |t| sum += x.get(t * columns + c);
            const mean: f32 = @floatCast(sum / @as(f64, @floatFromInt(n)));
            try testing.expectApproxEqAbs(mean, out.get(c), 2e-6);
        }
    };
}
