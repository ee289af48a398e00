//! Launcher of conv3d.cu: tensor cores where a chunk of eight channels lies in one tap, the plain
//! kernel elsewhere.

const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const matmul = @import("matmul.zig");
const Desc = api.Desc;
const Status = api.Status;

pub fn conv3d(a: *const api.Conv3d) Status {
    const to = a.out.dims;
    const kernel = a.w.dims[1..4].*;
    const k = @as(u64, kernel[0]) * kernel[1] * kernel[2] * a.w.dims[4];
    if (k > 1 << 31) return abi.fail(.unsupported, "conv3d: a window of {d} elements", .{k});
    const is_aligned = args.isAligned(a.out) and
        (a.residual == null or args.isAligned(a.residual.?));
    const c: args.Conv = .{
        .out = a.out.ptr,
        .x = a.x.ptr,
        .w = a.w.ptr,
        .residual = if (a.residual) |r| r.ptr else 0,
        .bias = .of(a.bias),
        .coeffs = if (a.coeffs) |x| x.ptr else 0,
        .dtype = @intFromEnum(a.x.dtype),
        .w_dtype = @intFromEnum(a.w.dtype),
        .in = a.x.dims[0..4].*,
        .to = to[0..4].*,
        .kernel = kernel,
        .stride = .{ a.stride_t, a.stride_h, a.stride_w },
        .up = .{ @intFromBool(a.up_t), @intFromBool(a.up_s), @intFromBool(a.up_s) },
        .act = @intFromEnum(a.act),
        .in_strides = outer(a.x),
        .out_strides = outer(a.out),
        .residual_strides = if (a.residual) |r| outer(r) else @splat(0),
        .positions = @as(u64, to[0]) * to[1] * to[2],
        .k = @intCast(k),
        .aligned = @intFromBool(is_aligned),
    };
    if (!fitsTile(a)) return launch.run(.conv3d, "conv3d_plain_kernel", .{
        .grid = .{ launch.line(c.positions, 64)[0], @intCast(launch.ceilDiv(to[3], 64)), 1 },
        .threads = 256,
        .shared = matmul.plain_shared,
    }, c);
    const shape: launch.Shape = .{
        .grid = .{ launch.line(c.positions, 128)[0], @intCast(launch.ceilDiv(to[3], 128)), 1 },
        .threads = 256,
        .shared = matmul.tile_shared,
    };
    return switch (a.x.dtype) {
        .bf16 => if (c.coeffs == 0)
            launch.run(.conv3d, "conv3d_tile_bf16_kernel", shape, c)
        else
            launch.run(.conv3d, "conv3d_tile_act_bf16_kernel", shape, c),
        else => if (c.coeffs == 0)
            launch.run(.conv3d, "conv3d_tile_f16_kernel", shape, c)
        else
            launch.run(.conv3d, "conv3d_tile_act_f16_kernel", shape, c),
    };
}

fn outer(d: Desc) [3]u64 {
    return .{ d.strides[0], d.strides[1], d.strides[2] };
}

fn fitsTile(a: *const api.Conv3d) bool {
    return a.x.dtype != .f32 and a.w.dtype == a.x.dtype and a.x.dims[3] % 8 == 0 and
        args.isAligned(a.x) and a.w.ptr % 16 == 0 and
        (a.coeffs == null or a.coeffs.?.ptr % 16 == 0);
}
