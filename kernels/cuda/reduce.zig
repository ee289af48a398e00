//! Launchers of stats.cu and teacache.cu: a pass over the tensor that leaves a share per block,
//! then one block that adds the shares in order.

const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const map = @import("map.zig");
const Status = api.Status;

const threads = 256;
/// Enough to fill any GPU; a share is at most 48 bytes of scratch.
const blocks_max = 1024;
const shared = threads / 32 * @sizeOf(f64);

fn shapeOf(blocks: u32) launch.Shape {
    return .{ .grid = .{ blocks, 1, 1 }, .threads = threads, .shared = shared };
}

pub fn stats(a: *const api.Stats) Status {
    var m = map.build(a.x, &.{a.x}) orelse
        return abi.fail(.unsupported, "stats: more than 2^32 elements in strided rows", .{});
    m.out = .{};
    const blocks: u32 = @intCast(@min(launch.ceilDiv(m.count, threads), blocks_max));
    const s: args.Stats = .{
        .map = m,
        .partials = launch.device.scratch,
        .out = a.out.ptr,
        .blocks = blocks,
    };
    const shape = shapeOf(blocks);
    const status = launch.run(.stats, "stats_partial_kernel", shape, s);
    if (status != .ok) return status;
    return launch.run(.stats, "stats_kernel", shapeOf(1), s);
}

pub fn mean_rows(a: *const api.MeanRows) Status {
    const cols = a.x.dims[1];
    return launch.run(.stats, "mean_rows_kernel", .{
        .grid = launch.line(cols, 32),
        .threads = threads,
        .shared = threads * @sizeOf(f32),
    }, args.MeanRows{ .x = .of(a.x), .out = .of(a.out), .rows = a.x.dims[0], .cols = cols });
}

pub fn teacache(a: *const api.Teacache) Status {
    const t: args.Teacache = .{
        .a = .of(a.a),
        .prev = .of(a.prev),
        .partials = launch.device.scratch,
        .out = a.out.ptr,
        .rows = a.a.dims[0],
        .cols = a.a.dims[1],
        .blocks = @min(a.a.dims[0], blocks_max),
    };
    const shape = shapeOf(t.blocks);
    const status = launch.runTyped(.teacache, "teacache", a.a.dtype, shape, t);
    if (status != .ok) return status;
    return launch.run(.teacache, "teacache_sum_kernel", shapeOf(1), t);
}
