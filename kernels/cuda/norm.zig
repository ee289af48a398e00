//! Launchers of norm.cu, adaln.cu and rope.cu.

const std = @import("std");
const api = @import("../backend.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const Desc = api.Desc;
const Status = api.Status;

const threads = 128;
/// What a row of the vector path may hold: 128 threads with eight chunks of eight.
const vector_cols = threads * 8 * 8;
const shared = threads / 32 * @sizeOf(f32);

fn normArgs(out: Desc, x: Desc, scale: ?Desc, shift: ?Desc, eps: f32) args.Norm {
    const cols = x.dims[1];
    const vector = cols % 8 == 0 and cols <= vector_cols and
        args.isAligned(out) and args.isAligned(x) and
        (scale == null or args.isAligned(scale.?)) and (shift == null or args.isAligned(shift.?));
    return .{
        .out = .of(out),
        .x = .of(x),
        .scale = .of(scale),
        .shift = .of(shift),
        .eps = eps,
        .cols = cols,
        .vector = @intFromBool(vector),
    };
}

fn perRow(x: Desc) launch.Shape {
    return .{ .grid = .{ x.dims[0], 1, 1 }, .threads = threads, .shared = shared };
}

pub fn adaln(a: *const api.Adaln) Status {
    const n = normArgs(a.out, a.x, a.scale, a.shift, a.eps);
    return launch.runTyped(.adaln, "adaln", a.x.dtype, perRow(a.x), n);
}

pub fn layer_norm(a: *const api.LayerNorm) Status {
    const n = normArgs(a.out, a.x, a.weight, a.bias, a.eps);
    return launch.runTyped(.norm, "layer_norm", a.x.dtype, perRow(a.x), n);
}

pub fn rms_norm(a: *const api.RmsNorm) Status {
    const n = normArgs(a.out, a.x, a.weight, null, a.eps);
    return launch.runTyped(.norm, "rms_norm", a.x.dtype, perRow(a.x), n);
}

// ------------------------------------------------------------------------------------------------

const group_threads = 256;

pub fn group_norm_coeffs(a: *const api.GroupNormCoeffs) Status {
    const channels = a.weight.dims[0];
    const positions = a.x.count() / channels;
    const is_wide = channels % 8 == 0 and a.x.ptr % 16 == 0;
    const width: u32 = if (is_wide) 8 else 1;
    const chunks = channels / width;
    const columns = @min(chunks, group_threads);
    const slabs_max = @max(1, @min(1024, launch.scratch_bytes / (@as(u64, channels) * 16)));
    const slab = @max(launch.ceilDiv(positions, slabs_max), 64);
    const slabs: u32 = @intCast(launch.ceilDiv(positions, slab));
    const g: args.GroupNorm = .{
        .out = a.out.ptr,
        .x = a.x.ptr,
        .partials = launch.device.scratch,
        .positions = positions,
        .weight = .of(a.weight),
        .bias = .of(a.bias),
        .dtype = @intFromEnum(a.x.dtype),
        .channels = channels,
        .groups = a.groups,
        .slab = @intCast(slab),
        .slabs = slabs,
        .eps = a.eps,
    };
    const shape: launch.Shape = .{
        .grid = .{ slabs, @intCast(launch.ceilDiv(chunks, columns)), 1 },
        .threads = group_threads,
        .shared = group_threads / columns * columns * width * 16,
    };
    const status = if (is_wide)
        launch.run(.norm, "group_norm_partial8_kernel", shape, g)
    else
        launch.run(.norm, "group_norm_partial_kernel", shape, g);
    if (status != .ok) return status;
    return launch.run(.norm, "group_norm_coeffs_kernel", .{
        .grid = .{ a.groups, 1, 1 },
        .threads = group_threads,
        .shared = group_threads / 32 * @sizeOf(f64),
    }, g);
}

// ------------------------------------------------------------------------------------------------

const rope_threads = 128;

pub fn qk_norm_rope(a: *const api.QkNormRope) Status {
    const heads: args.Heads = .of(a.x);
    const r: args.Rope = .{
        .x = heads.ptr,
        .stride_t = heads.stride_t,
        .stride_h = heads.stride_h,
        .weight = .of(a.weight),
        .table = if (a.table) |t| t.ptr else 0,
        .rows = if (a.table) |t| t.dims[0] else 0,
        .tokens = a.x.dims[0],
        .heads = a.x.dims[1],
        .size = a.x.dims[2],
        .style = @intFromEnum(a.style),
        .eps = a.eps,
    };
    const shape: launch.Shape = .{
        .grid = launch.line(@as(u64, r.tokens) * r.heads, rope_threads / 32),
        .threads = rope_threads,
    };
    const is_main = a.x.dtype == .bf16 and r.size == 128 and a.style == .neighbours and
        r.x % 8 == 0 and r.stride_t % 4 == 0 and r.stride_h % 4 == 0 and r.table % 16 == 0;
    if (is_main) return launch.run(.rope, "qk_norm_rope_128_kernel", shape, r);
    return launch.runTyped(.rope, "qk_norm_rope", a.x.dtype, shape, r);
}
