//! Launcher of matmul.cu: which kernel a product goes to.

const api = @import("../backend.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const matmul_sm90 = @import("matmul_sm90.zig");
const Status = api.Status;

const tile = 128;
/// Three stages of A [128, 32] and W [128, 32] in 16 bits; see tile.cuh.
pub const tile_shared = 3 * 2 * tile * 32 * 2;
const plain_tile = 64;
pub const plain_shared = 2 * 16 * (plain_tile + 4) * @sizeOf(f32);
/// Up to this many rows a product reads its weights once and is bound by that.
const rows_max = 8;

pub fn matmul(a: *const api.Matmul) Status {
    const m: args.Matmul = .{
        .out = .of(a.out),
        .a = .of(a.a),
        .w = .of(a.w),
        .residual = .of(a.residual),
        .bias = .of(a.bias),
        .gate = .of(a.gate),
        .m = a.a.dims[0],
        .n = a.w.dims[0],
        .k = a.a.dims[1],
        .act = @intFromEnum(a.act),
        .tiles_m = @intCast(launch.ceilDiv(a.a.dims[0], tile)),
        .tiles_n = @intCast(launch.ceilDiv(a.w.dims[0], tile)),
    };
    if (m.m <= rows_max) return launch.run(.matmul, "matmul_rows_kernel", .{
        .grid = .{ @intCast(launch.ceilDiv(m.n, 4)), @intCast(launch.ceilDiv(m.m, 4)), 1 },
        .threads = 128,
    }, m);
    if (!fitsTile(a)) return plain(m);
    if (launch.device.multiply) |multiply| {
        const status = multiply(a);
        if (status != .unsupported) return status;
    }
    if (matmul_sm90.fits(a)) return matmul_sm90.run(a, m);
    const shape: launch.Shape = .{
        .grid = launch.line(@as(u64, m.tiles_m) * m.tiles_n, 1),
        .threads = 256,
        .shared = tile_shared,
    };
    return if (a.a.dtype == .bf16)
        launch.run(.matmul, "matmul_tile_bf16_kernel", shape, m)
    else
        launch.run(.matmul, "matmul_tile_f16_kernel", shape, m);
}

fn fitsTile(a: *const api.Matmul) bool {
    return a.a.dtype != .f32 and a.w.dtype == a.a.dtype and
        (a.residual == null or a.residual.?.dtype == a.out.dtype);
}

fn plain(m: args.Matmul) Status {
    return launch.run(.matmul, "matmul_plain_kernel", .{
        .grid = .{
            @intCast(launch.ceilDiv(m.n, plain_tile)),
            @intCast(launch.ceilDiv(m.m, plain_tile)),
            1,
        },
        .threads = 256,
        .shared = plain_shared,
    }, m);
}
