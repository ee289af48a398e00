//! Do two views share an element? Exact for the views that come up (slices of rows or columns,
//! whole tensors); when in doubt the answer is yes, and the call is refused.

const std = @import("std");
const backend = @import("../backend.zig");
const Desc = backend.Desc;

/// One past the last byte, from the first.
fn extent(d: Desc) u64 {
    var last: u64 = 0;
    for (d.dims[0..d.rank], d.strides[0..d.rank]) |n, s| last += @as(u64, n -| 1) * s;
    return (last + 1) * d.dtype.size();
}

pub fn areSame(a: Desc, b: Desc) bool {
    if (a.ptr != b.ptr or a.dtype != b.dtype or a.rank != b.rank) return false;
    for (0..a.rank) |i| {
        if (a.dims[i] != b.dims[i]) return false;
        if (a.dims[i] > 1 and a.strides[i] != b.strides[i]) return false;
    }
    return true;
}

pub fn areApart(a: Desc, b: Desc) bool {
    if (a.count() == 0 or b.count() == 0) return true;
    if (a.ptr + extent(a) <= b.ptr or b.ptr + extent(b) <= a.ptr) return true;
    return areColumns(a, b);
}

/// Interleaved slices of one parent: both repeat with the same outermost stride and fit, side by
/// side, in one period.
fn areColumns(a: Desc, b: Desc) bool {
    const period = outermost(a) * a.dtype.size();
    if (period == 0 or period != outermost(b) * b.dtype.size()) return false;
    const width_a = innerExtent(a);
    const width_b = innerExtent(b);
    const low, const high = if (a.ptr <= b.ptr) .{ a, b } else .{ b, a };
    const shift = (high.ptr - low.ptr) % period;
    const width_low = if (a.ptr <= b.ptr) width_a else width_b;
    const width_high = if (a.ptr <= b.ptr) width_b else width_a;
    return width_low <= shift and shift + width_high <= period;
}

fn outermost(d: Desc) u64 {
    var most: u64 = 0;
    for (d.dims[0..d.rank], d.strides[0..d.rank]) |n, s| {
        if (n > 1) most = @max(most, s);
    }
    return most;
}

/// Bytes from the first to past the last element of one step of the outermost dimension.
fn innerExtent(d: Desc) u64 {
    const outer = outermost(d);
    var last: u64 = 0;
    var skipped = false;
    for (d.dims[0..d.rank], d.strides[0..d.rank]) |n, s| {
        if (n > 1 and s == outer and !skipped) {
            skipped = true;
        } else last += @as(u64, n -| 1) * s;
    }
    return (last + 1) * d.dtype.size();
}

/// Whether two indices can name the same element: by rising stride, each must step over all that is
/// inside it.
pub fn withItself(d: Desc) bool {
    if (d.count() == 0) return false;
    var done: [backend.rank_max]bool = @splat(false);
    var reach: u64 = 1;
    for (0..d.rank) |_| {
        var pick: ?usize = null;
        for (d.dims[0..d.rank], d.strides[0..d.rank], 0..) |n, s, i| {
            if (done[i] or n <= 1) continue;
            if (pick == null or s < d.strides[pick.?]) pick = i;
        }
        const i = pick orelse return false;
        if (d.strides[i] < reach) return true;
        reach += @as(u64, d.dims[i] - 1) * d.strides[i];
        done[i] = true;
    }
    return false;
}

fn at(ptr: u64, dims: []const u32, strides: []const u32) Desc {
    var d: Desc = .{ .ptr = ptr, .dtype = .f32, .rank = @intCast(dims.len) };
    @memcpy(d.dims[0..dims.len], dims);
    @memcpy(d.strides[0..dims.len], strides);
    return d;
}

test "column slices of one parent are apart, overlapping ones are not" {
    const left = at(1000, &.{ 5, 4 }, &.{ 10, 1 });
    const right = at(1000 + 4 * 4, &.{ 5, 6 }, &.{ 10, 1 });
    const middle = at(1000 + 4 * 3, &.{ 5, 4 }, &.{ 10, 1 });
    const wrapping = at(1000 + 4 * 8, &.{ 4, 4 }, &.{ 10, 1 });
    try std.testing.expect(areApart(left, right));
    try std.testing.expect(areApart(right, left));
    try std.testing.expect(!areApart(left, middle));
    try std.testing.expect(!areApart(left, wrapping));
    try std.testing.expect(areSame(left, left) and !areSame(left, right));
}

test "heads of a joint matrix are apart from each other" {
    const q = at(0, &.{ 7, 2, 8 }, &.{ 48, 8, 1 });
    const k = at(4 * 16, &.{ 7, 2, 8 }, &.{ 48, 8, 1 });
    try std.testing.expect(areApart(q, k));
}

test "a broadcast or a folded view overlaps itself, a permuted one does not" {
    try std.testing.expect(withItself(at(0, &.{ 3, 4 }, &.{ 0, 1 })));
    try std.testing.expect(withItself(at(0, &.{ 3, 4 }, &.{ 3, 1 })));
    try std.testing.expect(!withItself(at(0, &.{ 4, 3 }, &.{ 1, 4 })));
    try std.testing.expect(!withItself(at(0, &.{ 1, 1 }, &.{ 0, 0 })));
}
