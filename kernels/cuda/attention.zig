//! Launcher of attention.cu: the kernel whose tile fits the head, or the plain one.

const api = @import("../backend.zig");
const args = @import("args.zig");
const attention_sm90 = @import("attention_sm90.zig");
const launch = @import("launch.zig");
const Status = api.Status;

/// One row a kernel: the template arguments of attention.cu, where the reasons are.
const Tile = struct { size: u32, bm: u32, bn: u32, row_warps: u32, splits: u32 };
const tiles = [_]Tile{
    .{ .size = 64, .bm = 128, .bn = 64, .row_warps = 4, .splits = 1 },
    .{ .size = 80, .bm = 128, .bn = 64, .row_warps = 4, .splits = 1 },
    .{ .size = 128, .bm = 128, .bn = 64, .row_warps = 8, .splits = 1 },
    .{ .size = 512, .bm = 32, .bn = 16, .row_warps = 2, .splits = 4 },
};

pub fn attention(a: *const api.Attention) Status {
    const t: args.Attention = .{
        .out = .of(a.out),
        .q = .of(a.q),
        .k = .of(a.k),
        .v = .of(a.v),
        .cu_q = if (a.cu_q) |c| c.ptr else 0,
        .cu_k = if (a.cu_k) |c| c.ptr else 0,
        .tokens_q = a.q.dims[0],
        .tokens_k = a.k.dims[0],
        .heads = a.q.dims[1],
        .kv_heads = a.k.dims[1],
        .size = a.q.dims[2],
        .mask = @intFromEnum(a.mask),
        .frame = a.frame,
        .scale = a.scale,
        .dtype = @intFromEnum(a.q.dtype),
    };
    const sequences = if (a.cu_q) |c| c.dims[0] - 1 else 1;
    if (fitsTensorCores(a)) {
        if (attention_sm90.fits(a)) return attention_sm90.run(a, t);
        inline for (tiles) |tile| {
            if (t.size <= tile.size) return run(tile, a.q.dtype, t, sequences);
        }
    }
    return launch.run(.attention, "attention_plain_kernel", .{
        .grid = .{ @intCast(launch.ceilDiv(t.tokens_q, 4)), t.heads, sequences },
        .threads = 128,
        .shared = 4 * (512 + 32) * @sizeOf(f32),
    }, t);
}

fn fitsTensorCores(a: *const api.Attention) bool {
    if (a.q.dtype == .f32 or a.q.dims[2] % 8 != 0 or !(a.scale > 0)) return false;
    for ([_]api.Desc{ a.q, a.k, a.v, a.out }) |d| if (!args.isAligned(d)) return false;
    return true;
}

fn run(comptime tile: Tile, dtype: api.Dtype, t: args.Attention, sequences: u32) Status {
    const pitch = tile.size * 2 + 16;
    const scores = if (tile.splits > 1) tile.splits * tile.bm * tile.bn * @sizeOf(f32) else 0;
    const shape: launch.Shape = .{
        .grid = .{ @intCast(launch.ceilDiv(t.tokens_q, tile.bm)), t.heads, sequences },
        .threads = tile.row_warps * tile.splits * 32,
        .shared = (tile.bm + 2 * tile.bn) * pitch + scores,
    };
    const size = @import("std").fmt.comptimePrint("{d}", .{tile.size});
    return if (dtype == .bf16)
        launch.run(.attention, "attention_bf16_" ++ size ++ "_kernel", shape, t)
    else
        launch.run(.attention, "attention_f16_" ++ size ++ "_kernel", shape, t);
}
