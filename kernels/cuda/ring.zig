//! Uploads: host memory goes through a few pinned buffers in turn, so that copying into one
//! overlaps with the transfer of another, and the caller may reuse its memory at once. Small, and
//! never a second copy of a file.

const std = @import("std");
const abi = @import("../abi.zig");
const driver = @import("driver.zig");
const Status = abi.Status;
const call = driver.call;

/// A transfer of this size takes longer than starting it by far, on any link.
const slot_bytes = 8 << 20;
const Slot = struct { memory: ?[*]u8 = null, done: driver.Handle = null };

var slots: [4]Slot = @splat(.{});
var next: usize = 0;
var stream: driver.Handle = null;

pub fn start(on: driver.Handle) Status {
    stream = on;
    for (&slots) |*slot| {
        const pinned = call("init", .cuMemHostAlloc, .{ &slot.memory, slot_bytes, 0 });
        if (pinned != .ok) return pinned;
        const made = call("init", .cuEventCreate, .{ &slot.done, driver.event_disable_timing });
        if (made != .ok) return made;
    }
    return .ok;
}

pub fn stop() void {
    for (&slots) |*slot| {
        if (slot.done != null) {
            _ = driver.api.cuEventSynchronize(slot.done);
            _ = driver.api.cuEventDestroy_v2(slot.done);
        }
        if (slot.memory) |m| _ = driver.api.cuMemFreeHost(m);
        slot.* = .{};
    }
    next = 0;
}

pub fn upload(dst: u64, src: []const u8) Status {
    var sent: usize = 0;
    while (sent < src.len) {
        const n = @min(slot_bytes, src.len - sent);
        const slot = &slots[next];
        next = (next + 1) % slots.len;
        // An event that was never recorded counts as done.
        const waited = call("upload", .cuEventSynchronize, .{slot.done});
        if (waited != .ok) return waited;
        const memory = slot.memory.?;
        @memcpy(memory[0..n], src[sent..][0..n]);
        const queued = call("upload", .cuMemcpyHtoDAsync_v2, .{ dst + sent, memory, n, stream });
        if (queued != .ok) return queued;
        const recorded = call("upload", .cuEventRecord, .{ slot.done, stream });
        if (recorded != .ok) return recorded;
        sent += n;
    }
    return .ok;
}
