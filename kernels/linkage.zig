//! How a cpu object reaches the one pool and the one error state of the library. The cpu ops are
//! compiled several times, and every copy contains pool.zig and abi.zig; in those copies this file
//! calls hidden functions `fp_internal_*` that the library exports to its own objects, so that no
//! copy has state. In the library and in tests the calls are direct.

const std = @import("std");
const backend = @import("backend.zig");
const abi = @import("abi.zig");
const pool = @import("pool.zig");

/// True in a cpu object, whose root file says so.
const in_object = @hasDecl(@import("root"), "is_cpu_object");

pub const Task = *const fn (ctx: *const anyopaque, index: usize, worker: usize) callconv(.c) void;

pub fn setDetail(text: []const u8) void {
    if (in_object) far.setDetail(text.ptr, text.len) else abi.library.setDetail(text);
}

pub fn isCancelled() bool {
    return if (in_object) far.isCancelled() else abi.library.isCancelled();
}

pub fn threads() usize {
    return if (in_object) far.threads() else pool.library.threads();
}

pub fn run(n: usize, ctx: *const anyopaque, task: Task) void {
    if (in_object) far.run(n, ctx, task) else pool.library.run(n, ctx, task);
}

pub fn scratch(slot: u32, bytes: usize) ?[*]align(64) u8 {
    return if (in_object) far.scratch(slot, bytes) else pool.library.scratch(slot, bytes);
}

const far = struct {
    const setDetail = fetch(@TypeOf(near.setDetail), "fp_internal_set_detail");
    const isCancelled = fetch(@TypeOf(near.isCancelled), "fp_internal_is_cancelled");
    const threads = fetch(@TypeOf(near.threads), "fp_internal_threads");
    const run = fetch(@TypeOf(near.run), "fp_internal_run");
    const scratch = fetch(@TypeOf(near.scratch), "fp_internal_scratch");

    fn fetch(comptime T: type, comptime name: []const u8) *const T {
        return @extern(*const T, .{ .name = name, .visibility = .hidden });
    }
};

const near = struct {
    fn setDetail(ptr: [*]const u8, len: usize) callconv(.c) void {
        abi.library.setDetail(ptr[0..len]);
    }
    fn isCancelled() callconv(.c) bool {
        return abi.library.isCancelled();
    }
    fn threads() callconv(.c) usize {
        return pool.library.threads();
    }
    fn run(n: usize, ctx: *const anyopaque, task: Task) callconv(.c) void {
        pool.library.run(n, ctx, task);
    }
    fn scratch(slot: u32, bytes: usize) callconv(.c) ?[*]align(64) u8 {
        return pool.library.scratch(slot, bytes);
    }
};

/// Called at comptime by lib.zig alone.
pub fn exportToObjects() void {
    const hidden: std.builtin.SymbolVisibility = .hidden;
    @export(&near.setDetail, .{ .name = "fp_internal_set_detail", .visibility = hidden });
    @export(&near.isCancelled, .{ .name = "fp_internal_is_cancelled", .visibility = hidden });
    @export(&near.threads, .{ .name = "fp_internal_threads", .visibility = hidden });
    @export(&near.run, .{ .name = "fp_internal_run", .visibility = hidden });
    @export(&near.scratch, .{ .name = "fp_internal_scratch", .visibility = hidden });
}
