//! Launchers of elementwise.cu, blend.cu and unipc.cu: everything that is a function of one element
//! of each operand.

const api = @import("../backend.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const map = @import("map.zig");
const Desc = api.Desc;
const Status = api.Status;

pub fn fill(a: *const api.Fill) Status {
    return map.run(.elementwise, "fill_kernel", a.x, &.{}, 0, &.{a.value});
}

pub fn activation(a: *const api.Activation) Status {
    return map.run(.elementwise, "activation_kernel", a.out, &.{a.x}, @intFromEnum(a.act), &.{});
}

pub fn glu(a: *const api.Glu) Status {
    return map.run(.elementwise, "glu_kernel", a.out, &.{ a.gate, a.up }, 0, &.{});
}

pub fn add(a: *const api.Add) Status {
    return map.run(.elementwise, "add_kernel", a.out, &.{ a.a, a.b }, 0, &.{});
}

pub fn add_gated(a: *const api.AddGated) Status {
    return map.run(.elementwise, "add_gated_kernel", a.out, &.{ a.x, a.gate, a.y }, 0, &.{});
}

pub fn scale_shift_act(a: *const api.ScaleShiftAct) Status {
    const scale = row(a.coeffs, 0);
    const shift = row(a.coeffs, 1);
    const act = @intFromEnum(a.act);
    const ins = [_]Desc{ a.x, scale, shift };
    return map.run(.elementwise, "scale_shift_act_kernel", a.out, &ins, act, &.{});
}

/// Row i of a matrix, as a vector.
fn row(d: Desc, i: u64) Desc {
    var r = d;
    r.ptr += i * d.strides[0] * d.dtype.size();
    r.rank = 1;
    r.dims = @splat(1);
    r.strides = @splat(0);
    r.dims[0] = d.dims[1];
    r.strides[0] = d.strides[1];
    return r;
}

pub fn to_u8(a: *const api.ToU8) Status {
    return map.run(.elementwise, "to_u8_kernel", a.out, &.{a.x}, 0, &.{});
}

pub fn from_u8(a: *const api.FromU8) Status {
    return map.run(.elementwise, "from_u8_kernel", a.out, &.{a.x}, 0, &.{});
}

pub fn blend(a: *const api.Blend) Status {
    const weights = map.along(a.weights, a.axis, a.out.rank);
    return map.run(.blend, "blend_kernel", a.out, &.{ a.a, a.b, weights }, 0, &.{});
}

pub fn lincomb(a: *const api.Lincomb) Status {
    var xs: [args.map_inputs]Desc = @splat(a.xs[0]);
    @memcpy(xs[0..a.n], a.xs[0..a.n]);
    return map.run(.unipc, "lincomb_kernel", a.out, &xs, a.n, a.cs[0..a.n]);
}

pub fn denoised(a: *const api.Denoised) Status {
    return map.run(.unipc, "denoised_kernel", a.out, &.{ a.x, a.v }, a.rounding, &.{a.sigma});
}

pub fn unipc(a: *const api.Unipc) Status {
    const count = a.x.count();
    return launch.run(.unipc, "unipc_kernel", .{
        .grid = launch.line(count, map.threads),
        .threads = map.threads,
    }, args.Unipc{
        .count = count,
        .corrected = a.corrected.ptr,
        .predicted = if (a.predicted) |p| p.ptr else 0,
        .x = a.x.ptr,
        .mt = a.mt.ptr,
        .m0 = a.m0.ptr,
        .m1 = if (a.m1) |m| m.ptr else 0,
        .m2 = if (a.m2) |m| m.ptr else 0,
        .cc = a.cc,
        .cp = a.cp,
    });
}
