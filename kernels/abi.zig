//! What crosses the library's edge besides tensors: statuses, the detail text of the last failure,
//! the ABI version and the cancel flag. Safe to import from the cpu ops: inside a cpu object the
//! state lives in the library (see linkage.zig).

const std = @import("std");
const backend = @import("backend.zig");
const linkage = @import("linkage.zig");

pub const Status = backend.Status;

/// Raised with every change of an exported function's arguments or meaning.
pub const abi_version: u32 = 1;

pub const detail_max = 1024;

threadlocal var detail_buffer: [detail_max]u8 = undefined;
threadlocal var detail_len: usize = 0;
var cancel_flag: std.atomic.Value(u32) = .init(0);

/// Records the detail text of a failure and returns its status: `return abi.fail(.bad_shape, "...",
/// .{...})`.
pub fn fail(status: Status, comptime fmt: []const u8, args: anytype) Status {
    @branchHint(.cold);
    var buffer: [detail_max]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    // A text that does not fit is cut: the writer keeps what it had room for.
    writer.print(fmt, args) catch {};
    linkage.setDetail(writer.buffered());
    return status;
}

/// Whether running work should stop. Long ops outside pool.parallelFor ask this now and then and
/// return `.cancelled`.
pub fn isCancelled() bool {
    return linkage.isCancelled();
}

/// The detail text of this thread's last failure.
pub fn detail() []const u8 {
    return detail_buffer[0..detail_len];
}

/// The library's side of the state. Not for ops.
pub const library = struct {
    pub fn setDetail(text: []const u8) void {
        detail_len = @min(text.len, detail_max);
        @memcpy(detail_buffer[0..detail_len], text[0..detail_len]);
    }

    pub fn isCancelled() bool {
        return cancel_flag.load(.monotonic) != 0;
    }

    pub fn setCancel(on: bool) void {
        cancel_flag.store(@intFromBool(on), .monotonic);
    }
};

test "a failure leaves its text, cut to the buffer" {
    const status = fail(.bad_shape, "rope: head size {d} is odd", .{7});
    try std.testing.expectEqual(Status.bad_shape, status);
    try std.testing.expectEqualStrings("rope: head size 7 is odd", detail());

    _ = fail(.io, "{s}", .{"x" ** 3000});
    try std.testing.expectEqual(detail_max, detail().len);
}
