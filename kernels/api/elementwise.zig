//! Exported ops that work element by element or row by row.

const std = @import("std");
const arena = @import("../arena.zig");
const backend = @import("../backend.zig");
const state = @import("../state.zig");
const call = @import("call.zig");
const Call = call.Call;
const Operand = call.Operand;
const Status = backend.Status;

pub fn fp_copy(dst: u32, src: u32) callconv(.c) Status {
    var c: Call = .begin("copy");
    defer c.end();
    const source = c.resolve("src", src) orelse return c.status;
    const S = c.add("src", source.desc);
    const D = c.out("dst", dst, &.{});
    c.sameDims(D, S);
    checkCast(&c, D, S);
    const args: backend.Copy = .{ .dst = D.d, .src = S.d };
    if (D.d.count() == 0 or c.status != .ok) return c.status;
    return if (source.storage.?.on_device) c.run("copy", &args) else copyFromFile(&c, args);
}

/// A source in a mapped file that the device cannot read: its bytes go up as they are, then the
/// copy runs there.
fn copyFromFile(c: *Call, args: backend.Copy) Status {
    const memory = &state.current().?.memory;
    const bytes = args.src.count() * args.src.dtype.size();
    if (!args.src.isContiguous()) {
        c.reject(
            .bad_shape,
            "src {f} lies in a mapped file and must be contiguous",
            .{call.shape(args.src)},
        );
    }
    if (c.status != .ok) return c.status;
    if (args.src.dtype == args.dst.dtype and args.dst.isContiguous()) {
        return memory.upload(args.dst.ptr, args.src.host(u8), bytes);
    }
    var block: arena.Block = undefined;
    const allocated = arena.alloc(bytes, &block);
    if (allocated != .ok) return allocated;
    defer arena.free(block);
    const uploaded = memory.upload(block.ptr, args.src.host(u8), bytes);
    if (uploaded != .ok) return uploaded;
    var staged = args;
    staged.src.ptr = block.ptr;
    return c.run("copy", &staged);
}

fn checkCast(c: *Call, dst: Operand, src: Operand) void {
    const from = src.d.dtype;
    const to = dst.d.dtype;
    const is_float = from == .f32 or from == .bf16 or from == .f16;
    const fits = if (is_float) to != .i32 and to != .u8 else to == from or to == .f32;
    if (!fits) c.reject(.bad_dtype, "no cast from {t} to {t}", .{ from, to });
}

pub fn fp_fill(x: u32, value: f32) callconv(.c) Status {
    var c: Call = .begin("fill");
    defer c.end();
    const X = c.out("tensor", x, &.{});
    const low: f32, const high: f32 = switch (X.d.dtype) {
        .i32 => .{ -2147483648, 2147483520 },
        .u8 => .{ 0, 255 },
        else => .{ -std.math.inf(f32), std.math.inf(f32) },
    };
    const is_whole = X.d.dtype != .i32 and X.d.dtype != .u8 or
        (value >= low and value <= high and @trunc(value) == value);
    if (!is_whole) c.reject(.bad_argument, "{d} is no {t}", .{ value, X.d.dtype });
    const args: backend.Fill = .{ .x = X.d, .value = value };
    if (X.d.count() == 0) return c.status;
    return c.run("fill", &args);
}

/// out and x: same dims, same float dtype, innermost stride 1.
fn checkPair(c: *Call, out: Operand, x: Operand) void {
    for ([_]Operand{ x, out }) |o| {
        c.float(o);
        c.rows(o);
    }
    c.sameDims(out, x);
    c.sameDtype(out, x);
}

pub fn fp_activation(out: u32, x: u32, act: u32) callconv(.c) Status {
    var c: Call = .begin("activation");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{"x"});
    checkPair(&c, O, X);
    const args: backend.Activation = .{
        .out = O.d,
        .x = X.d,
        .act = c.tag(backend.Act, "act", act),
    };
    if (X.d.count() == 0) return c.status;
    return c.run("activation", &args);
}

