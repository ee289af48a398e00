//! Exported ops: matmul, attention, and the q/k preparation between them.

const backend = @import("../backend.zig");
const state = @import("../state.zig");
const call = @import("call.zig");
const Call = call.Call;
const Operand = call.Operand;
const Status = backend.Status;

pub fn fp_matmul(
    out: u32,
    a: u32,
    w: u32,
    bias: u32,
    residual: u32,
    gate: u32,
    epilogue: u32,
) callconv(.c) Status {
    var c: Call = .begin("matmul");
    defer c.end();
    const A = c.in("a", a);
    const W = c.in("w", w);
    const B = c.maybe("bias", bias);
    const R = c.maybe("residual", residual);
    const G = c.maybe("gate", gate);
    const O = c.out("out", out, &.{"residual"});
    for ([_]Operand{ A, W, O }) |o| matrix(&c, o);
    const m = A.d.dims[0];
    const k = A.d.dims[1];
    const n = W.d.dims[0];
    if (W.d.dims[1] != k) c.reject(
        .bad_shape,
        "a is {f} but w is {f}",
        .{ call.shape(A.d), call.shape(W.d) },
    );
    if (k == 0) c.reject(.bad_shape, "a {f} has no columns", .{call.shape(A.d)});
    c.dims(O, &.{ m, n });
    if (O.d.dtype != .f32) c.sameDtype(O, A);
    if (R) |r| {
        matrix(&c, r);
        c.dims(r, &.{ m, n });
        c.sameDtype(r, O);
    } else if (G != null) c.reject(.bad_argument, "a gate without a residual", .{});
    const args: backend.Matmul = .{
        .out = O.d,
        .a = A.d,
        .w = W.d,
        .bias = c.maybeVector(B, n),
        .residual = if (R) |r| r.d else null,
        .gate = c.maybeVector(G, n),
        .act = c.tag(backend.Act, "epilogue", epilogue),
    };
    if (m == 0 or n == 0) return c.status;
    return c.run("matmul", &args);
}

fn matrix(c: *Call, o: Operand) void {
    c.rank(o, 2);
    c.float(o);
    c.rows(o);
}

pub fn fp_attention(
    out: u32,
    q: u32,
    k: u32,
    v: u32,
    cu_q: u32,
    cu_k: u32,
    mask: u32,
    frame: u32,
    scale: f32,
) callconv(.c) Status {
    var c: Call = .begin("attention");
    defer c.end();
    const Q = c.in("q", q);
    const K = c.in("k", k);
    const V = c.in("v", v);
    const CQ = c.maybe("cu_q", cu_q);
    const CK = c.maybe("cu_k", cu_k);
    const O = c.out("out", out, &.{});
    for ([_]Operand{ Q, K, V, O }) |o| {
        c.rank(o, 3);
        c.float(o);
        c.rows(o);
        c.sameDtype(o, Q);
    }
    const args: backend.Attention = .{
        .out = O.d,
        .q = Q.d,
        .k = K.d,
        .v = V.d,
        .cu_q = if (CQ) |o| o.d else null,
        .cu_k = if (CK) |o| o.d else null,
        .mask = c.tag(backend.Mask, "mask", mask),
        .frame = frame,
        .scale = scale,
    };
    checkHeads(&c, O, Q, K, V);
    checkSequences(&c, CQ, CK, Q.d.dims[0], K.d.dims[0]);
    c.finite("scale", scale);
    if (args.mask == .frame_causal and frame == 0) c.reject(.bad_argument, "frame is 0", .{});
    if (Q.d.count() == 0) return c.status;
    return c.run("attention", &args);
}

fn checkHeads(c: *Call, out: Operand, q: Operand, k: Operand, v: Operand) void {
    c.sameDims(out, q);
    c.sameDims(k, v);
    const heads = q.d.dims[1];
    const groups = k.d.dims[1];
    const size = q.d.dims[2];
    if (k.d.dims[2] != size) c.reject(
        .bad_shape,
        "q is {f} but k is {f}",
        .{ call.shape(q.d), call.shape(k.d) },
    );
    if (groups == 0 or heads % groups != 0) {
        c.reject(.bad_shape, "{d} query heads do not divide over {d} kv heads", .{ heads, groups });
    }
    if (size > 512 or (size > 128 and size % 16 != 0)) {
        c.reject(
            .unsupported,
            "head size {d} is beyond 128 and no multiple of 16 up to 512",
            .{size},
        );
    }
}

fn checkSequences(c: *Call, cu_q: ?Operand, cu_k: ?Operand, tokens_q: u32, tokens_k: u32) void {
    if ((cu_q == null) != (cu_k == null)) c.reject(
        .bad_argument,
        "give cu_q and cu_k both or neither",
        .{},
    );
    if (c.status != .ok or cu_q == null) return;
    c.sameDims(cu_q.?, cu_k.?);
    checkBounds(c, cu_q.?, tokens_q);
    checkBounds(c, cu_k.?, tokens_k);
}

/// Sequence bounds must rise inside the tokens. In device memory only the backend can look: its
/// kernels clamp.
fn checkBounds(c: *Call, cu: Operand, tokens: u32) void {
    c.rank(cu, 1);
    c.dtype(cu, .i32);
    c.contiguous(cu);
    if (cu.d.dims[0] < 2) c.reject(.bad_shape, "{s} has fewer than two bounds", .{cu.name});
    if (c.status != .ok or !state.current().?.memory.is_host) return;
    var last: i32 = 0;
    for (cu.d.host(i32)[0..cu.d.dims[0]]) |bound| {
        if (bound < last or bound > tokens) {
            c.reject(
                .bad_argument,
                "{s} holds {d} after {d}, with {d} tokens",
                .{ cu.name, bound, last, tokens },
            );
            return;
        }
        last = bound;
    }
}

pub fn fp_qk_norm_rope(x: u32, weight: u32, table: u32, eps: f32, style: u32) callconv(.c) Status {
    var c: Call = .begin("qk_norm_rope");
    defer c.end();
    const W = c.maybe("weight", weight);
    const R = c.maybe("table", table);
    const X = c.out("x", x, &.{});
    c.rank(X, 3);
    c.float(X);
    c.rows(X);
    c.eps(eps);
    const size = X.d.dims[2];
    if (R) |r| {
        c.rank(r, 2);
        c.dtype(r, .f32);
        c.contiguous(r);
        if (r.d.dims[1] != @as(u64, 2) * size) {
            c.reject(
                .bad_shape,
                "table is {f}, want [rows, {d}]",
                .{ call.shape(r.d), @as(u64, 2) * size },
            );
        }
        if (size % 2 != 0) c.reject(.bad_shape, "head size {d} is odd", .{size});
    }
    const args: backend.QkNormRope = .{
        .x = X.d,
        .weight = c.maybeVector(W, size),
        .table = if (R) |r| r.d else null,
        .eps = eps,
        .style = c.tag(backend.RopeStyle, "style", style),
    };
    if (X.d.count() == 0) return c.status;
    return c.run("qk_norm_rope", &args);
}
