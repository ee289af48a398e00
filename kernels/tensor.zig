//! Tensors by handle: slot in the low 20 bits, generation in the high 12, never 0. A tensor is a
//! window (offset, dims, strides) on a storage that views share; the storage goes with its last
//! tensor. Scopes are lists of tensors. Everything here runs under the library's lock.

const std = @import("std");
const api = @import("backend.zig");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const files = @import("files.zig");
const shape = @import("shape.zig");
const Status = api.Status;

pub const slots_max = 1 << 20;
const generation_max = (1 << 12) - 1;
/// A slot rests while fewer than this many others are free, so that a stale handle stays stale for
/// long.
const resting = 1024;
pub const scopes_max = 256;
const none = std.math.maxInt(u32);
const gpa = std.heap.c_allocator;

/// Memory that tensors share: a block of the arena, or a piece of a mapped file (read-only).
pub const Storage = struct {
    refs: u32,
    ptr: u64,
    /// What was asked for; views stay inside.
    bytes: u64,
    block: arena.Block,
    file: ?*files.File,
    on_device: bool,

    pub fn isReadOnly(s: Storage) bool {
        return s.file != null;
    }
};

pub const Tensor = struct {
    desc: api.Desc = .{ .ptr = 0, .dtype = .f32, .rank = 0 },
    storage: ?*Storage = null,
    generation: u32 = 1,
    /// The scope it belongs to (0: none), and its neighbours there; `next` also links free slots.
    scope: u32 = 0,
    prev: u32 = none,
    next: u32 = none,
};

const Scope = struct { first: u32 = none };

var table: std.ArrayList(Tensor) = .empty;
var free_first: u32 = none;
var free_last: u32 = none;
var free_count: u32 = 0;
var live_count: u32 = 0;
var scopes: [scopes_max]Scope = @splat(.{});
/// Index of the innermost scope; 0 is the outermost, which nothing pops.
var depth: u32 = 0;

pub fn liveCount() u32 {
    return live_count;
}

pub fn get(handle: u32) ?*const Tensor {
    return find(handle);
}

fn find(handle: u32) ?*Tensor {
    const slot = handle % slots_max;
    if (slot >= table.items.len) return null;
    const t = &table.items[slot];
    return if (t.storage != null and t.generation == handle / slots_max) t else null;
}

/// Why a handle names no tensor, in words.
pub fn explain(handle: u32) []const u8 {
    if (handle == 0) return "no tensor was given";
    return if (handle % slots_max < table.items.len) "it was freed" else "there never was one";
}

/// Uninitialised memory; rows of more than 2^32 elements have no u32 stride and are refused.
pub fn create(comptime op: []const u8, dtype: api.Dtype, dims: []const u32, out: *u32) Status {
    const bytes = shape.byteCount(dtype, dims) orelse
        return abi.fail(
            .bad_shape,
            op ++ ": {f} is larger than 2^48 bytes",
            .{shape.List{ .items = dims }},
        );
    var desc = shape.rowMajor(dtype, dims) orelse
        return abi.fail(
            .bad_shape,
            op ++ ": a row of {f} has more than 2^32 elements",
            .{shape.List{ .items = dims }},
        );
    const storage = gpa.create(Storage) catch return noMemory(op);
    var block: arena.Block = undefined;
    const status = arena.alloc(bytes, &block);
    if (status != .ok) {
        gpa.destroy(storage);
        return status;
    }
    storage.* = .{
        .refs = 0,
        .ptr = block.ptr,
        .bytes = bytes,
        .block = block,
        .file = null,
        .on_device = true,
    };
    desc.ptr = block.ptr;
    return insert(op, desc, storage, out);
}

/// A tensor in a mapped file; the caller checked range and alignment.
pub fn createInFile(
    file: *files.File,
    offset: u64,
    dtype: api.Dtype,
    dims: []const u32,
    on_device: bool,
    out: *u32,
) Status {
    const op = "tensor_from_file";
    var desc = shape.rowMajor(dtype, dims) orelse
        return abi.fail(
            .bad_shape,
            op ++ ": a row of {f} has more than 2^32 elements",
            .{shape.List{ .items = dims }},
        );
    const storage = gpa.create(Storage) catch return noMemory(op);
    files.retain(file);
    storage.* = .{
        .refs = 0,
        .ptr = file.address + offset,
        .bytes = shape.byteCount(dtype, dims).?,
        .block = undefined,
        .file = file,
        .on_device = on_device,
    };
    desc.ptr = storage.ptr;
    return insert(op, desc, storage, out);
}

