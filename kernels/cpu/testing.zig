//! For the tests of the CPU ops: tensors in test memory, seeded values, and the rule of tolerance.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");

/// Memory of one tensor, freed by deinit. Every element not written by a test stays `poison`.
pub const Buffer = struct {
    bytes: []align(64) u8,
    desc: backend.Desc,

    pub const poison: f32 = -77.5; // exact in every dtype

    /// Row-major, but rows of the last dimension lie `row_stride` apart (0: dense), and the first
    /// element lies `offset` elements in: a view into something wider.
    pub fn init(dtype: backend.Dtype, dims: []const u32, row_stride: u32, offset: u32) !Buffer {
        var desc: backend.Desc = .{ .ptr = 0, .dtype = dtype, .rank = @intCast(dims.len) };
        @memcpy(desc.dims[0..dims.len], dims);
        var stride: u32 = 1;
        var i = dims.len;
        while (i > 0) {
            i -= 1;
            desc.strides[i] = stride;
            stride *= dims[i];
            if (i + 1 == dims.len and row_stride != 0) stride = row_stride;
        }
        const count = offset + stride;
        const size = count * dtype.size();
        const bytes = try std.testing.allocator.alignedAlloc(u8, .@"64", @intCast(@max(size, 1)));
        desc.ptr = @intFromPtr(bytes.ptr);
        switch (dtype) {
            inline .f32, .bf16, .f16 => |d| {
                const T = simd.Elem(d);
                for (desc.host(T)[0..count]) |*x| x.* = simd.fromF32(T, poison);
            },
            else => @memset(bytes, 0),
        }
        desc.ptr += offset * dtype.size();
        return .{ .bytes = bytes, .desc = desc };
    }

    pub fn deinit(b: Buffer) void {
        std.testing.allocator.free(b.bytes);
    }

    /// Fills the tensor, not what lies between its rows, with rounded values in -1..1.
    pub fn randomize(b: Buffer, seed: u64) void {
        var random = std.Random.DefaultPrng.init(seed);
        for (0..@intCast(b.desc.count())) |i| {
            b.set(i, random.random().float(f32) * 2 - 1);
        }
    }

    /// Element i in the order of the dimensions.
    pub fn get(b: Buffer, i: usize) f32 {
        return switch (b.desc.dtype) {
            inline else => |d| simd.toF32(simd.Elem(d), b.desc.host(simd.Elem(d))[b.at(i)]),
        };
    }

    pub fn set(b: Buffer, i: usize, x: f32) void {
        switch (b.desc.dtype) {
            inline .f32, .bf16, .f16 => |d| {
                const T = simd.Elem(d);
                b.desc.host(T)[b.at(i)] = simd.fromF32(T, x);
            },
            .i32 => b.desc.host(i32)[b.at(i)] = @intFromFloat(x),
            .u8 => b.desc.host(u8)[b.at(i)] = @intFromFloat(x),
        }
    }

    fn at(b: Buffer, i: usize) usize {
        var rest = i;
        var sum: usize = 0;
        var d = b.desc.rank;
        while (d > 0) {
            d -= 1;
            sum += rest % b.desc.dims[d] * b.desc.strides[d];
            rest /= b.desc.dims[d];
        }
        return sum;
    }

    /// How many elements of the memory still hold the poison.
    pub fn untouched(b: Buffer) usize {
        var n: usize = 0;
        switch (b.desc.dtype) {
            inline .f32, .bf16, .f16 => |d| {
                const T = simd.Elem(d);
                const count = b.bytes.len / @sizeOf(T);
                const all: [*]const T = @ptrCast(b.bytes.ptr);
                for (all[0..count]) |x| n += @intFromBool(simd.toF32(T, x) == poison);
            },
            else => unreachable,
        }
        return n;
    }
};

/// Half a unit in the last place of 1, for rounding once on output.
pub fn halfUlp(dtype: backend.Dtype) f64 {
    return switch (dtype) {
        .f32 => 0x1p-24,
        .f16 => 0x1p-11,
        .bf16 => 0x1p-8,
        else => unreachable,
    };
}

/// got may be off by twice the worst error of the plainest f32 computation, plus one rounding to
/// dtype. `exact` in f64 and `plain` in f32 are in the order of got's dimensions.
pub fn expectClose(got: Buffer, exact: []const f64, plain: []const f32) !void {
    var worst: f64 = 0;
    for (exact, plain) |x, p| {
        if (std.math.isFinite(x)) worst = @max(worst, @abs(p - x));
    }
    for (exact, 0..) |x, i| {
        const y: f64 = got.get(i);
        if (std.math.isNan(x) and std.math.isNan(y)) continue;
        if (x == y) continue;
        const limit = 2 * worst + 1.01 * halfUlp(got.desc.dtype) * @abs(x) + 1e-7;
        if (@abs(y - x) <= limit) continue;
        std.debug.print("element {d}: {d}, want {d} within {d}\n", .{ i, y, x, limit });
        return error.TestUnexpectedResult;
    }
}
