//! Device memory for tensors: a hard budget, a measured peak, and a cache of freed blocks, so that
//! the few hundred outputs of a step cost no system call. Block sizes are rounded up, and the
//! rounded size is what counts. Cached blocks count against the budget too; they are given back
//! before an allocation is refused.

const std = @import("std");
const api = @import("backend.zig");
const abi = @import("abi.zig");
const Status = api.Status;

pub const Block = struct { ptr: u64, bytes: u64 };

const gpa = std.heap.c_allocator;
const alignment = 64;
/// Blocks up to this size are reused only for exactly their size, from one stack a size.
const small_max = 16 << 10;
const Bin = std.ArrayList(u64);

var memory: ?*const api.Memory = null;
var budget: u64 = 0;
var live: u64 = 0;
var peak: u64 = 0;
var cached: u64 = 0;
var bins: [small_max / alignment + 1]Bin = @splat(.empty);
/// Oldest first.
var large: std.ArrayList(Block) = .empty;

pub const Usage = struct { live: u64, peak: u64, budget: u64, cached: u64 };

pub fn usage() Usage {
    return .{ .live = live, .peak = peak, .budget = budget, .cached = cached };
}

pub fn start(m: *const api.Memory, bytes_max: u64) void {
    std.debug.assert(live == 0 and cached == 0);
    memory = m;
    budget = bytes_max;
    peak = 0;
}

/// Every tensor was freed before.
pub fn stop() void {
    std.debug.assert(live == 0);
    releaseCache();
    memory = null;
}

pub fn resetPeak() void {
    peak = live;
}

pub fn setBudget(bytes_max: u64) Status {
    if (bytes_max != 0 and live > bytes_max) return abi.fail(
        .out_of_budget,
        "set_budget: {d} bytes are in use, more than a budget of {d}",
        .{ live, bytes_max },
    );
    budget = bytes_max;
    if (bytes_max != 0 and live + cached > bytes_max) releaseCache();
    return .ok;
}

/// The size a request takes: small ones a multiple of 64, larger ones with at most an eighth of
/// slack.
pub fn roundUp(bytes: u64) u64 {
    const n = @max(bytes, 1);
    if (n <= small_max) return std.mem.alignForward(u64, n, alignment);
    const step = @as(u64, 1) << @intCast(@max(63 - @clz(n) - 4, 12));
    return std.mem.alignForward(u64, n, step);
}

pub fn alloc(bytes: u64, out: *Block) Status {
    const m = memory orelse return abi.fail(
        .not_initialised,
        "the library is not initialised",
        .{},
    );
    const want = roundUp(bytes);
    if (takeCached(want)) |block| {
        if (budget == 0 or live + block.bytes <= budget) return hand(block, out);
        giveBack(m, block);
    }
    if (budget != 0) {
        if (want > budget -| live) return abi.fail(
            .out_of_budget,
            "{d} bytes more do not fit: {d} of the budget of {d} bytes are in use",
            .{ want, live, budget },
        );
        if (live + cached + want > budget) releaseCache();
    }
    var block: Block = .{ .ptr = 0, .bytes = want };
    var status = m.alloc(want, &block.ptr);
    if (status == .out_of_memory and cached > 0) {
        releaseCache();
        status = m.alloc(want, &block.ptr);
    }
    if (status != .ok) return status;
    return hand(block, out);
}

fn hand(block: Block, out: *Block) Status {
    live += block.bytes;
    peak = @max(peak, live);
    out.* = block;
    return .ok;
}

pub fn free(block: Block) void {
    const m = memory.?;
    live -= block.bytes;
    cached += block.bytes;
    if (block.bytes <= small_max) {
        bins[block.bytes / alignment].append(gpa, block.ptr) catch {
            cached -= block.bytes;
            giveBack(m, block);
        };
        return;
    }
    large.append(gpa, block) catch {
        cached -= block.bytes;
        giveBack(m, block);
        return;
    };
    while (cached > cacheMax() and large.items.len > 0) dropOldest(m);
}

/// Host memory left idle is memory taken from others; on a device it is ours alone.
fn cacheMax() u64 {
    const m = memory.?;
    return if (m.is_host) @max(128 << 20, peak / 2) else std.math.maxInt(u64);
}

fn takeCached(want: u64) ?Block {
    if (want <= small_max) {
        const ptr = bins[want / alignment].pop() orelse return null;
        cached -= want;
        return .{ .ptr = ptr, .bytes = want };
    }
    var best: ?usize = null;
    var best_bytes: u64 = want + want / 4 + 1;
    var i = large.items.len;
    while (i > 0) {
        i -= 1;
        const bytes = large.items[i].bytes;
        if (bytes < want or bytes >= best_bytes) continue;
        best = i;
        best_bytes = bytes;
        if (bytes == want) break;
    }
    const block = large.orderedRemove(best orelse return null);
    cached -= block.bytes;
    return block;
}

fn dropOldest(m: *const api.Memory) void {
    const block = large.orderedRemove(0);
    cached -= block.bytes;
    giveBack(m, block);
}

fn giveBack(m: *const api.Memory, block: Block) void {
    _ = m.sync();
    m.free(block.ptr, block.bytes);
}

pub fn releaseCache() void {
    const m = memory orelse return;
    _ = m.sync();
    for (large.items) |block| m.free(block.ptr, block.bytes);
    large.clearAndFree(gpa);
    for (&bins, 0..) |*bin, i| {
        for (bin.items) |ptr| m.free(ptr, i * alignment);
        bin.clearAndFree(gpa);
    }
    cached = 0;
}

const host = &@import("cpu/backend.zig").memory;

test "the budget holds to the byte, and the peak is what was held at once" {
    start(host, 4096);
    defer stop();
    var a: Block = undefined;
    var b: Block = undefined;
    var c: Block = undefined;
    try std.testing.expectEqual(Status.ok, alloc(2048, &a));
    try std.testing.expectEqual(Status.ok, alloc(2000, &b));
    try std.testing.expectEqual(Status.out_of_budget, alloc(1, &c));
    try std.testing.expect(std.mem.indexOf(u8, abi.detail(), "4096") != null);
    free(a);
    free(b);
    try std.testing.expectEqual(Status.ok, alloc(4096, &c));
    try std.testing.expectEqual(4096, usage().peak);
    free(c);
}

test "a freed block is handed out again" {
    start(host, 0);
    defer stop();
    for ([_]u64{ 100, 1 << 20 }) |bytes| {
        var a: Block = undefined;
        var b: Block = undefined;
        _ = alloc(bytes, &a);
        free(a);
        _ = alloc(bytes, &b);
        try std.testing.expectEqual(a.ptr, b.ptr);
        free(b);
    }
    try std.testing.expectEqual(0, usage().live);
}

test "rounding wastes at most an eighth and never shrinks" {
    for ([_]u64{ 0, 1, 64, 65, 16384, 16385, 100_000, 1 << 20, 123_456_789 }) |n| {
        try std.testing.expect(roundUp(n) >= n);
        if (n > small_max * 4) try std.testing.expect(roundUp(n) - n <= n / 8);
        try std.testing.expectEqual(roundUp(n), roundUp(roundUp(n)));
    }
}
