//! Launchers of patch.cu, embed.cu and preview.cu: what happens once a step or once a job at the
//! edges of a network.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const map = @import("map.zig");
const Status = api.Status;

pub fn patch_gather(a: *const api.PatchGather) Status {
    const d = a.x.dims;
    return launch.run(.patch, "patch_gather_kernel", .{
        .grid = launch.line(a.out.count(), map.threads),
        .threads = map.threads,
    }, args.Patch{
        .out = .of(a.out),
        .x = .{ .ptr = a.x.ptr, .dtype = @intFromEnum(a.x.dtype) },
        .strides = a.x.strides[0..4].*,
        .dims = d[0..4].*,
        .kt = a.kt,
        .kh = a.kh,
        .kw = a.kw,
        .nh = @intCast(launch.ceilDiv(d[2], a.kh)),
        .nw = @intCast(launch.ceilDiv(d[3], a.kw)),
        .count = a.out.count(),
    });
}

pub fn unpatchify(a: *const api.Unpatchify) Status {
    const d = a.out.dims;
    return launch.run(.patch, "unpatchify_kernel", .{
        .grid = launch.line(a.out.count(), map.threads),
        .threads = map.threads,
    }, args.Patch{
        .out = .{ .ptr = a.out.ptr, .dtype = @intFromEnum(a.out.dtype) },
        .x = .of(a.x),
        .strides = a.out.strides[0..4].*,
        .dims = d[0..4].*,
        .kt = 1,
        .kh = a.kh,
        .kw = a.kw,
        .nh = @intCast(launch.ceilDiv(d[2], a.kh)),
        .nw = @intCast(launch.ceilDiv(d[3], a.kw)),
        .count = a.out.count(),
    });
}

/// Waits for the answer whether an id was bad: it happens once a prompt.
pub fn embed(a: *const api.Embed) Status {
    const rows = a.ids.dims[0];
    const flag: api.Desc = .{
        .ptr = launch.device.scratch,
        .dtype = .i32,
        .rank = 1,
        .strides = .{ 1, 0, 0, 0, 0, 0 },
    };
    const cleared = map.run(.elementwise, "fill_kernel", flag, &.{}, 0, &.{0});
    if (cleared != .ok) return cleared;
    const e: args.Embed = .{
        .out = .of(a.out),
        .table = .of(a.table),
        .ids = a.ids.ptr,
        .bad = flag.ptr,
        .rows = rows,
        .cols = a.table.dims[1],
        .vocabulary = a.table.dims[0],
    };
    const shape: launch.Shape = .{ .grid = .{ rows, 1, 1 }, .threads = 128 };
    const status = launch.run(.embed, "embed_kernel", shape, e);
    if (status != .ok) return status;
    var bad: i32 = 0;
    const read = launch.device.download(std.mem.asBytes(&bad), flag.ptr, 4);
    if (read != .ok) return read;
    if (bad == 0) return .ok;
    const text = "embed: the id in row {d} is outside the table's {d} rows";
    return abi.fail(.bad_argument, text, .{ bad - 1, e.vocabulary });
}

pub fn latent_rgb(a: *const api.LatentRgb) Status {
    return launch.run(.preview, "latent_rgb_kernel", .{
        .grid = launch.line(a.out.count() / 3, map.threads),
        .threads = map.threads,
    }, args.LatentRgb{
        .out = a.out.ptr,
        .z = a.z.ptr,
        .factors = a.factors.ptr,
        .bias = a.bias.ptr,
        .dims = a.z.dims[0..4].*,
        .strides = a.z.strides[0..4].*,
    });
}
