//! Exported ops of the sampler and of what watches it: sums of latents, the step, distances,
//! statistics, the preview.

const backend = @import("../backend.zig");
const call = @import("call.zig");
const Call = call.Call;
const Operand = call.Operand;
const Status = backend.Status;

/// A latent-like operand: f32, contiguous, dims as `like`.
fn checkLatent(c: *Call, o: Operand, like: Operand) void {
    c.dtype(o, .f32);
    c.contiguous(o);
    c.sameDims(o, like);
}

pub fn fp_lincomb(
    out: u32,
    n: u32,
    tensors: ?[*]const u32,
    coeffs: ?[*]const f64,
) callconv(.c) Status {
    var c: Call = .begin("lincomb");
    defer c.end();
    if (n == 0 or n > backend.lincomb_max) {
        c.reject(.bad_argument, "{d} terms, want 1 to {d}", .{ n, backend.lincomb_max });
    }
    if (tensors == null or coeffs == null) c.reject(.bad_argument, "a list is missing", .{});
    if (c.status != .ok) return c.status;
    var args: backend.Lincomb = .{ .out = undefined, .n = n, .xs = undefined, .cs = undefined };
    const O = c.out("out", out, &.{"a term"});
    for (tensors.?[0..n], coeffs.?[0..n], 0..) |handle, coefficient, i| {
        const X = c.in("a term", handle);
        checkLatent(&c, X, O);
        c.finite("a coefficient", coefficient);
        args.xs[i] = X.d;
        args.cs[i] = coefficient;
    }
    checkLatent(&c, O, O);
    args.out = O.d;
    if (O.d.count() == 0) return c.status;
    return c.run("lincomb", &args);
}

pub fn fp_unipc(
    corrected: u32,
    predicted: u32,
    x: u32,
    mt: u32,
    m0: u32,
    m1: u32,
    m2: u32,
    cc: ?*const [5]f64,
    cp: ?*const [4]f64,
) callconv(.c) Status {
    var c: Call = .begin("unipc");
    defer c.end();
    if (cc == null or cp == null) c.reject(.bad_argument, "coefficients are missing", .{});
    if (c.status != .ok) return c.status;
    for (cc.?) |v| c.finite("cc", v);
    for (cp.?) |v| c.finite("cp", v);
    const X = c.in("x", x);
    const T = c.in("mt", mt);
    const M0 = c.in("m0", m0);
    const M1 = c.maybe("m1", m1);
    const M2 = c.maybe("m2", m2);
    const O = c.out("corrected", corrected, &.{"x"});
    for ([_]Operand{ X, T, M0, O }) |o| checkLatent(&c, o, X);
    if (M1) |o| checkLatent(&c, o, X);
    if (M2) |o| checkLatent(&c, o, X);
    if (M1 == null and (cc.?[3] != 0 or (cp.?[3] != 0 and predicted != 0))) {
        c.reject(.bad_argument, "a coefficient for m1, which is missing", .{});
    }
    if (M2 == null and cc.?[4] != 0) c.reject(
        .bad_argument,
        "a coefficient for m2, which is missing",
        .{},
    );
    const P = if (predicted != 0) c.out("predicted", predicted, &.{}) else null;
    if (P) |o| checkLatent(&c, o, X);
    const args: backend.Unipc = .{
        .corrected = O.d,
        .predicted = if (P) |o| o.d else null,
        .x = X.d,
        .mt = T.d,
        .m0 = M0.d,
        .m1 = if (M1) |o| o.d else null,
        .m2 = if (M2) |o| o.d else null,
        .cc = cc.?.*,
        .cp = cp.?.*,
    };
    if (X.d.count() == 0) return c.status;
    return c.run("unipc", &args);
}

pub fn fp_denoised(out: u32, x: u32, v: u32, sigma: f64, rounding: u32) callconv(.c) Status {
    var c: Call = .begin("denoised");
    defer c.end();
    const X = c.in("x", x);
    const V = c.in("v", v);
    const O = c.out("out", out, &.{});
    for ([_]Operand{ X, V, O }) |o| checkLatent(&c, o, X);
    c.finite("sigma", sigma);
    if (rounding > 2) c.reject(.bad_argument, "rounding {d} is unknown", .{rounding});
    const args: backend.Denoised = .{
        .out = O.d,
        .x = X.d,
        .v = V.d,
        .sigma = sigma,
        .rounding = rounding,
    };
    if (X.d.count() == 0) return c.status;
    return c.run("denoised", &args);
}

pub fn fp_teacache(out: u32, a: u32, prev: u32) callconv(.c) Status {
    var c: Call = .begin("teacache");
    defer c.end();
    const A = c.in("a", a);
    const P = c.out("prev", prev, &.{});
    const O = c.out("out", out, &.{});
    for ([_]Operand{ A, P }) |o| {
        c.rank(o, 2);
        c.float(o);
        c.rows(o);
    }
    c.sameDims(P, A);
    c.sameDtype(P, A);
    c.notEmpty(A);
    c.dtype(O, .f32);
    const args: backend.Teacache = .{ .out = c.vector(O, 2), .a = A.d, .prev = P.d };
    return c.run("teacache", &args);
}

pub fn fp_stats(out: u32, x: u32) callconv(.c) Status {
    var c: Call = .begin("stats");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.float(X);
    c.rows(X);
    c.notEmpty(X);
    c.dtype(O, .f32);
    const args: backend.Stats = .{ .out = c.vector(O, 6), .x = X.d };
    return c.run("stats", &args);
}

pub fn fp_latent_rgb(out: u32, z: u32, factors: u32, bias: u32) callconv(.c) Status {
    var c: Call = .begin("latent_rgb");
    defer c.end();
    const Z = c.in("z", z);
    const F = c.in("factors", factors);
    const B = c.in("bias", bias);
    const O = c.out("out", out, &.{});
    c.rank(Z, 4);
    c.dtype(Z, .f32);
    c.rows(Z);
    c.dtype(F, .f32);
    c.dims(F, &.{ Z.d.dims[0], 3 });
    c.contiguous(F);
    c.dtype(B, .f32);
    c.dtype(O, .u8);
    c.dims(O, &.{ Z.d.dims[1], Z.d.dims[2], Z.d.dims[3], 3 });
    c.contiguous(O);
    const args: backend.LatentRgb = .{
        .out = O.d,
        .z = Z.d,
        .factors = F.d,
        .bias = c.vector(B, 3),
    };
    if (O.d.count() == 0) return c.status;
    return c.run("latent_rgb", &args);
}
