//! The cpu backend: its memory, its start (instruction set, threads) and what it tells about the
//! machine. Library side only; the ops themselves are in cpu.zig's tables.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const dispatch = @import("dispatch.zig");
const pool = @import("../pool.zig");

pub const backend: api.Backend = .{
    .name = "cpu",
    .start = start,
    .stop = stop,
    .ops = ops,
    .info = info,
    .memory = memory,
};

/// Host memory; the emulated backend uses it too.
pub const memory: api.Memory = .{
    .is_host = true,
    .alloc = alloc,
    .free = free,
    .upload = upload,
    .download = download,
    .sync = sync,
};

var choice: dispatch.Choice = undefined;
var brand: [48]u8 = @splat(0);

fn start(config: api.Config) api.Status {
    if (config.device != 0) return abi.fail(
        .bad_argument,
        "init: the cpu backend has device 0 only",
        .{},
    );
    const wanted = std.c.getenv("FRAMEPACK_CPU");
    choice = dispatch.choose(if (wanted) |w| std.mem.span(w) else null) orelse return .unsupported;
    pool.library.resize(config.threads) catch
        return abi.fail(.out_of_memory, "init: cannot start {d} threads", .{config.threads});
    return .ok;
}

fn stop() void {
    pool.library.stop();
    pool.library.freeScratch();
}

fn ops() *const api.Ops {
    return choice.ops;
}

fn info() api.Info {
    var system: linux.Sysinfo = undefined;
    const known = linux.sysinfo(&system) == 0;
    const unit: u64 = if (known) system.mem_unit else 0;
    return .{
        .cpu = choice.name,
        .device = dispatch.brand(&brand),
        .arch = @tagName(builtin.cpu.arch),
        .bytes = if (known) system.totalram * unit else 0,
    };
}

// -------------------------------------------------------------------------------------------------

/// From this size on memory comes straight from the kernel, in huge pages where it has them.
const map_bytes = 4 << 20;
const huge_page = 2 << 20;

fn alloc(bytes: u64, out: *u64) api.Status {
    const address = (if (bytes >= map_bytes) map(bytes) else small(bytes)) orelse
        return abi.fail(.out_of_memory, "the machine has no {d} bytes left", .{bytes});
    out.* = address;
    return .ok;
}

fn small(bytes: u64) ?u64 {
    const memory_ = std.heap.c_allocator.alignedAlloc(u8, .@"64", bytes) catch return null;
    return @intFromPtr(memory_.ptr);
}

/// Aligned to huge pages: what is mapped too much in front and behind is given back at once.
fn map(bytes: u64) ?u64 {
    const want = mappedBytes(bytes);
    const all = want + huge_page;
    const rc = linux.mmap(null, all, .{ .READ = true, .WRITE = true }, .{
        .TYPE = .PRIVATE,
        .ANONYMOUS = true,
    }, -1, 0);
    if (linux.errno(rc) != .SUCCESS) return null;
    const first = std.mem.alignForward(u64, rc, huge_page);
    if (first > rc) _ = linux.munmap(@ptrFromInt(rc), first - rc);
    if (rc + all > first + want) _ = linux.munmap(
        @ptrFromInt(first + want),
        rc + all - first - want,
    );
    _ = linux.madvise(@ptrFromInt(first), want, linux.MADV.HUGEPAGE);
    return first;
}

fn mappedBytes(bytes: u64) u64 {
    return std.mem.alignForward(u64, bytes, std.heap.page_size_min);
}

fn free(ptr: u64, bytes: u64) void {
    if (bytes >= map_bytes) {
        _ = linux.munmap(@ptrFromInt(ptr), mappedBytes(bytes));
    } else {
        const p: [*]align(64) u8 = @ptrFromInt(ptr);
        std.heap.c_allocator.free(p[0..bytes]);
    }
}

fn upload(dst: u64, src: [*]const u8, bytes: u64) api.Status {
    @memcpy(@as([*]u8, @ptrFromInt(dst))[0..bytes], src[0..bytes]);
    return .ok;
}

fn download(dst: [*]u8, src: u64, bytes: u64) api.Status {
    @memcpy(dst[0..bytes], @as([*]const u8, @ptrFromInt(src))[0..bytes]);
    return .ok;
}

fn sync() api.Status {
    return .ok;
}

test "memory comes aligned, small and large, and goes" {
    for ([_]u64{ 1, 100, 1 << 20, map_bytes, map_bytes + 1 }) |bytes| {
        var p: u64 = 0;
        try std.testing.expectEqual(api.Status.ok, alloc(bytes, &p));
        try std.testing.expectEqual(0, p % 64);
        const all = @as([*]u8, @ptrFromInt(p))[0..bytes];
        @memset(all, 7);
        free(p, bytes);
    }
}
