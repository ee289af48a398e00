//! What launchers of sm_90a kernels need of their device: how many multiprocessors a persistent grid fills, and maps of
//! tensors for the copy engine. Null in launch.Device where the device is no Hopper.

const std = @import("std");
const api = @import("../backend.zig");
const abi = @import("../abi.zig");
const driver = @import("driver.zig");
const Status = api.Status;

/// Mirrors hopper.cuh; opaque words of whoever encodes it.
pub const TensorMap = extern struct { words: [16]u64 align(64) = @splat(0) };

/// Of a tensor's last `rank` dimensions, the innermost first. Strides in bytes, of all dimensions but the first.
pub const Spec = struct {
    ptr: u64,
    dtype: api.Dtype,
    rank: u32,
    dims: [3]u64,
    strides: [2]u64,
    /// 64 elements of 16 bits are the 128 bytes that are swizzled.
    box: [3]u32,

    pub fn matrix(d: api.Desc, rows: u32) Spec {
        return .{
            .ptr = d.ptr,
            .dtype = d.dtype,
            .rank = 2,
            .dims = .{ d.dims[1], d.dims[0], 1 },
            .strides = .{ stride(d, 0), 0 },
            .box = .{ 64, rows, 1 },
        };
    }

    /// [T, H, D] as boxes of [rows, 1, 64].
    pub fn heads(d: api.Desc, rows: u32) Spec {
        return .{
            .ptr = d.ptr,
            .dtype = d.dtype,
            .rank = 3,
            .dims = .{ d.dims[2], d.dims[1], d.dims[0] },
            .strides = .{ stride(d, 1), stride(d, 0) },
            .box = .{ 64, 1, rows },
        };
    }
};

/// Of a dimension of one element any stride is right, but the copy engine takes no 0.
fn stride(d: api.Desc, axis: usize) u64 {
    return if (d.dims[axis] > 1) @as(u64, d.strides[axis]) * d.dtype.size() else 16;
}

/// Whether the copy engine takes the tensor: rows on 16 bytes, nothing broadcast, nothing empty.
pub fn fits(d: api.Desc) bool {
    if (d.ptr % 16 != 0 or d.dtype.size() != 2) return false;
    for (d.dims[0..d.rank]) |n| if (n == 0) return false;
    for (0..d.rank - 1) |axis| {
        const bytes = stride(d, axis);
        if (bytes == 0 or bytes % 16 != 0 or bytes >= 1 << 40) return false;
    }
    return true;
}

pub const Hopper = struct {
    multiprocessors: u32,
    encode: *const fn (*TensorMap, Spec) Status,
};

// ---------------------------------------------------------------------------------------------------------------------

const Encode = *const fn (
    *TensorMap,
    dtype: c_int,
    rank: u32,
    ptr: u64,
    dims: *const [3]u64,
    strides: *const [2]u64,
    box: *const [3]u32,
    element_strides: *const [3]u32,
    interleave: c_int,
    swizzle: c_int,
    l2_promotion: c_int,
    fill: c_int,
) callconv(.c) driver.Result;

var encode: ?Encode = null;

/// The driver's, on a device of compute capability 9.0; null where its driver is older than tensor maps are.
pub fn ofDriver(major: c_int, minor: c_int, multiprocessors: u32) ?Hopper {
    if (major != 9 or minor != 0) return null;
    encode = @ptrCast(driver.optional("cuTensorMapEncodeTiled") orelse return null);
    return .{ .multiprocessors = multiprocessors, .encode = encodeByDriver };
}

/// Numbers of the driver's ABI: types FLOAT16 and BFLOAT16, swizzle of 128 bytes, L2 fetches of 256.
fn encodeByDriver(out: *TensorMap, spec: Spec) Status {
    const dtype: c_int = if (spec.dtype == .bf16) 9 else 6;
    const ones: [3]u32 = @splat(1);
    const call = encode orelse unreachable;
    const s = &spec;
    const result = call(out, dtype, s.rank, s.ptr, &s.dims, &s.strides, &s.box, &ones, 0, 3, 3, 0);
    return driver.check("tensor map", "cuTensorMapEncodeTiled", result);
}
