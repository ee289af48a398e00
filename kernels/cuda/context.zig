//! The cuda backend: one device, one stream in order, its memory, and the modules of the kernels.
//! Work is queued; downloads and syncs wait for it.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const blas = @import("blas.zig");
const driver = @import("driver.zig");
const hopper = @import("hopper.zig");
const fatbins = @import("fatbins");
const launch = @import("launch.zig");
const ops_table = @import("ops.zig");
const ring = @import("ring.zig");
const Status = api.Status;
const call = driver.call;

pub const backend: api.Backend = .{
    .name = "cuda",
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

var device: driver.Device = 0;
var context: driver.Handle = null;
var stream: driver.Handle = null;
var scratch: u64 = 0;
var modules: std.EnumArray(launch.Module, driver.Handle) = .initFill(null);
var about: struct {
    name: [128]u8 = @splat(0),
    driver: [32]u8 = undefined,
    driver_len: usize = 0,
    arch: [16]u8 = undefined,
    arch_len: usize = 0,
    bytes: u64 = 0,
    shared_max: u32 = 0,
    major: c_int = 0,
    minor: c_int = 0,
    multiprocessors: u32 = 0,
} = .{};
/// Counts contexts; a thread remembers which of them it made current.
var generation: u32 = 0;
threadlocal var entered_generation: u32 = 0;

fn start(config: api.Config) Status {
    if (!fatbins.has_code) return abi.fail(
        .unsupported,
        "init: this library was built without nvcc and holds no GPU code; use the cpu backend",
        .{},
    );
    const steps = [_]*const fn (api.Config) Status{ open, describe, prepare };
    for (steps) |step| {
        const status = step(config);
        if (status == .ok) continue;
        stop();
        return status;
    }
    launch.use(.{
        .find = find,
        .launch = run,
        .download = download,
        .multiply = if (blas.start(stream)) blas.multiply else null,
        .hopper = hopper.ofDriver(about.major, about.minor, about.multiprocessors),
        .scratch = scratch,
    });
    return .ok;
}

fn open(config: api.Config) Status {
    const loaded = driver.open();
    if (loaded != .ok) return loaded;
    const started = call("init", .cuInit, .{0});
    if (started != .ok) return started;
    var count: c_int = 0;
    const counted = call("init", .cuDeviceGetCount, .{&count});
    if (counted != .ok) return counted;
    if (config.device >= count) return abi.fail(
        .device,
        "init: there is no GPU {d}: {d} are visible (see nvidia-smi and CUDA_VISIBLE_DEVICES)",
        .{ config.device, count },
    );
    return call("init", .cuDeviceGet, .{ &device, @as(c_int, @intCast(config.device)) });
}

fn describe(_: api.Config) Status {
    about = .{};
    var version: c_int = 0;
    var major: c_int = 0;
    var minor: c_int = 0;
    var shared: c_int = 0;
    var multiprocessors: c_int = 0;
    var bytes: usize = 0;
    const asked = [_]Status{
        call("init", .cuDriverGetVersion, .{&version}),
        call("init", .cuDeviceGetName, .{ &about.name, about.name.len - 1, device }),
        call("init", .cuDeviceTotalMem_v2, .{ &bytes, device }),
        call("init", .cuDeviceGetAttribute, .{ &major, .major, device }),
        call("init", .cuDeviceGetAttribute, .{ &minor, .minor, device }),
        call("init", .cuDeviceGetAttribute, .{ &shared, .shared_optin, device }),
        call("init", .cuDeviceGetAttribute, .{ &multiprocessors, .multiprocessors, device }),
    };
    for (asked) |status| if (status != .ok) return status;
    const words = .{ @divTrunc(version, 1000), @rem(@divTrunc(version, 10), 100) };
    about.driver_len = textLen(&about.driver, "CUDA {d}.{d}", words);
    about.arch_len = textLen(&about.arch, "sm_{d}{d}", .{ major, minor });
    about.bytes = bytes;
    about.shared_max = @intCast(shared);
    about.major = major;
    about.minor = minor;
    about.multiprocessors = @intCast(multiprocessors);
    if (major < 8) return abi.fail(
        .device,
        "init: {s} has compute capability {d}.{d}; the kernels need 8.0 (Ampere) or newer",
        .{ std.mem.sliceTo(&about.name, 0), major, minor },
    );
    return .ok;
}

/// The buffers are large enough for any version and architecture.
fn textLen(buffer: []u8, comptime fmt: []const u8, args: anytype) usize {
    return (std.fmt.bufPrint(buffer, fmt, args) catch unreachable).len;
}

fn prepare(_: api.Config) Status {
    const retained = call("init", .cuDevicePrimaryCtxRetain, .{ &context, device });
    if (retained != .ok) return retained;
    generation += 1;
    const entered = enter();
    if (entered != .ok) return entered;
    const made = call("init", .cuStreamCreate, .{ &stream, driver.stream_non_blocking });
    if (made != .ok) return made;
    const status = alloc(launch.scratch_bytes, &scratch);
    if (status != .ok) return status;
    return ring.start(stream);
}

/// Undoes what `start` did, also after it stopped half-way.
fn stop() void {
    if (context == null) return;
    _ = enter();
    blas.stop();
    ring.stop();
    for (&modules.values) |*m| {
        if (m.* != null) _ = driver.api.cuModuleUnload(m.*);
        m.* = null;
    }
    if (scratch != 0) _ = driver.api.cuMemFree_v2(scratch);
    if (stream != null) _ = driver.api.cuStreamDestroy_v2(stream);
    scratch = 0;
    stream = null;
    context = null;
    _ = driver.api.cuDevicePrimaryCtxRelease_v2(device);
}

fn ops() *const api.Ops {
    return &ops_table.table;
}

fn info() api.Info {
    return .{
        .device = std.mem.sliceTo(&about.name, 0),
        .driver = about.driver[0..about.driver_len],
        .arch = about.arch[0..about.arch_len],
        .bytes = about.bytes,
    };
}

/// A context is current per thread, and ops may come from any.
fn enter() Status {
    if (entered_generation == generation) return .ok;
    const status = call("cuda", .cuCtxSetCurrent, .{context});
    if (status == .ok) entered_generation = generation;
    return status;
}

// ------------------------------------------------------------------------------------------------

fn find(module: launch.Module, name: [:0]const u8, out: *u64) Status {
    const entered = enter();
    if (entered != .ok) return entered;
    const slot = modules.getPtr(module);
    if (slot.* == null) {
        const status = call(name, .cuModuleLoadData, .{ slot, code(module) });
        if (status != .ok) return status;
    }
    var function: driver.Handle = null;
    const found = call(name, .cuModuleGetFunction, .{ &function, slot.*, name.ptr });
    if (found != .ok) return found;
    out.* = @intFromPtr(function);
    return .ok;
}

fn code(module: launch.Module) *const anyopaque {
    if (!fatbins.has_code) unreachable;
    return switch (module) {
        inline else => |m| &@field(fatbins, @tagName(m)),
    };
}

/// More dynamic shared memory than this must be asked for.
const shared_default = 48 << 10;

fn run(name: [:0]const u8, kernel: u64, shape: launch.Shape, args: []const u8) Status {
    const entered = enter();
    if (entered != .ok) return entered;
    const function: driver.Handle = @ptrFromInt(kernel);
    if (shape.shared > shared_default) {
        if (shape.shared > about.shared_max) return abi.fail(
            .unsupported,
            "{s}: {d} bytes of shared memory; this GPU has {d} a block",
            .{ name, shape.shared, about.shared_max },
        );
        const bytes: c_int = @intCast(shape.shared);
        // Cheap enough to ask at every launch: the driver only notes it.
        const what = driver.max_dynamic_shared;
        const raised = call(name, .cuFuncSetAttribute, .{ function, what, bytes });
        if (raised != .ok) return raised;
    }
    var params = [_]?*const anyopaque{args.ptr};
    return call(name, .cuLaunchKernel, .{
        function, shape.grid[0], shape.grid[1], shape.grid[2], shape.threads,
        1,        1,             shape.shared,  stream,        &params,
        null,
    });
}

// ------------------------------------------------------------------------------------------------

fn alloc(bytes: u64, out: *u64) Status {
    const entered = enter();
    if (entered != .ok) return entered;
    const result = driver.api.cuMemAlloc_v2(out, bytes);
    if (result == .success) return .ok;
    var left: usize = 0;
    var all: usize = 0;
    _ = driver.api.cuMemGetInfo_v2(&left, &all);
    if (result == .out_of_memory) return abi.fail(
        .out_of_memory,
        "the GPU has no {d} bytes left: {d} of {d} are free. Free some, or choose less",
        .{ bytes, left, all },
    );
    // Not about memory: an earlier kernel's fault, for example. Asked again for the driver's words.
    return call("alloc", .cuMemAlloc_v2, .{ out, bytes });
}

fn free(ptr: u64, bytes: u64) void {
    _ = bytes;
    if (enter() == .ok) _ = driver.api.cuMemFree_v2(ptr);
}

fn upload(dst: u64, src: [*]const u8, bytes: u64) Status {
    const entered = enter();
    return if (entered != .ok) entered else ring.upload(dst, src[0..bytes]);
}

fn download(dst: [*]u8, src: u64, bytes: u64) Status {
    const entered = enter();
    if (entered != .ok) return entered;
    if (bytes > 0) {
        const status = call("download", .cuMemcpyDtoHAsync_v2, .{ dst, src, bytes, stream });
        if (status != .ok) return status;
    }
    return sync();
}

fn sync() Status {
    const entered = enter();
    return if (entered != .ok) entered else call("sync", .cuStreamSynchronize, .{stream});
}
