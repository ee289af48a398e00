//! Arithmetic of dims and strides, safe against numbers from outside.

const std = @import("std");
const api = @import("backend.zig");

pub const bytes_max = @as(u64, 1) << 48;

/// Dims or strides for a text, printed with {f}.
pub const List = struct {
    items: []const u32,
    pub fn format(list: List, w: *std.Io.Writer) std.Io.Writer.Error!void {
        for (list.items, 0..) |x, i| try w.print("{s}{d}", .{ if (i == 0) "[" else ", ", x });
        try w.writeAll("]");
    }
};

/// Bytes of a tensor with these dims, or null beyond bytes_max.
pub fn byteCount(dtype: api.Dtype, dims: []const u32) ?u64 {
    var n: u64 = dtype.size();
    var is_empty = false;
    for (dims) |d| {
        if (d == 0) is_empty = true;
        n = std.math.mul(u64, n, @max(d, 1)) catch return null;
    }
    if (n > bytes_max) return null;
    return if (is_empty) 0 else n;
}

/// A contiguous tensor without an address; null if a stride does not fit.
pub fn rowMajor(dtype: api.Dtype, dims: []const u32) ?api.Desc {
    var desc: api.Desc = .{ .ptr = 0, .dtype = dtype, .rank = @intCast(dims.len) };
    var stride: u64 = 1;
    var i = dims.len;
    while (i > 0) {
        i -= 1;
        desc.dims[i] = dims[i];
        desc.strides[i] = std.math.cast(u32, stride) orelse {
            if (dims[i] > 1) return null;
            desc.strides[i] = 0;
            continue;
        };
        stride *= @max(dims[i], 1);
    }
    return desc;
}

test "bytes are counted without overflow, and nothing is nothing" {
    const max = std.math.maxInt(u32);
    try std.testing.expectEqual(48, byteCount(.bf16, &.{ 2, 3, 4 }));
    try std.testing.expectEqual(0, byteCount(.f32, &.{ 5, 0 }));
    try std.testing.expectEqual(bytes_max, byteCount(.u8, &.{ 1 << 24, 1 << 24 }));
    try std.testing.expectEqual(null, byteCount(.u8, &.{ 1 << 24, (1 << 24) + 1 }));
    try std.testing.expectEqual(null, byteCount(.f32, &.{ max, max, max, max, max, max }));
}

test "a row too long for a stride has no row-major form, unless nothing steps over it" {
    try std.testing.expectEqual(null, rowMajor(.u8, &.{ 2, 1 << 31, 2 }));
    try std.testing.expect(rowMajor(.u8, &.{ 1, 1 << 31, 2 }) != null);
}
