//! Launcher of matmul_sm90.cu: both inputs of one 16-bit type, on a Hopper GPU whose machine has no cuBLASLt.

const std = @import("std");
const api = @import("../backend.zig");
const args = @import("args.zig");
const hopper = @import("hopper.zig");
const launch = @import("launch.zig");
const Status = api.Status;

const rows = 128;
const columns = 256;
const stages = 4;
/// Stages of 64 columns of K, two barriers each; see matmul_sm90.cu.
const shared = stages * ((rows + columns) * 64 * 2 + 16);

comptime {
    std.debug.assert(shared <= 227 << 10); // what a block of sm_90 may have
}

/// Asked only for products that matmul_tile takes.
pub fn fits(a: *const api.Matmul) bool {
    if (launch.device.hopper == null or !hopper.fits(a.a) or !hopper.fits(a.w)) return false;
    if (a.w.dims[0] % 8 != 0) return false;
    for ([_]?api.Desc{ a.out, a.residual, a.bias, a.gate }) |d| {
        if (d) |x| if (!args.isAligned(x)) return false;
    }
    const tiles = launch.ceilDiv(a.a.dims[0], rows) * launch.ceilDiv(a.w.dims[0], columns);
    return tiles <= std.math.maxInt(u32);
}

pub fn run(a: *const api.Matmul, plain: args.Matmul) Status {
    const device = launch.device.hopper orelse unreachable;
    var t: args.MatmulSm90 = .{ .m = plain };
    t.m.tiles_m = @intCast(launch.ceilDiv(plain.m, rows));
    t.m.tiles_n = @intCast(launch.ceilDiv(plain.n, columns));
    const encoded = [_]Status{
        device.encode(&t.a, .matrix(a.a, rows)),
        device.encode(&t.w, .matrix(a.w, columns)),
    };
    for (encoded) |status| if (status != .ok) return status;
    const shape: launch.Shape = .{
        .grid = .{ @min(t.m.tiles_m * t.m.tiles_n, device.multiprocessors), 1, 1 },
        .threads = 384,
        .shared = shared,
    };
    return if (a.a.dtype == .bf16)
        launch.run(.matmul_sm90, "matmul_sm90_bf16_kernel", shape, t)
    else
        launch.run(.matmul_sm90, "matmul_sm90_f16_kernel", shape, t);
}