/// A window on `source`'s storage. `offset` counts elements from its first one.
pub fn view(
    source: *const Tensor,
    offset: u64,
    dims: []const u32,
    strides: []const u32,
    out: *u32,
) Status {
    const size = source.desc.dtype.size();
    const storage = source.storage.?;
    var desc: api.Desc = .{ .ptr = 0, .dtype = source.desc.dtype, .rank = @intCast(dims.len) };
    // In 128 bits nothing overflows: six products of two 32-bit numbers and one 64-bit offset.
    var last: u128 = offset;
    var is_empty = false;
    for (dims, strides, 0..) |d, s, i| {
        desc.dims[i] = d;
        desc.strides[i] = s;
        if (d == 0) is_empty = true;
        last += @as(u128, d -| 1) * s;
    }
    const first: u128 = source.desc.ptr - storage.ptr;
    const end = first + (if (is_empty) @as(u128, offset) else last + 1) * size;
    // No more elements than the memory holds: a broadcast must not make an op endless.
    const bytes = shape.byteCount(desc.dtype, dims) orelse shape.bytes_max;
    if (end > storage.bytes or bytes > storage.bytes) return abi.fail(
        .bad_shape,
        "tensor_view: {f} with strides {f} at element {d} lies outside the parent's {d} bytes",
        .{
            shape.List{ .items = dims },
            shape.List{ .items = strides },
            offset,
            storage.bytes - @as(u64, @intCast(first)),
        },
    );
    desc.ptr = source.desc.ptr + offset * size;
    return insert("tensor_view", desc, storage, out);
}

fn insert(comptime op: []const u8, desc: api.Desc, storage: *Storage, out: *u32) Status {
    const slot = takeSlot() orelse {
        if (storage.refs == 0) destroy(storage);
        return noMemory(op);
    };
    storage.refs += 1;
    live_count += 1;
    const t = &table.items[slot];
    t.desc = desc;
    t.storage = storage;
    link(slot, depth);
    out.* = t.generation * slots_max + slot;
    return .ok;
}

fn takeSlot() ?u32 {
    if (free_count <= resting and table.items.len < slots_max) {
        table.append(gpa, .{}) catch return null;
        return @intCast(table.items.len - 1);
    }
    if (free_count == 0) return null;
    const slot = free_first;
    free_first = table.items[slot].next;
    if (free_first == none) free_last = none;
    free_count -= 1;
    return slot;
}

fn noMemory(comptime op: []const u8) Status {
    return abi.fail(.out_of_memory, op ++ ": no room for another tensor ({d} live)", .{live_count});
}

pub fn free(handle: u32) bool {
    const t = find(handle) orelse return false;
    const slot = handle % slots_max;
    unlink(slot);
    const storage = t.storage.?;
    storage.refs -= 1;
    if (storage.refs == 0) destroy(storage);
    t.storage = null;
    t.generation = if (t.generation == generation_max) 1 else t.generation + 1;
    t.next = none;
    if (free_last == none) free_first = slot else table.items[free_last].next = slot;
    free_last = slot;
    free_count += 1;
    live_count -= 1;
    return true;
}

fn destroy(storage: *Storage) void {
    if (storage.file) |file| files.release(file) else arena.free(storage.block);
    gpa.destroy(storage);
}

// -------------------------------------------------------------------------------------------------

pub fn pushScope() Status {
    if (depth + 1 == scopes_max) {
        return abi.fail(
            .bad_argument,
            "scope_push: {d} scopes are open already",
            .{scopes_max - 1},
        );
    }
    depth += 1;
    return .ok;
}

/// Frees what was made in the innermost scope and not kept.
pub fn popScope() Status {
    if (depth == 0) return abi.fail(.bad_argument, "scope_pop: no scope is open", .{});
    while (scopes[depth].first != none) {
        const slot = scopes[depth].first;
        const freed = free(table.items[slot].generation * slots_max + slot);
        std.debug.assert(freed);
    }
    depth -= 1;
    return .ok;
}

/// Moves a tensor one scope out; a tensor of the outermost scope stays.
pub fn keep(handle: u32) bool {
    const t = find(handle) orelse return false;
    if (t.scope == 0) return true;
    const to = t.scope - 1;
    unlink(handle % slots_max);
    link(handle % slots_max, to);
    return true;
}

