//! Exported ops: the norms, and what applies their coefficients.

const backend = @import("../backend.zig");
const call = @import("call.zig");
const Call = call.Call;
const Operand = call.Operand;
const Status = backend.Status;

pub fn fp_adaln(out: u32, x: u32, shift: u32, scale: u32, eps: f32) callconv(.c) Status {
    var c: Call = .begin("adaln");
    defer c.end();
    const X = c.in("x", x);
    const S = c.in("shift", shift);
    const G = c.in("scale", scale);
    const O = c.out("out", out, &.{});
    checkRows(&c, O, X);
    c.eps(eps);
    const args: backend.Adaln = .{
        .out = O.d,
        .x = X.d,
        .shift = c.vector(S, X.d.dims[1]),
        .scale = c.vector(G, X.d.dims[1]),
        .eps = eps,
    };
    if (X.d.count() == 0) return c.status;
    return c.run("adaln", &args);
}

fn checkRows(c: *Call, out: Operand, x: Operand) void {
    for ([_]Operand{ x, out }) |o| {
        c.rank(o, 2);
        c.float(o);
        c.rows(o);
    }
    c.sameDims(out, x);
    c.sameDtype(out, x);
}

pub fn fp_layer_norm(out: u32, x: u32, weight: u32, bias: u32, eps: f32) callconv(.c) Status {
    var c: Call = .begin("layer_norm");
    defer c.end();
    const X = c.in("x", x);
    const W = c.maybe("weight", weight);
    const B = c.maybe("bias", bias);
    const O = c.out("out", out, &.{});
    checkRows(&c, O, X);
    c.eps(eps);
    const args: backend.LayerNorm = .{
        .out = O.d,
        .x = X.d,
        .weight = c.maybeVector(W, X.d.dims[1]),
        .bias = c.maybeVector(B, X.d.dims[1]),
        .eps = eps,
    };
    if (X.d.count() == 0) return c.status;
    return c.run("layer_norm", &args);
}

pub fn fp_rms_norm(out: u32, x: u32, weight: u32, eps: f32) callconv(.c) Status {
    var c: Call = .begin("rms_norm");
    defer c.end();
    const X = c.in("x", x);
    const W = c.in("weight", weight);
    const O = c.out("out", out, &.{});
    checkRows(&c, O, X);
    c.eps(eps);
    const args: backend.RmsNorm = .{
        .out = O.d,
        .x = X.d,
        .weight = c.vector(W, X.d.dims[1]),
        .eps = eps,
    };
    if (X.d.count() == 0) return c.status;
    return c.run("rms_norm", &args);
}

pub fn fp_group_norm_coeffs(
    out: u32,
    x: u32,
    weight: u32,
    bias: u32,
    groups: u32,
    eps: f32,
) callconv(.c) Status {
    var c: Call = .begin("group_norm_coeffs");
    defer c.end();
    const X = c.in("x", x);
    const W = c.in("weight", weight);
    const B = c.in("bias", bias);
    const O = c.out("out", out, &.{});
    c.float(X);
    c.contiguous(X);
    c.notEmpty(X);
    const channels = X.d.dims[X.d.rank - 1];
    c.dtype(O, .f32);
    c.dims(O, &.{ 2, channels });
    c.contiguous(O);
    c.eps(eps);
    if (groups == 0 or channels % groups != 0) {
        c.reject(
            .bad_argument,
            "{d} channels do not divide into {d} groups",
            .{ channels, groups },
        );
    }
    const args: backend.GroupNormCoeffs = .{
        .out = O.d,
        .x = X.d,
        .weight = c.vector(W, channels),
        .bias = c.vector(B, channels),
        .groups = groups,
        .eps = eps,
    };
    return c.run("group_norm_coeffs", &args);
}

pub fn fp_scale_shift_act(out: u32, x: u32, coeffs: u32, act: u32) callconv(.c) Status {
    var c: Call = .begin("scale_shift_act");
    defer c.end();
    const X = c.in("x", x);
    const K = c.in("coeffs", coeffs);
    const O = c.out("out", out, &.{"x"});
    for ([_]Operand{ X, O }) |o| {
        c.float(o);
        c.rows(o);
    }
    c.sameDims(O, X);
    c.sameDtype(O, X);
    checkCoeffs(&c, K, X.d.dims[X.d.rank - 1]);
    const args: backend.ScaleShiftAct = .{
        .out = O.d,
        .x = X.d,
        .coeffs = K.d,
        .act = c.tag(backend.Act, "act", act),
    };
    if (X.d.count() == 0) return c.status;
    return c.run("scale_shift_act", &args);
}

pub fn checkCoeffs(c: *Call, coeffs: Operand, channels: u32) void {
    c.dtype(coeffs, .f32);
    c.dims(coeffs, &.{ 2, channels });
    c.contiguous(coeffs);
}