pub fn fp_glu(out: u32, gate: u32, up: u32) callconv(.c) Status {
    var c: Call = .begin("glu");
    defer c.end();
    const G = c.in("gate", gate);
    const U = c.in("up", up);
    const O = c.out("out", out, &.{ "gate", "up" });
    c.rank(G, 2);
    checkPair(&c, O, G);
    checkPair(&c, U, G);
    const args: backend.Glu = .{ .out = O.d, .gate = G.d, .up = U.d };
    if (G.d.count() == 0) return c.status;
    return c.run("glu", &args);
}

pub fn fp_add(out: u32, a: u32, b: u32) callconv(.c) Status {
    var c: Call = .begin("add");
    defer c.end();
    const A = c.in("a", a);
    const B = c.in("b", b);
    const O = c.out("out", out, &.{ "a", "b" });
    checkPair(&c, O, A);
    c.float(B);
    c.rows(B);
    const is_row = B.d.rank == 1 and B.d.dims[0] == A.d.dims[A.d.rank - 1];
    if (!is_row) {
        c.sameDims(B, A);
        c.sameDtype(B, A);
    }
    const args: backend.Add = .{ .out = O.d, .a = A.d, .b = B.d };
    if (A.d.count() == 0) return c.status;
    return c.run("add", &args);
}

pub fn fp_add_gated(out: u32, x: u32, y: u32, gate: u32) callconv(.c) Status {
    var c: Call = .begin("add_gated");
    defer c.end();
    const X = c.in("x", x);
    const Y = c.in("y", y);
    const G = c.in("gate", gate);
    const O = c.out("out", out, &.{"x"});
    c.rank(X, 2);
    checkPair(&c, O, X);
    checkPair(&c, Y, X);
    const args: backend.AddGated = .{
        .out = O.d,
        .x = X.d,
        .y = Y.d,
        .gate = c.vector(G, X.d.dims[1]),
    };
    if (X.d.count() == 0) return c.status;
    return c.run("add_gated", &args);
}

pub fn fp_mean_rows(out: u32, x: u32) callconv(.c) Status {
    var c: Call = .begin("mean_rows");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.rank(X, 2);
    c.float(X);
    c.rows(X);
    c.notEmpty(X);
    c.sameDtype(O, X);
    const args: backend.MeanRows = .{ .out = c.vector(O, X.d.dims[1]), .x = X.d };
    return c.run("mean_rows", &args);
}

pub fn fp_blend(out: u32, a: u32, b: u32, weights: u32, axis: u32) callconv(.c) Status {
    var c: Call = .begin("blend");
    defer c.end();
    const A = c.in("a", a);
    const B = c.in("b", b);
    const W = c.in("weights", weights);
    const O = c.out("out", out, &.{ "a", "b" });
    for ([_]Operand{ A, B, O }) |o| {
        c.float(o);
        c.sameDims(o, A);
        c.sameDtype(o, A);
    }
    c.dtype(W, .f32);
    if (axis >= A.d.rank) c.reject(.bad_argument, "axis {d} of {f}", .{ axis, call.shape(A.d) });
    if (c.status != .ok) return c.status;
    const args: backend.Blend = .{
        .out = O.d,
        .a = A.d,
        .b = B.d,
        .weights = c.vector(W, A.d.dims[axis]),
        .axis = axis,
    };
    if (A.d.count() == 0) return c.status;
    return c.run("blend", &args);
}

pub fn fp_to_u8(out: u32, x: u32) callconv(.c) Status {
    var c: Call = .begin("to_u8");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.float(X);
    c.dtype(O, .u8);
    c.sameDims(O, X);
    const args: backend.ToU8 = .{ .out = O.d, .x = X.d };
    if (X.d.count() == 0) return c.status;
    return c.run("to_u8", &args);
}

pub fn fp_from_u8(out: u32, x: u32) callconv(.c) Status {
    var c: Call = .begin("from_u8");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.dtype(X, .u8);
    c.float(O);
    c.sameDims(O, X);
    const args: backend.FromU8 = .{ .out = O.d, .x = X.d };
    if (X.d.count() == 0) return c.status;
    return c.run("from_u8", &args);
}
