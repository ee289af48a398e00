//! The emulated backend: the cuda backend's launchers and kernels, run by the emulator (emulate/)
//! on host memory. For proving kernels where there is no GPU. Before an op its tensors' exact
//! extents are told to the emulator, and every access of a kernel outside them is a reported fault.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const fatbins = @import("fatbins");
const hopper = @import("hopper.zig");
const launch = @import("launch.zig");
const ops_table = @import("ops.zig");
const sys = @import("../sys.zig");
const Status = api.Status;

pub const backend: api.Backend = .{
    .name = "emulated",
    .start = start,
    .stop = stop,
    .ops = ops,
    .info = info,
    .memory = .{
        .is_host = false,
        .alloc = alloc,
        .free = free,
        .upload = upload,
        .download = download,
        .sync = sync,
    },
};

/// Mirrors emu::Range.
const Range = extern struct { from: u64, bytes: u64 };

extern fn fp_emu_kernel(name: [*:0]const u8) callconv(.c) ?*const anyopaque;
extern fn fp_emu_launch(
    kernel: *const anyopaque,
    grid: *const [3]u32,
    threads: u32,
    shared: u32,
    args: [*]const u8,
    args_bytes: u32,
    workers: u32,
    text: [*]u8,
    text_max: u32,
) callconv(.c) u32;
extern fn fp_emu_alloc(bytes: u64) callconv(.c) ?[*]u8;
extern fn fp_emu_free(ptr: [*]u8) callconv(.c) void;
extern fn fp_emu_ranges(ranges: [*]const Range, count: u32) callconv(.c) void;

var workers: u32 = 1;
var scratch: u64 = 0;

fn start(config: api.Config) Status {
    if (config.device != 0) {
        return abi.fail(.bad_argument, "init: the emulated backend has device 0 only", .{});
    }
    workers = if (config.threads == 0) sys.cpuCount() else config.threads;
    const status = alloc(launch.scratch_bytes, &scratch);
    if (status != .ok) return status;
    launch.use(.{
        .find = find,
        .launch = run,
        .download = download,
        .hopper = if (pretendsHopper()) .{ .multiprocessors = 3, .encode = encode } else null,
        .scratch = scratch,
    });
    return .ok;
}

/// FRAMEPACK_EMULATE_ARCH=sm_90a chooses the kernels that a Hopper GPU would run.
fn pretendsHopper() bool {
    const arch = std.c.getenv("FRAMEPACK_EMULATE_ARCH") orelse return false;
    return std.mem.eql(u8, std.mem.span(arch), "sm_90a");
}

/// Mirrors emu::Map.
const Map = extern struct {
    magic: u64 = 0x70616d726f736e74,
    address: u64,
    dims: [3]u64,
    strides: [2]u64,
    box: [3]u32,
    rank: u32,
};

fn encode(out: *hopper.TensorMap, spec: hopper.Spec) Status {
    const map: Map = .{
        .address = spec.ptr,
        .dims = spec.dims,
        .strides = spec.strides,
        .box = spec.box,
        .rank = spec.rank,
    };
    @memcpy(std.mem.asBytes(out)[0..@sizeOf(Map)], std.mem.asBytes(&map));
    return .ok;
}

fn stop() void {
    free(scratch, launch.scratch_bytes);
}

fn ops() *const api.Ops {
    return &checked;
}

fn info() api.Info {
    return .{ .device = "emulator", .driver = fatbins.note, .arch = "host" };
}

// ------------------------------------------------------------------------------------------------

/// The op table, each op preceded by the extents of its tensors.
const checked: api.Ops = blk: {
    var table: api.Ops = undefined;
    for (@typeInfo(api.Ops).@"struct".fields) |field| {
        @field(table, field.name) = withRanges(field.name);
    }
    break :blk table;
};

fn Args(comptime op: []const u8) type {
    const function = @typeInfo(@FieldType(api.Ops, op)).pointer.child;
    return @typeInfo(@typeInfo(function).@"fn".params[0].type.?).pointer.child;
}

fn withRanges(comptime op: []const u8) @FieldType(api.Ops, op) {
    return struct {
        fn call(args: *const Args(op)) Status {
            var list: Extents = .{};
            list.add(.{ .from = scratch, .bytes = launch.scratch_bytes });
            inline for (@typeInfo(Args(op)).@"struct".fields) |field| switch (field.type) {
                api.Desc => list.addTensor(@field(args, field.name)),
                ?api.Desc => if (@field(args, field.name)) |d| list.addTensor(d),
                [api.lincomb_max]api.Desc => for (args.xs[0..args.n]) |d| list.addTensor(d),
                else => {},
            };
            fp_emu_ranges(&list.items, list.len);
            return @field(ops_table.table, op)(args);
        }
    }.call;
}

const Extents = struct {
    items: [16]Range = undefined,
    len: u32 = 0,

    fn add(list: *Extents, r: Range) void {
        list.items[list.len] = r;
        list.len += 1;
    }

    fn addTensor(list: *Extents, d: api.Desc) void {
        if (d.count() == 0) return;
        var last: u64 = 0;
        for (d.dims[0..d.rank], d.strides[0..d.rank]) |n, stride| last += @as(u64, n - 1) * stride;
        list.add(.{ .from = d.ptr, .bytes = (last + 1) * d.dtype.size() });
    }
};

fn find(module: launch.Module, name: [:0]const u8, out: *u64) Status {
    _ = module;
    const kernel = fp_emu_kernel(name) orelse
        return abi.fail(.device, "{s}: the library holds no such kernel", .{name});
    out.* = @intFromPtr(kernel);
    return .ok;
}

fn run(name: [:0]const u8, kernel: u64, shape: launch.Shape, args: []const u8) Status {
    var text: [900]u8 = undefined;
    const len = fp_emu_launch(
        @ptrFromInt(kernel),
        &shape.grid,
        shape.threads,
        shape.shared,
        args.ptr,
        @intCast(args.len),
        workers,
        &text,
        text.len,
    );
    if (len == 0) return .ok;
    return abi.fail(.device, "{s}: {s}", .{ name, text[0..len] });
}

// ------------------------------------------------------------------------------------------------

fn alloc(bytes: u64, out: *u64) Status {
    const p = fp_emu_alloc(bytes) orelse
        return abi.fail(.out_of_memory, "the machine has no {d} bytes left", .{bytes});
    out.* = @intFromPtr(p);
    return .ok;
}

fn free(ptr: u64, bytes: u64) void {
    _ = bytes;
    fp_emu_free(@ptrFromInt(ptr));
}

fn upload(dst: u64, src: [*]const u8, bytes: u64) Status {
    @memcpy(@as([*]u8, @ptrFromInt(dst))[0..bytes], src[0..bytes]);
    return .ok;
}

fn download(dst: [*]u8, src: u64, bytes: u64) Status {
    @memcpy(dst[0..bytes], @as([*]const u8, @ptrFromInt(src))[0..bytes]);
    return .ok;
}

fn sync() Status {
    return .ok;
}
