//! Weight files, mapped read-only and shared. A mapping lives while its id or a tensor in it lives.
//! A file that another program cuts short while it is mapped kills the process (SIGBUS): whoever
//! replaces weight files must write new ones beside them, as every download tool does.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const Status = abi.Status;

pub const files_max = 4096;
const path_max = 4095;

/// A mapped file. `refs`: one for the id, one for every tensor storage in it.
pub const File = struct { address: u64 = 0, bytes: u64 = 0, refs: u32 = 0, is_open: bool = false };

var files: [files_max]File = @splat(.{});
var mapped: u64 = 0;

pub fn mappedBytes() u64 {
    return mapped;
}

/// Ids start at 1.
pub fn map(path: []const u8, id: *u32, bytes: *u64) Status {
    var buffer: [path_max + 1]u8 = undefined;
    if (path.len == 0 or path.len > path_max or std.mem.indexOfScalar(u8, path, 0) != null) {
        return abi.fail(
            .bad_argument,
            "file_map: the path is empty, too long or holds a zero byte",
            .{},
        );
    }
    @memcpy(buffer[0..path.len], path);
    buffer[path.len] = 0;
    const slot = for (&files, 1..) |*f, i| {
        if (f.refs == 0) break i;
    } else return abi.fail(.bad_argument, "file_map: {d} files are mapped already", .{files_max});
    var file: File = .{ .refs = 1, .is_open = true };
    const status = mapAt(buffer[0..path.len :0], &file);
    if (status != .ok) return status;
    mapped += file.bytes;
    files[slot - 1] = file;
    id.* = @intCast(slot);
    bytes.* = file.bytes;
    return .ok;
}

fn mapAt(path: [:0]const u8, file: *File) Status {
    const flags: linux.O = .{ .ACCMODE = .RDONLY, .CLOEXEC = true, .NONBLOCK = true };
    const opened = linux.open(path, flags, 0);
    if (linux.errno(opened) != .SUCCESS) return ioFail("open", linux.errno(opened));
    const fd: i32 = @intCast(opened);
    defer _ = linux.close(fd);
    var stat: linux.Statx = undefined;
    const rc = linux.statx(fd, "", linux.AT.EMPTY_PATH, .{ .TYPE = true, .SIZE = true }, &stat);
    if (linux.errno(rc) != .SUCCESS) return ioFail("stat", linux.errno(rc));
    if (stat.mode & linux.S.IFMT != linux.S.IFREG) return abi.fail(
        .io,
        "file_map: not a regular file",
        .{},
    );
    if (stat.size == 0) return abi.fail(.io, "file_map: the file is empty", .{});
    const address = linux.mmap(null, stat.size, .{ .READ = true }, .{ .TYPE = .SHARED }, fd, 0);
    if (linux.errno(address) != .SUCCESS) return ioFail("mmap", linux.errno(address));
    file.address = address;
    file.bytes = stat.size;
    return .ok;
}

fn ioFail(comptime what: []const u8, errno: linux.E) Status {
    return abi.fail(.io, "file_map: " ++ what ++ " failed ({t})", .{errno});
}

/// An open file, for a tensor in it.
pub fn get(id: u32) ?*File {
    if (id == 0 or id > files_max or !files[id - 1].is_open) return null;
    return &files[id - 1];
}

pub fn unmap(id: u32) Status {
    const file = get(id) orelse return abi.fail(.bad_handle, "file_unmap: no file {d}", .{id});
    file.is_open = false;
    release(file);
    return .ok;
}

pub fn retain(file: *File) void {
    file.refs += 1;
}

pub fn release(file: *File) void {
    file.refs -= 1;
    if (file.refs > 0) return;
    _ = linux.munmap(@ptrFromInt(file.address), file.bytes);
    mapped -= file.bytes;
    file.* = .{};
}

/// Tells the kernel that a part is about to be read, so that it reads ahead.
pub fn willNeed(file: *const File, offset: u64, bytes: u64) void {
    const page = std.heap.page_size_min;
    const from = std.mem.alignBackward(u64, file.address + offset, page);
    _ = linux.madvise(@ptrFromInt(from), file.address + offset + bytes - from, linux.MADV.WILLNEED);
}

pub fn closeAll() void {
    for (&files) |*f| {
        if (!f.is_open) continue;
        f.is_open = false;
        release(f);
    }
}

test "a missing file and a folder are io errors with the reason" {
    var id: u32 = 0;
    var bytes: u64 = 0;
    try std.testing.expectEqual(Status.io, map("/nonexistent/file", &id, &bytes));
    try std.testing.expect(std.mem.indexOf(u8, abi.detail(), "NOENT") != null);
    try std.testing.expectEqual(Status.io, map("/", &id, &bytes));
    try std.testing.expectEqual(Status.bad_argument, map("a\x00b", &id, &bytes));
}

test "a mapping lives until its last user lets go" {
    var id: u32 = 0;
    var bytes: u64 = 0;
    try std.testing.expectEqual(Status.ok, map("/proc/self/exe", &id, &bytes));
    const file = get(id).?;
    retain(file);
    try std.testing.expectEqual(Status.ok, unmap(id));
    try std.testing.expectEqual(Status.bad_handle, unmap(id));
    try std.testing.expectEqualStrings(
        "\x7fELF",
        @as([*]const u8, @ptrFromInt(file.address))[0..4],
    );
    release(file);
    try std.testing.expectEqual(0, mappedBytes());
}
