//! Launchers of the elementwise kernels (map.cuh): dimensions that lie alike in all operands are
//! merged, and where rows allow it every thread takes eight elements.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const Desc = api.Desc;
const Status = api.Status;

pub const threads = 256;

/// `d` as an operand of a map over `dims`: aligned at the last dimension, missing or single
/// dimensions broadcast.
fn stridesOver(d: Desc, rank: u32) [6]u32 {
    var strides: [6]u32 = @splat(0);
    for (0..d.rank) |i| {
        const at = rank - d.rank + i;
        strides[at] = if (d.dims[i] > 1) d.strides[i] else 0;
    }
    return strides;
}

/// A vector as an operand along one axis of a tensor of `rank` dimensions.
pub fn along(d: Desc, axis: u32, rank: u32) Desc {
    var r = d;
    r.rank = rank;
    r.dims = @splat(1);
    r.strides = @splat(0);
    r.dims[axis] = d.dims[0];
    r.strides[axis] = d.strides[0];
    return r;
}

/// The arguments of a map from `ins` to `out`, or null when it has more than 2^32 threads.
pub fn build(out: Desc, ins: []const Desc) ?args.Map {
    var m: args.Map = .{};
    var all: [1 + args.map_inputs]args.Operand = undefined;
    for (all[0 .. ins.len + 1], 0..) |*o, i| {
        const d = if (i == 0) out else ins[i - 1];
        const strides = stridesOver(d, out.rank);
        o.* = .{ .ptr = d.ptr, .dtype = @intFromEnum(d.dtype), .strides = strides };
    }
    const operands = all[0 .. ins.len + 1];
    m.rank = merge(&m.dims, out.dims[0..out.rank], operands);
    if (isWide(m.dims[0..m.rank], operands)) {
        m.width = 8;
        m.dims[m.rank - 1] /= 8;
    }
    var count: u64 = 1;
    for (m.dims[0..m.rank]) |n| count *= n;
    m.count = std.math.cast(u32, count) orelse return null;
    m.out = operands[0];
    for (operands[1..], m.in[0..ins.len]) |o, *to| to.* = o;
    return m;
}

/// Writes the merged dims and moves the operands' strides along; returns the rank, at least 1.
fn merge(to: *[6]u32, dims: []const u32, operands: []args.Operand) u32 {
    var rank: u32 = 0;
    for (dims, 0..) |n, d| {
        if (n == 1) continue;
        const joins = rank > 0 and for (operands) |o| {
            if (o.strides[rank - 1] != @as(u64, o.strides[d]) * n) break false;
        } else true;
        if (joins and std.math.mul(u32, to[rank - 1], n) catch null != null) {
            to[rank - 1] *= n;
            for (operands) |*o| o.strides[rank - 1] = o.strides[d];
            continue;
        }
        to[rank] = n;
        for (operands) |*o| o.strides[rank] = o.strides[d];
        rank += 1;
    }
    if (rank > 0) return rank;
    to[0] = 1;
    return 1;
}

fn isWide(dims: []const u32, operands: []const args.Operand) bool {
    const last = dims.len - 1;
    if (dims[last] % 8 != 0) return false;
    for (operands, 0..) |o, i| {
        const dtype: api.Dtype = @enumFromInt(o.dtype);
        if (dtype == .i32) return false;
        const unit: u64 = if (dtype == .u8) 8 else 16;
        const is_broadcast = i > 0 and o.strides[last] == 0;
        if (!is_broadcast and o.strides[last] != 1) return false;
        if (is_broadcast) continue;
        if (o.ptr % unit != 0) return false;
        for (o.strides[0..last]) |s| if (s * dtype.size() % unit != 0) return false;
    }
    return true;
}

pub fn run(
    comptime module: launch.Module,
    comptime name: [:0]const u8,
    out: Desc,
    ins: []const Desc,
    act: u32,
    c: []const f64,
) Status {
    var m = build(out, ins) orelse
        return abi.fail(.unsupported, name ++ ": more than 2^32 elements in strided rows", .{});
    m.act = act;
    @memcpy(m.c[0..c.len], c);
    const grid = launch.line(m.count, threads);
    return launch.run(module, name, .{ .grid = grid, .threads = threads }, m);
}
