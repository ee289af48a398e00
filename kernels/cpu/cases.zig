//! Tensors for the tests of the CPU ops: memory with gaps between rows that must stay untouched, and repeatable numbers.
//! Only test blocks may import this file.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const testing = std.testing;

const Desc = backend.Desc;

pub const Random = struct {
    state: u64,

    pub fn init(seed: u64) Random {
        return .{ .state = seed *% 0x9e37_79b9_7f4a_7c15 +% 1 };
    }

    /// Even in [-1, 1).
    pub fn next(r: *Random) f32 {
        r.state = r.state *% 6364136223846793005 +% 1442695040888963407;
        const bits: i32 = @bitCast(@as(u32, @truncate(r.state >> 32)));
        return @as(f32, @floatFromInt(bits >> 8)) / (1 << 23);
    }
};

pub fn dtypeOf(comptime T: type) backend.Dtype {
    return switch (T) {
        f32 => .f32,
        simd.Bf16 => .bf16,
        f16 => .f16,
        i32 => .i32,
        u8 => .u8,
        else => @compileError("no dtype"),
    };
}

/// A tensor of rank 1 over memory of the caller.
pub fn vector(comptime T: type, p: []T) Desc {
    var d: Desc = .{ .ptr = @intFromPtr(p.ptr), .dtype = dtypeOf(T), .rank = 1 };
    d.dims[0] = @intCast(p.len);
    d.strides[0] = 1;
    return d;
}

pub fn dense(comptime T: type, p: []T, dims: []const u32) Desc {
    var d: Desc = .{ .ptr = @intFromPtr(p.ptr), .dtype = dtypeOf(T), .rank = @intCast(dims.len) };
    var stride: u32 = 1;
    var i = dims.len;
    while (i > 0) {
        i -= 1;
        d.dims[i] = dims[i];
        d.strides[i] = stride;
        stride *= dims[i];
    }
    return d;
}

/// A tensor whose rows lie `gap` elements apart; every byte that is no element is watched.
pub fn Case(comptime T: type) type {
    return struct {
        const Self = @This();
        const poison = 0xA5;

        memory: []T,
        desc: Desc,

        pub fn init(dims: []const u32, gap: u32) !Self {
            var padded: [backend.rank_max]u32 = @splat(1);
            @memcpy(padded[0..dims.len], dims);
            if (dims.len > 1) padded[dims.len - 1] += gap;
            var n: usize = 1;
            for (padded[0..dims.len]) |x| n *= x;
            const memory = try testing.allocator.alloc(T, n);
            @memset(std.mem.sliceAsBytes(memory), poison);
            var desc = dense(T, memory, padded[0..dims.len]);
            desc.dims[dims.len - 1] = dims[dims.len - 1];
            return .{ .memory = memory, .desc = desc };
        }

        pub fn deinit(c: *Self) void {
            testing.allocator.free(c.memory);
        }

        pub fn count(c: *const Self) usize {
            return @intCast(c.desc.count());
        }

        pub fn at(c: *const Self, index: usize) *T {
            var rest = index;
            var offset: usize = 0;
            var d: usize = c.desc.rank;
            while (d > 0) {
                d -= 1;
                offset += rest % c.desc.dims[d] * c.desc.strides[d];
                rest /= c.desc.dims[d];
            }
            return &c.memory[offset];
        }

        pub fn get(c: *const Self, index: usize) f32 {
            return simd.toF32(T, c.at(index).*);
        }

        pub fn set(c: *Self, index: usize, v: f32) void {
            c.at(index).* = switch (T) {
                i32, u8 => @intFromFloat(v),
                else => simd.fromF32(T, v),
            };
        }

        pub fn fillRandom(c: *Self, r: *Random, scale: f32) void {
            for (0..c.count()) |i| c.set(i, r.next() * scale);
        }

        pub fn expectGapsUntouched(c: *const Self) !void {
            const touched = try testing.allocator.alloc(bool, c.memory.len);
            defer testing.allocator.free(touched);
            @memset(touched, false);
            for (0..c.count()) |i| {
                const bytes = @intFromPtr(c.at(i)) - @intFromPtr(c.memory.ptr);
                touched[bytes / @sizeOf(T)] = true;
            }
            for (c.memory, touched) |*x, t| {
                if (t) continue;
                for (std.mem.asBytes(x)) |b| try testing.expectEqual(poison, b);
            }
        }
    };
}

/// Unit in the last place of 1 after rounding to T.
pub fn ulp(comptime T: type) f32 {
    return switch (T) {
        f32 => 0x1p-23,
        simd.Bf16 => 0x1p-7,
        f16 => 0x1p-10,
        else => 0,
    };
}

/// got may be off by half an ulp of T from rounding, plus `slack` times 4 ulps of f32 relative to max(1, |want|).
pub fn expectClose(comptime T: type, want: f32, got: f32, slack: f32) !void {
    const size = @max(1, @abs(want));
    const limit = @abs(want) * ulp(T) * 0.5 + size * 4 * slack * 0x1p-23;
    if (@abs(got - want) <= limit) return;
    std.debug.print("got {d}, want {d}\n", .{ got, want });
    return error.TestUnexpectedResult;
}
