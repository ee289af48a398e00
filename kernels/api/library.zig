//! Exported functions of the library as a whole: start and stop, what it runs on, memory, errors,
//! cancelling.

const std = @import("std");
const abi = @import("../abi.zig");
const arena = @import("../arena.zig");
const backend = @import("../backend.zig");
const files = @import("../files.zig");
const pool = @import("../pool.zig");
const state = @import("../state.zig");
const symbols = @import("../symbols.zig");
const tensor = @import("../tensor.zig");
const Status = backend.Status;

pub fn fp_abi_version() callconv(.c) u32 {
    return abi.abi_version;
}

/// The symbol table as TypeScript text; with a buffer too small, nothing but its length.
pub fn fp_symbols(buffer: ?[*]u8, len: u32) callconv(.c) u32 {
    const text = comptime symbols.text;
    if (buffer) |to| if (len >= text.len) @memcpy(to[0..text.len], text);
    return text.len;
}

pub fn fp_error(buffer: ?[*]u8, len: u32) callconv(.c) u32 {
    return copyText(abi.detail(), buffer, len);
}

pub fn fp_init(kind: u32, threads: u32, device: u32, budget: u64) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    if (threads > pool.threads_max) return abi.fail(
        .bad_argument,
        "init: {d} threads are more than {d}",
        .{ threads, pool.threads_max },
    );
    return state.start(kind, .{ .threads = threads, .device = device, .budget = budget });
}

pub fn fp_shutdown() callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    state.stop();
    return .ok;
}

/// JSON text; empty before fp_init.
pub fn fp_info(buffer: ?[*]u8, len: u32) callconv(.c) u32 {
    state.mutex.lock();
    defer state.mutex.unlock();
    const current = state.current() orelse return 0;
    const info = current.info();
    var text: [2048]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&text);
    std.json.Stringify.value(.{
        .backend = current.name,
        .cpu = info.cpu,
        .threads = pool.threads(),
        .device = info.device,
        .driver = info.driver,
        .arch = info.arch,
        .bytes = info.bytes,
    }, .{}, &writer) catch return 0;
    return copyText(writer.buffered(), buffer, len);
}

fn copyText(text: []const u8, buffer: ?[*]u8, len: u32) u32 {
    const to = buffer orelse return 0;
    const n = @min(text.len, len);
    @memcpy(to[0..n], text[0..n]);
    return @intCast(n);
}

pub fn fp_memory(out: ?*[6]u64) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    const to = out orelse return abi.fail(.bad_argument, "memory: no output was given", .{});
    const u = arena.usage();
    to.* = .{
        u.live,              u.peak,             u.budget,
        files.mappedBytes(), tensor.liveCount(), u.cached + pool.library.scratchBytes(),
    };
    return .ok;
}

pub fn fp_memory_reset_peak() callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    arena.resetPeak();
    return .ok;
}

pub fn fp_set_budget(budget: u64) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    if (state.current() == null) return notInitialised("set_budget");
    return arena.setBudget(budget);
}

pub fn fp_set_threads(threads: u32) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    if (state.current() == null) return notInitialised("set_threads");
    if (threads > pool.threads_max) return abi.fail(
        .bad_argument,
        "set_threads: {d} threads are more than {d}",
        .{ threads, pool.threads_max },
    );
    pool.library.resize(threads) catch
        return abi.fail(.out_of_memory, "set_threads: cannot start {d} threads", .{threads});
    return .ok;
}

pub fn fp_sync() callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    const current = state.current() orelse return notInitialised("sync");
    return current.memory.sync();
}

/// Takes no lock: it is there to reach an op that runs.
pub fn fp_cancel(flag: u32) callconv(.c) Status {
    if (flag > 1) return abi.fail(.bad_argument, "cancel: the flag is 0 or 1, not {d}", .{flag});
    abi.library.setCancel(flag == 1);
    return .ok;
}

fn notInitialised(comptime op: []const u8) Status {
    return abi.fail(.not_initialised, op ++ ": the library is not initialised", .{});
}
