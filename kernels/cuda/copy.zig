//! Launcher of copy.cu: bits between equal dtypes, a cast otherwise, and a tiled transposition
//! where the source's rows are the target's columns.

const api = @import("../backend.zig");
const args = @import("args.zig");
const launch = @import("launch.zig");
const map = @import("map.zig");
const Desc = api.Desc;
const Status = api.Status;

pub fn copy(a: *const api.Copy) Status {
    if (a.dst.dtype != a.src.dtype) {
        return map.run(.copy, "copy_cast_kernel", a.dst, &.{a.src}, 0, &.{});
    }
    if (transpose(a)) |status| return status;
    switch (a.dst.dtype.size()) {
        1 => return map.run(.copy, "copy_raw1_kernel", a.dst, &.{a.src}, 0, &.{}),
        2 => return map.run(.copy, "copy_raw2_kernel", a.dst, &.{a.src}, 0, &.{}),
        else => {},
    }
    // Only bits move: any type of four bytes stands for the others.
    var dst = a.dst;
    var src = a.src;
    dst.dtype = .f32;
    src.dtype = .f32;
    return map.run(.copy, "copy_raw4_kernel", dst, &.{src}, 0, &.{});
}

/// Null when the copy is no transposition, or too small to gain by one.
fn transpose(a: *const api.Copy) ?Status {
    const size = a.dst.dtype.size();
    if (size == 1) return null;
    const m = map.build(a.dst, &.{a.src}) orelse return null;
    if (m.width != 1 or m.rank < 2 or m.rank > 3) return null;
    const c = m.rank - 2;
    const r = m.rank - 1;
    if (m.out.strides[r] != 1 or m.in[0].strides[c] != 1) return null;
    const batches = if (m.rank == 3) m.dims[0] else 1;
    if (m.dims[c] < 8 or m.dims[r] < 8 or batches > 65535) return null;
    const t: args.Transpose = .{
        .dst = m.out.ptr,
        .src = m.in[0].ptr,
        .dst_stride = m.out.strides[c],
        .src_stride = m.in[0].strides[r],
        .dst_batch = if (m.rank == 3) m.out.strides[0] else 0,
        .src_batch = if (m.rank == 3) m.in[0].strides[0] else 0,
        .rows = m.dims[r],
        .cols = m.dims[c],
    };
    const tile = 32;
    const tiles_r: u32 = @intCast(launch.ceilDiv(t.rows, tile));
    if (tiles_r > 65535) return null;
    const shape: launch.Shape = .{
        .grid = .{ @intCast(launch.ceilDiv(t.cols, tile)), tiles_r, batches },
        .threads = map.threads,
        .shared = @intCast(tile * (tile * size + 4)),
    };
    return if (size == 2)
        launch.run(.copy, "copy_transpose2_kernel", shape, t)
    else
        launch.run(.copy, "copy_transpose4_kernel", shape, t);
}

/// [O, I, kt, kh, kw] -> [O, kt, kh, kw, I].
pub fn conv3d_pack(a: *const api.Conv3dPack) Status {
    var src = a.w;
    const order = [5]usize{ 0, 2, 3, 4, 1 };
    for (order, 0..) |from, to| {
        src.dims[to] = a.w.dims[from];
        src.strides[to] = a.w.strides[from];
    }
    return copy(&.{ .dst = a.out, .src = src });
}
