//! The CUDA driver's functions, found in libcuda at run time: nothing of CUDA is needed to build or
//! load the library. Every call goes through `call`, which turns a refusal into a status with the
//! driver's own words and what to do.

const std = @import("std");
const abi = @import("../abi.zig");
const Status = abi.Status;

pub const Result = enum(c_int) {
    success = 0,
    invalid_value = 1,
    out_of_memory = 2,
    not_initialized = 3,
    stub_library = 34,
    no_device = 100,
    invalid_device = 101,
    invalid_image = 200,
    no_binary_for_gpu = 209,
    invalid_ptx = 218,
    jit_compiler_not_found = 221,
    unsupported_ptx_version = 222,
    not_found = 500,
    not_ready = 600,
    illegal_address = 700,
    system_driver_mismatch = 803,
    _,
};

pub const Device = c_int;
pub const Handle = ?*anyopaque;

/// Attributes asked of a device; numbers of the driver's ABI.
pub const Attribute = enum(c_int) {
    multiprocessors = 16,
    major = 75,
    minor = 76,
    shared_optin = 97,
};

/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
pub const max_dynamic_shared = 8;
/// CU_STREAM_NON_BLOCKING
pub const stream_non_blocking = 1;
/// CU_EVENT_DISABLE_TIMING
pub const event_disable_timing = 2;

/// One field a function, named as in the library.
pub const Api = struct {
    cuInit: *const fn (c_uint) callconv(.c) Result,
    cuDriverGetVersion: *const fn (*c_int) callconv(.c) Result,
    cuGetErrorName: *const fn (Result, *?[*:0]const u8) callconv(.c) Result,
    cuGetErrorString: *const fn (Result, *?[*:0]const u8) callconv(.c) Result,
    cuDeviceGetCount: *const fn (*c_int) callconv(.c) Result,
    cuDeviceGet: *const fn (*Device, c_int) callconv(.c) Result,
    cuDeviceGetName: *const fn ([*]u8, c_int, Device) callconv(.c) Result,
    cuDeviceTotalMem_v2: *const fn (*usize, Device) callconv(.c) Result,
    cuDeviceGetAttribute: *const fn (*c_int, Attribute, Device) callconv(.c) Result,
    cuDevicePrimaryCtxRetain: *const fn (*Handle, Device) callconv(.c) Result,
    cuDevicePrimaryCtxRelease_v2: *const fn (Device) callconv(.c) Result,
    cuCtxSetCurrent: *const fn (Handle) callconv(.c) Result,
    cuMemGetInfo_v2: *const fn (*usize, *usize) callconv(.c) Result,
    cuMemAlloc_v2: *const fn (*u64, usize) callconv(.c) Result,
    cuMemFree_v2: *const fn (u64) callconv(.c) Result,
    cuMemHostAlloc: *const fn (*?[*]u8, usize, c_uint) callconv(.c) Result,
    cuMemFreeHost: *const fn ([*]u8) callconv(.c) Result,
    cuMemcpyHtoDAsync_v2: *const fn (u64, [*]const u8, usize, Handle) callconv(.c) Result,
    cuMemcpyDtoHAsync_v2: *const fn ([*]u8, u64, usize, Handle) callconv(.c) Result,
    cuStreamCreate: *const fn (*Handle, c_uint) callconv(.c) Result,
    cuStreamDestroy_v2: *const fn (Handle) callconv(.c) Result,
    cuStreamSynchronize: *const fn (Handle) callconv(.c) Result,
    cuEventCreate: *const fn (*Handle, c_uint) callconv(.c) Result,
    cuEventDestroy_v2: *const fn (Handle) callconv(.c) Result,
    cuEventRecord: *const fn (Handle, Handle) callconv(.c) Result,
    cuEventSynchronize: *const fn (Handle) callconv(.c) Result,
    cuModuleLoadData: *const fn (*Handle, *const anyopaque) callconv(.c) Result,
    cuModuleUnload: *const fn (Handle) callconv(.c) Result,
    cuModuleGetFunction: *const fn (*Handle, Handle, [*:0]const u8) callconv(.c) Result,
    cuFuncSetAttribute: *const fn (Handle, c_int, c_int) callconv(.c) Result,
    cuLaunchKernel: *const fn (
        Handle,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        Handle,
        ?[*]?*const anyopaque,
        ?[*]?*anyopaque,
    ) callconv(.c) Result,
};

pub var api: Api = undefined;
var library: ?*anyopaque = null;

/// Where a driver puts its library, besides the loader's own paths.
const names = [_][:0]const u8{ "libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so" };

/// Loads libcuda once; it stays for the life of the process. FRAMEPACK_LIBCUDA names another file.
pub fn open() Status {
    if (library != null) return .ok;
    library = blk: {
        if (std.c.getenv("FRAMEPACK_LIBCUDA")) |path| {
            break :blk std.c.dlopen(path, .{ .NOW = true });
        }
        for (names) |name| if (std.c.dlopen(name, .{ .NOW = true })) |l| break :blk l;
        break :blk null;
    };
    const l = library orelse return abi.fail(
        .device,
        "init: there is no NVIDIA driver here (no libcuda.so.1): install it, or use the cpu",
        .{},
    );
    inline for (@typeInfo(Api).@"struct".fields) |field| {
        const symbol = std.c.dlsym(l, field.name) orelse {
            library = null;
            const text = "init: the NVIDIA driver is too old: it has no {s}";
            return abi.fail(.device, text, .{field.name});
        };
        @field(api, field.name) = @ptrCast(@alignCast(symbol));
    }
    return .ok;
}

/// A function that newer drivers have, after `open`.
pub fn optional(name: [:0]const u8) ?*anyopaque {
    return std.c.dlsym(library orelse return null, name);
}

/// Calls a driver function; the op's name begins the text of a failure.
pub fn call(op: []const u8, comptime function: std.meta.FieldEnum(Api), args: anytype) Status {
    const result: Result = @call(.auto, @field(api, @tagName(function)), args);
    return check(op, @tagName(function), result);
}

/// The status of a driver function's result.
pub fn check(op: []const u8, function: []const u8, result: Result) Status {
    if (result == .success) return .ok;
    return refuse(op, function, result);
}

fn refuse(op: []const u8, function: []const u8, result: Result) Status {
    @branchHint(.cold);
    var name: ?[*:0]const u8 = null;
    var words: ?[*:0]const u8 = null;
    _ = api.cuGetErrorName(result, &name);
    _ = api.cuGetErrorString(result, &words);
    const status: Status = if (result == .out_of_memory) .out_of_memory else .device;
    return abi.fail(status, "{s}: {s} failed with {s} ({s}){s}", .{
        op,
        function,
        if (name) |n| std.mem.span(n) else "an unknown error",
        if (words) |w| std.mem.span(w) else "no words",
        advice(result),
    });
}

fn advice(result: Result) []const u8 {
    return switch (result) {
        .out_of_memory => ": free memory on the GPU, or choose a smaller setting",
        .no_device,
        .invalid_device,
        => ": no such GPU is visible; see nvidia-smi and CUDA_VISIBLE_DEVICES",
        .stub_library => ": this libcuda is the toolkit's stub; the driver's own must come first",
        .no_binary_for_gpu,
        .invalid_image,
        => ": this build holds no code for this GPU (it needs sm_80 or newer)",
        .invalid_ptx,
        .unsupported_ptx_version,
        .jit_compiler_not_found,
        => ": the driver is too old for this build",
        .system_driver_mismatch => ": the driver was updated; restart, or reload its kernel module",
        .illegal_address => ": a kernel touched memory that is not its own; this is a bug",
        else => "",
    };
}
