//! Exported functions of tensors, files and scopes.

const std = @import("std");
const abi = @import("../abi.zig");
const backend = @import("../backend.zig");
const files = @import("../files.zig");
const shapes = @import("../shape.zig");
const state = @import("../state.zig");
const tensor = @import("../tensor.zig");
const call = @import("call.zig");
const Status = backend.Status;
const rank_max = backend.rank_max;

const Dims = ?[*]const u32;

pub fn fp_tensor_new(dtype: u32, rank: u32, dims: Dims, out: ?*u32) callconv(.c) Status {
    var c: call.Call = .begin("tensor_new");
    defer c.end();
    const d, const kind = header(&c, dtype, rank, dims, out) orelse return c.status;
    const status = tensor.create("tensor_new", kind, d, out.?);
    if (status == .ok and @import("builtin").mode == .Debug) poison(out.?.*);
    return status;
}

/// Makes reading what was never written show: 0xFF is NaN in every float type.
fn poison(handle: u32) void {
    const storage = tensor.get(handle).?.storage.?;
    if (!state.current().?.memory.is_host) return;
    @memset(@as([*]u8, @ptrFromInt(storage.ptr))[0..storage.bytes], 0xFF);
}

fn header(
    c: *call.Call,
    dtype: u32,
    rank: u32,
    dims: Dims,
    out: ?*u32,
) ?struct { []const u32, backend.Dtype } {
    const kind = c.tag(backend.Dtype, "dtype", dtype);
    if (rank == 0 or rank > rank_max) c.reject(
        .bad_shape,
        "rank {d}, want 1 to {d}",
        .{ rank, rank_max },
    );
    if (dims == null or out == null) c.reject(.bad_argument, "dims or output pointer missing", .{});
    return if (c.status == .ok) .{ dims.?[0..rank], kind } else null;
}

pub fn fp_tensor_view(
    src: u32,
    offset: u64,
    rank: u32,
    dims: Dims,
    strides: Dims,
    out: ?*u32,
) callconv(.c) Status {
    var c: call.Call = .begin("tensor_view");
    defer c.end();
    const d, _ = header(&c, 0, rank, dims, out) orelse return c.status;
    if (strides == null) c.reject(.bad_argument, "strides pointer missing", .{});
    const t = c.resolve("src", src) orelse return c.status;
    // A copy: making a slot may move the table.
    const source = t.*;
    return tensor.view(&source, offset, d, strides.?[0..rank], out.?);
}

pub fn fp_tensor_free(handle: u32) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    return if (tensor.free(handle)) .ok else stale("tensor_free", handle);
}

fn stale(comptime op: []const u8, handle: u32) Status {
    return abi.fail(.bad_handle, op ++ ": no live tensor ({s})", .{tensor.explain(handle)});
}

pub fn fp_tensor_info(handle: u32, out: ?*[16]u32) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    const to = out orelse return abi.fail(.bad_argument, "tensor_info: no output was given", .{});
    const t = tensor.get(handle) orelse return stale("tensor_info", handle);
    to[0] = @intFromEnum(t.desc.dtype);
    to[1] = t.desc.rank;
    to[2..8].* = t.desc.dims;
    to[8..14].* = t.desc.strides;
    to[14] = @intFromBool(t.desc.isContiguous());
    to[15] = @intFromBool(t.storage.?.on_device);
    return .ok;
}

pub fn fp_upload(handle: u32, ptr: ?[*]const u8, bytes: u64) callconv(.c) Status {
    var c: call.Call = .begin("upload");
    defer c.end();
    const x = c.out("tensor", handle, &.{});
    checkTransfer(&c, x, ptr != null, bytes);
    if (c.status != .ok or bytes == 0) return c.status;
    return state.current().?.memory.upload(x.d.ptr, ptr.?, bytes);
}

pub fn fp_download(handle: u32, ptr: ?[*]u8, bytes: u64) callconv(.c) Status {
    var c: call.Call = .begin("download");
    defer c.end();
    const t = c.resolve("tensor", handle) orelse return c.status;
    const x = c.add("tensor", t.desc);
    checkTransfer(&c, x, ptr != null, bytes);
    if (c.status != .ok or bytes == 0) return c.status;
    if (t.storage.?.on_device) return state.current().?.memory.download(ptr.?, x.d.ptr, bytes);
    @memcpy(ptr.?[0..bytes], x.d.host(u8)[0..bytes]);
    return .ok;
}

fn checkTransfer(c: *call.Call, x: call.Operand, has_pointer: bool, bytes: u64) void {
    c.contiguous(x);
    const want = x.d.count() * x.d.dtype.size();
    if (bytes != want) c.reject(
        .bad_shape,
        "{d} bytes for {f}, want {d}",
        .{ bytes, call.shape(x.d), want },
    );
    if (!has_pointer and want > 0) c.reject(.bad_argument, "no memory was given", .{});
}

pub fn fp_scope_push() callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    return tensor.pushScope();
}

pub fn fp_scope_pop() callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    return tensor.popScope();
}

pub fn fp_scope_keep(handle: u32) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    return if (tensor.keep(handle)) .ok else stale("scope_keep", handle);
}

pub fn fp_file_map(path: ?[*]const u8, len: u32, out: ?*u32, size_out: ?*u64) callconv(.c) Status {
    var c: call.Call = .begin("file_map");
    defer c.end();
    if (path == null or out == null or size_out == null) c.reject(
        .bad_argument,
        "a pointer is missing",
        .{},
    );
    if (c.status != .ok) return c.status;
    return files.map(path.?[0..len], out.?, size_out.?);
}

pub fn fp_file_unmap(id: u32) callconv(.c) Status {
    state.mutex.lock();
    defer state.mutex.unlock();
    return files.unmap(id);
}

/// Where the device is the host, the tensor is the file itself; where a value would start at an odd
/// address, a copy.
pub fn fp_tensor_from_file(
    id: u32,
    offset: u64,
    dtype: u32,
    rank: u32,
    dims: Dims,
    out: ?*u32,
) callconv(.c) Status {
    var c: call.Call = .begin("tensor_from_file");
    defer c.end();
    const d, const kind = header(&c, dtype, rank, dims, out) orelse return c.status;
    const file = files.get(id) orelse {
        c.reject(.bad_handle, "no file {d}", .{id});
        return c.status;
    };
    const bytes = shapes.byteCount(kind, d) orelse {
        c.reject(.bad_shape, "{f} is larger than 2^48 bytes", .{shapes.List{ .items = d }});
        return c.status;
    };
    if (offset > file.bytes or bytes > file.bytes - offset) c.reject(
        .bad_shape,
        "{d} bytes at {d} lie outside the file's {d}",
        .{ bytes, offset, file.bytes },
    );
    if (c.status != .ok) return c.status;
    const memory = &state.current().?.memory;
    if (bytes > 0) files.willNeed(file, offset, bytes);
    if (offset % kind.size() == 0) {
        return tensor.createInFile(file, offset, kind, d, memory.is_host, out.?);
    }
    const status = tensor.create("tensor_from_file", kind, d, out.?);
    if (status != .ok or bytes == 0) return status;
    const source: [*]const u8 = @ptrFromInt(file.address + offset);
    return memory.upload(tensor.get(out.?.*).?.desc.ptr, source, bytes);
}