fn link(slot: u32, scope: u32) void {
    const t = &table.items[slot];
    t.scope = scope;
    t.prev = none;
    t.next = scopes[scope].first;
    if (t.next != none) table.items[t.next].prev = slot;
    scopes[scope].first = slot;
}

fn unlink(slot: u32) void {
    const t = &table.items[slot];
    if (t.prev == none) scopes[t.scope].first = t.next else table.items[t.prev].next = t.next;
    if (t.next != none) table.items[t.next].prev = t.prev;
}

/// Frees every tensor; handles from before stay stale.
pub fn freeAll() void {
    for (table.items, 0..) |t, slot| {
        if (t.storage == null) continue;
        _ = free(t.generation * slots_max + @as(u32, @intCast(slot)));
    }
    depth = 0;
}

const host = &@import("cpu/backend.zig").memory;

fn testStart(budget: u64) void {
    arena.start(host, budget);
}

fn testStop() void {
    freeAll();
    arena.stop();
}

test "a freed handle stays stale while its slot is used again" {
    testStart(0);
    defer testStop();
    var first: u32 = 0;
    try std.testing.expectEqual(Status.ok, create("new", .f32, &.{4}, &first));
    try std.testing.expect(free(first));
    for (0..5 * resting) |_| {
        var h: u32 = 0;
        _ = create("new", .f32, &.{4}, &h);
        try std.testing.expect(h != first and h != 0);
        try std.testing.expect(free(h));
        try std.testing.expect(get(first) == null);
    }
    try std.testing.expect(!free(first));
}

test "memory goes with the last view, not with its maker" {
    testStart(0);
    defer testStop();
    var a: u32 = 0;
    var b: u32 = 0;
    _ = create("new", .bf16, &.{ 8, 8 }, &a);
    try std.testing.expectEqual(Status.ok, view(get(a).?, 8, &.{ 2, 8 }, &.{ 8, 1 }, &b));
    try std.testing.expect(free(a));
    try std.testing.expectEqual(128, arena.usage().live);
    try std.testing.expect(free(b));
    try std.testing.expectEqual(0, arena.usage().live);
}

test "a view stays inside its parent's memory, whatever the numbers" {
    testStart(0);
    defer testStop();
    var a: u32 = 0;
    var b: u32 = 0;
    const max = std.math.maxInt(u32);
    _ = create("new", .f32, &.{ 4, 4 }, &a);
    const t = get(a).?;
    try std.testing.expectEqual(Status.bad_shape, view(t, 1, &.{ 4, 4 }, &.{ 4, 1 }, &b));
    try std.testing.expectEqual(Status.bad_shape, view(t, 0, &.{ 4, 5 }, &.{ 4, 1 }, &b));
    try std.testing.expectEqual(Status.bad_shape, view(t, std.math.maxInt(u64), &.{1}, &.{1}, &b));
    const d: [6]u32 = @splat(max);
    try std.testing.expectEqual(Status.bad_shape, view(t, 0, &d, &d, &b));
    const zero: [6]u32 = @splat(0);
    try std.testing.expectEqual(Status.bad_shape, view(t, 0, &d, &zero, &b));
    try std.testing.expectEqual(Status.bad_shape, view(t, 0, &.{ 5, 4 }, &.{ 0, 1 }, &b));
    try std.testing.expectEqual(Status.ok, view(t, 0, &.{ 4, 4 }, &.{ 0, 1 }, &b));
}

test "a scope frees what it made, but for what was kept" {
    testStart(0);
    defer testStop();
    var made: [3]u32 = undefined;
    _ = create("new", .f32, &.{1}, &made[0]);
    _ = pushScope();
    _ = create("new", .f32, &.{1}, &made[1]);
    _ = create("new", .f32, &.{1}, &made[2]);
    try std.testing.expect(keep(made[2]));
    try std.testing.expectEqual(Status.ok, popScope());
    try std.testing.expect(get(made[0]) != null);
    try std.testing.expect(get(made[1]) == null);
    try std.testing.expect(get(made[2]) != null);
    try std.testing.expectEqual(Status.bad_argument, popScope());
}

test "sizes beyond 2^48 bytes are refused before anything is allocated" {
    testStart(1 << 20);
    defer testStop();
    var h: u32 = 0;
    const d: [6]u32 = @splat(std.math.maxInt(u32));
    try std.testing.expectEqual(Status.bad_shape, create("new", .f32, &d, &h));
    try std.testing.expectEqual(Status.out_of_budget, create("new", .f32, &.{ 1 << 20, 4 }, &h));
    try std.testing.expectEqual(0, liveCount());
}
