//! Launcher of attention_sm90.cu: heads of 128 in 16 bits that see every key, on a Hopper GPU.

const std = @import("std");
const api = @import("../backend.zig");
const args = @import("args.zig");
const hopper = @import("hopper.zig");
const launch = @import("launch.zig");
const Status = api.Status;

const queries = 128;
/// Keys of a block; see attention_sm90.cu.
const keys = 176;
/// Queries, two blocks of keys and two of values, eleven barriers.
const shared = (queries + 4 * keys) * 128 * 2 + 11 * 8;

comptime {
    std.debug.assert(shared <= 227 << 10); // what a block of sm_90 may have
}

pub fn fits(a: *const api.Attention) bool {
    if (launch.device.hopper == null or a.mask != .none or a.q.dims[2] != 128) return false;
    for ([_]api.Desc{ a.q, a.k, a.v }) |d| if (!hopper.fits(d)) return false;
    return countTiles(a) <= std.math.maxInt(u32);
}

fn countTiles(a: *const api.Attention) u64 {
    const sequences: u64 = if (a.cu_q) |c| c.dims[0] - 1 else 1;
    return launch.ceilDiv(a.q.dims[0], queries) * a.q.dims[1] * sequences;
}

pub fn run(a: *const api.Attention, plain: args.Attention) Status {
    const device = launch.device.hopper orelse unreachable;
    var t: args.AttentionSm90 = .{
        .a = plain,
        .tiles_q = @intCast(launch.ceilDiv(a.q.dims[0], queries)),
        .tiles = @intCast(countTiles(a)),
    };
    const encoded = [_]Status{
        device.encode(&t.q, .heads(a.q, queries)),
        device.encode(&t.k, .heads(a.k, keys)),
        device.encode(&t.v, .heads(a.v, keys)),
    };
    for (encoded) |status| if (status != .ok) return status;
    const shape: launch.Shape = .{
        .grid = .{ @min(t.tiles, device.multiprocessors), 1, 1 },
        .threads = 384,
        .shared = shared,
    };
    return if (a.q.dtype == .bf16)
        launch.run(.attention_sm90, "attention_sm90_bf16_kernel", shape, t)
    else
        launch.run(.attention_sm90, "attention_sm90_f16_kernel", shape, t);
}
