//! Exported ops: convolution and the re-layouts around patches and embeddings.

const backend = @import("../backend.zig");
const call = @import("call.zig");
const norms = @import("norms.zig");
const Call = call.Call;
const Operand = call.Operand;
const Status = backend.Status;

pub fn fp_conv3d(
    out: u32,
    x: u32,
    w: u32,
    bias: u32,
    coeffs: u32,
    act: u32,
    residual: u32,
    st: u32,
    sh: u32,
    sw: u32,
    ut: u32,
    us: u32,
) callconv(.c) Status {
    var c: Call = .begin("conv3d");
    defer c.end();
    const X = c.in("x", x);
    const W = c.in("w", w);
    const B = c.in("bias", bias);
    const K = c.maybe("coeffs", coeffs);
    const R = c.maybe("residual", residual);
    const O = c.out("out", out, &.{"residual"});
    for ([_]Operand{ X, O }) |o| {
        c.rank(o, 4);
        c.float(o);
        c.rows(o);
        c.sameDtype(o, X);
    }
    c.notEmpty(X);
    c.rank(W, 5);
    c.float(W);
    c.contiguous(W);
    c.notEmpty(W);
    if (W.d.dims[4] != X.d.dims[3]) {
        c.reject(.bad_shape, "x is {f} but w is {f}", .{ call.shape(X.d), call.shape(W.d) });
    }
    if (K) |k| norms.checkCoeffs(&c, k, X.d.dims[3]);
    if (ut > 1 or us > 1) c.reject(.bad_argument, "ut {d} and us {d} are 0 or 1", .{ ut, us });
    checkOutput(&c, O, X, W, .{ st, sh, sw }, ut == 1, us == 1);
    if (R) |r| {
        c.sameDims(r, O);
        c.sameDtype(r, X);
        c.rows(r);
    }
    const args: backend.Conv3d = .{
        .out = O.d,
        .x = X.d,
        .w = W.d,
        .bias = c.vector(B, W.d.dims[0]),
        .coeffs = if (K) |k| k.d else null,
        .act = c.tag(backend.Act, "act", act),
        .residual = if (R) |r| r.d else null,
        .stride_t = st,
        .stride_h = sh,
        .stride_w = sw,
        .up_t = ut == 1,
        .up_s = us == 1,
    };
    return c.run("conv3d", &args);
}

fn checkOutput(
    c: *Call,
    out: Operand,
    x: Operand,
    w: Operand,
    strides: [3]u32,
    up_t: bool,
    up_s: bool,
) void {
    for (strides) |s| if (s == 0) c.reject(.bad_argument, "a stride is 0", .{});
    if (c.status != .ok) return;
    var want: [4]u32 = undefined;
    for (0..3) |axis| {
        const n: u64 = x.d.dims[axis];
        const kernel: u64 = w.d.dims[1 + axis];
        const up = if (axis == 0) up_t else up_s;
        const size = if (!up) n else if (axis == 0) 2 * n - 1 else 2 * n;
        const padded = size + if (axis == 0) kernel - 1 else kernel / 2 * 2;
        if (padded < kernel) c.reject(
            .bad_shape,
            "x {f} is smaller than the kernel",
            .{call.shape(x.d)},
        );
        if (c.status != .ok) return;
        const steps = (padded - kernel) / strides[axis] + 1;
        want[axis] = @intCast(@min(steps, ~@as(u32, 0)));
    }
    want[3] = w.d.dims[0];
    c.dims(out, &want);
}

pub fn fp_conv3d_pack(out: u32, w: u32) callconv(.c) Status {
    var c: Call = .begin("conv3d_pack");
    defer c.end();
    const W = c.in("w", w);
    const O = c.out("out", out, &.{});
    for ([_]Operand{ W, O }) |o| {
        c.rank(o, 5);
        c.float(o);
        c.contiguous(o);
    }
    const d = W.d.dims;
    c.dims(O, &.{ d[0], d[2], d[3], d[4], d[1] });
    const args: backend.Conv3dPack = .{ .out = O.d, .w = W.d };
    if (W.d.count() == 0) return c.status;
    return c.run("conv3d_pack", &args);
}

pub fn fp_patch_gather(out: u32, x: u32, kt: u32, kh: u32, kw: u32) callconv(.c) Status {
    var c: Call = .begin("patch_gather");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.rank(X, 4);
    c.rank(O, 2);
    for ([_]Operand{ X, O }) |o| {
        c.float(o);
        c.rows(o);
    }
    c.notEmpty(X);
    if (kt == 0 or kh == 0 or kw == 0) c.reject(.bad_argument, "a patch side is 0", .{});
    if (c.status != .ok) return c.status;
    const d = X.d.dims;
    const n = ceil(d[1], kt) * ceil(d[2], kh) * ceil(d[3], kw);
    const length = @as(u128, d[0]) * kt * kh * kw;
    checkMatrix(&c, O, n, length);
    const args: backend.PatchGather = .{ .out = O.d, .x = X.d, .kt = kt, .kh = kh, .kw = kw };
    return c.run("patch_gather", &args);
}

fn ceil(n: u32, by: u32) u128 {
    return (@as(u128, n) + by - 1) / by;
}

fn checkMatrix(c: *Call, o: Operand, rows: u128, columns: u128) void {
    if (o.d.dims[0] == rows and o.d.dims[1] == columns) return;
    c.reject(
        .bad_shape,
        "{s} is {f}, want [{d}, {d}]",
        .{ o.name, call.shape(o.d), rows, columns },
    );
}

pub fn fp_unpatchify(out: u32, x: u32, kh: u32, kw: u32) callconv(.c) Status {
    var c: Call = .begin("unpatchify");
    defer c.end();
    const X = c.in("x", x);
    const O = c.out("out", out, &.{});
    c.rank(X, 2);
    c.float(X);
    c.rows(X);
    c.rank(O, 4);
    c.dtype(O, .f32);
    c.contiguous(O);
    c.notEmpty(O);
    const d = O.d.dims;
    if (kh == 0 or kw == 0 or d[2] % @max(kh, 1) != 0 or d[3] % @max(kw, 1) != 0) {
        c.reject(
            .bad_argument,
            "out {f} does not divide into {d} x {d}",
            .{ call.shape(O.d), kh, kw },
        );
    }
    if (c.status != .ok) return c.status;
    checkMatrix(&c, X, @as(u128, d[1]) * (d[2] / kh) * (d[3] / kw), @as(u128, d[0]) * kh * kw);
    const args: backend.Unpatchify = .{ .out = O.d, .x = X.d, .kh = kh, .kw = kw };
    return c.run("unpatchify", &args);
}

pub fn fp_embed(out: u32, table: u32, ids: u32) callconv(.c) Status {
    var c: Call = .begin("embed");
    defer c.end();
    const W = c.in("table", table);
    const I = c.in("ids", ids);
    const O = c.out("out", out, &.{});
    for ([_]Operand{ W, O }) |o| {
        c.rank(o, 2);
        c.float(o);
        c.rows(o);
    }
    c.rank(I, 1);
    c.dtype(I, .i32);
    c.contiguous(I);
    c.dims(O, &.{ I.d.dims[0], W.d.dims[1] });
    const args: backend.Embed = .{ .out = O.d, .table = W.d, .ids = I.d };
    if (O.d.count() == 0) return c.status;
    return c.run("embed", &args);
}
