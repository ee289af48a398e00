//! Starting a kernel by name on whatever device runs: a GPU through the driver, or the emulator. An op's launcher picks
//! kernel, grid and shared memory; it does not know which device it is on.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const Hopper = @import("hopper.zig").Hopper;
const Status = api.Status;

/// The .cu files: each is one module of GPU code.
pub const Module = enum {
    adaln,
    attention,
    attention_sm90,
    blend,
    conv3d,
    copy,
    elementwise,
    embed,
    matmul,
    matmul_sm90,
    norm,
    patch,
    preview,
    rope,
    stats,
    teacache,
    unipc,
};

pub const Shape = struct { grid: [3]u32, threads: u32, shared: u32 = 0 };

/// Scratch for the two-pass reductions of one op; the next op may overwrite it.
pub const scratch_bytes = 16 << 20;

/// What a device offers to launchers.
pub const Device = struct {
    find: *const fn (module: Module, name: [:0]const u8, out: *u64) Status,
    launch: *const fn (name: [:0]const u8, kernel: u64, shape: Shape, args: []const u8) Status,
    /// For one small answer: waits for queued work.
    download: *const fn (dst: [*]u8, src: u64, bytes: u64) Status,
    /// The matrix product by a library of the vendor; null where there is none, unsupported where it has no code.
    multiply: ?*const fn (*const api.Matmul) Status = null,
    /// For kernels of sm_90a.
    hopper: ?Hopper = null,
    scratch: u64 = 0,
};

pub var device: Device = undefined;
/// Kernels found before another device started are forgotten.
var generation: u32 = 0;

pub fn use(d: Device) void {
    device = d;
    generation += 1;
}

pub fn run(
    comptime module: Module,
    comptime name: [:0]const u8,
    shape: Shape,
    args: anytype,
) Status {
    const found = struct {
        // Makes this a type of its own for every kernel.
        pub const of_kernel = name;
        var kernel: u64 = 0;
        var of: u32 = 0;
    };
    if (shape.grid[0] == 0 or shape.grid[1] == 0 or shape.grid[2] == 0) return .ok;
    if (shape.grid[0] > std.math.maxInt(i32) or shape.grid[1] > 65535 or shape.grid[2] > 65535) {
        return abi.fail(.unsupported, name ++ ": a grid of {d} x {d} x {d} blocks is too large", .{
            shape.grid[0], shape.grid[1], shape.grid[2],
        });
    }
    if (found.of != generation) {
        const status = device.find(module, name, &found.kernel);
        if (status != .ok) return status;
        found.of = generation;
    }
    return device.launch(name, found.kernel, shape, std.mem.asBytes(&args));
}

/// As `run`, with the name completed by a float dtype: "adaln", .bf16 -> adaln_bf16_kernel.
pub fn runTyped(
    comptime module: Module,
    comptime stem: []const u8,
    dtype: api.Dtype,
    shape: Shape,
    args: anytype,
) Status {
    return switch (dtype) {
        inline .f32, .bf16, .f16 => |d| run(module, stem ++ "_" ++ @tagName(d) ++ "_kernel", shape, args),
        else => abi.fail(.bad_dtype, stem ++ ": {t} is no float type", .{dtype}),
    };
}

pub fn ceilDiv(n: u64, by: u64) u64 {
    return (n + by - 1) / by;
}

/// A grid in one dimension; one too large for a launch is refused by `run`.
pub fn line(n: u64, by: u64) [3]u32 {
    return .{ std.math.cast(u32, ceilDiv(n, by)) orelse std.math.maxInt(u32), 1, 1 };
}
