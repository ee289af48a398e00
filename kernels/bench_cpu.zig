//! Times matmul and attention of the cpu backend alone; one JSON line a case, best of several runs.
//!   zig build-exe kernels/bench_cpu.zig -O ReleaseFast -mcpu=native -lc -femit-bin=/tmp/bench_cpu
//!   /tmp/bench_cpu                              the shapes of a small transformer, 1 and 2 threads
//!   /tmp/bench_cpu matmul bf16 2 1673 3072 1024       dtype, threads, M N K
//!   /tmp/bench_cpu attention f32 1 1673 8 128         dtype, threads, T H D
//! One thread is timed by its CPU clock, which other load disturbs less; more by the wall clock.

const std = @import("std");
const backend = @import("backend.zig");
const pool = @import("pool.zig");
const simd = @import("cpu/simd.zig");
const matmul = @import("cpu/matmul.zig").matmul;
const attention = @import("cpu/attention.zig").attention;

const Op = enum { matmul, attention };
const Case = struct { op: Op, dtype: backend.Dtype, threads: u32, dims: [3]u32 };

const shapes = [_]struct { Op, [3]u32 }{
    .{ .matmul, .{ 1673, 3072, 1024 } },
    .{ .matmul, .{ 1673, 4096, 1024 } },
    .{ .matmul, .{ 1673, 1024, 1024 } },
    .{ .matmul, .{ 1673, 1024, 4096 } },
    .{ .matmul, .{ 1673, 1024, 5120 } },
    .{ .matmul, .{ 512, 3072, 3072 } },
    .{ .matmul, .{ 140, 384, 128 } },
    .{ .matmul, .{ 140, 128, 128 } },
    .{ .matmul, .{ 1, 3072, 1024 } },
    .{ .matmul, .{ 16, 3072, 1024 } },
    .{ .matmul, .{ 64, 3072, 1024 } },
    .{ .attention, .{ 1673, 8, 128 } },
    .{ .attention, .{ 1600, 1, 512 } },
    .{ .attention, .{ 140, 4, 32 } },
};

pub fn main(init: std.process.Init) !void {
    const args = try init.minimal.args.toSlice(init.arena.allocator());
    if (args.len > 1) {
        if (args.len != 7) return error.Usage;
        var case: Case = .{
            .op = std.meta.stringToEnum(Op, args[1]) orelse return error.Usage,
            .dtype = std.meta.stringToEnum(backend.Dtype, args[2]) orelse return error.Usage,
            .threads = try std.fmt.parseInt(u32, args[3], 10),
            .dims = undefined,
        };
        for (&case.dims, args[4..7]) |*d, text| d.* = try std.fmt.parseInt(u32, text, 10);
        return measure(case);
    }
    for ([_]backend.Dtype{ .f32, .bf16 }) |dtype| for ([_]u32{ 1, 2 }) |threads| {
        for (shapes) |s| {
            try measure(.{ .op = s[0], .dtype = dtype, .threads = threads, .dims = s[1] });
        }
    };
}

fn measure(case: Case) !void {
    try pool.library.resize(case.threads);
    defer pool.library.stop();
    const d = case.dims;
    const tensors: [4]backend.Desc = switch (case.op) {
        .matmul => .{
            try tensor(case.dtype, &.{ d[0], d[2] }),
            try tensor(case.dtype, &.{ d[1], d[2] }),
            try tensor(case.dtype, &.{ d[0], d[1] }),
            try tensor(case.dtype, &.{d[1]}),
        },
        .attention => .{
            try tensor(case.dtype, &d),
            try tensor(case.dtype, &d),
            try tensor(case.dtype, &d),
            try tensor(case.dtype, &d),
        },
    };
    defer for (tensors) |t| std.heap.c_allocator.free(memory(t));
    const clock: std.os.linux.clockid_t = if (case.threads == 1) .THREAD_CPUTIME_ID else .MONOTONIC;
    const started = now(.MONOTONIC);
    run(case, tensors);
    const once = @max(1, now(.MONOTONIC) - started);
    // Small cases are repeated within one timing.
    const repeats = std.math.clamp(2_000_000 / once, 1, 1000);
    var best: u64 = std.math.maxInt(u64);
    var runs: u32 = 0;
    while (runs < 5 or (runs < 300 and now(.MONOTONIC) - started < 400_000_000)) : (runs += 1) {
        const from = now(clock);
        for (0..repeats) |_| run(case, tensors);
        best = @min(best, (now(clock) - from) / repeats);
    }
    report(case, @floatFromInt(best));
}

fn run(case: Case, t: [4]backend.Desc) void {
    const status = switch (case.op) {
        .matmul => matmul(&.{
            .out = t[2],
            .a = t[0],
            .w = t[1],
            .bias = t[3],
            .residual = null,
            .gate = null,
            .act = .none,
        }),
        .attention => attention(&.{
            .out = t[3],
            .q = t[0],
            .k = t[1],
            .v = t[2],
            .cu_q = null,
            .cu_k = null,
            .mask = .none,
            .frame = 1,
            .scale = 0.0883,
        }),
    };
    std.debug.assert(status == .ok);
}

fn report(case: Case, ns: f64) void {
    const d: [3]f64 = .{
        @floatFromInt(case.dims[0]), @floatFromInt(case.dims[1]), @floatFromInt(case.dims[2]),
    };
    const flops = switch (case.op) {
        .matmul => 2 * d[0] * d[1] * d[2],
        .attention => 4 * d[0] * d[0] * d[1] * d[2],
    };
    var buffer: [256]u8 = undefined;
    const line = std.fmt.bufPrint(
        &buffer,
        "{{\"op\":\"{t}\",\"dtype\":\"{t}\",\"threads\":{d},\"shape\":[{d},{d},{d}]," ++
            "\"ms\":{d:.4},\"gflops\":{d:.1}}}\n",
        .{
            case.op,      case.dtype,   case.threads, case.dims[0],
            case.dims[1], case.dims[2], ns / 1e6,     flops / ns,
        },
    ) catch unreachable;
    _ = std.os.linux.write(1, line.ptr, line.len);
}

fn tensor(dtype: backend.Dtype, dims: []const u32) !backend.Desc {
    var t: backend.Desc = .{ .ptr = 0, .dtype = dtype, .rank = @intCast(dims.len) };
    var stride: u32 = 1;
    var i = dims.len;
    while (i > 0) {
        i -= 1;
        t.dims[i] = dims[i];
        t.strides[i] = stride;
        stride *= dims[i];
    }
    const bytes = try std.heap.c_allocator.alignedAlloc(u8, .@"64", stride * dtype.size());
    t.ptr = @intFromPtr(bytes.ptr);
    var random = std.Random.DefaultPrng.init(stride);
    switch (dtype) {
        inline .f32, .bf16, .f16 => |d| for (t.host(simd.Elem(d))[0..stride]) |*x| {
            x.* = simd.fromF32(simd.Elem(d), random.random().float(f32) * 2 - 1);
        },
        else => return error.Usage,
    }
    return t;
}

fn memory(t: backend.Desc) []align(64) u8 {
    const p: [*]align(64) u8 = @ptrFromInt(t.ptr);
    return p[0 .. t.count() * t.dtype.size()];
}

fn now(clock: std.os.linux.clockid_t) u64 {
    var t: std.os.linux.timespec = undefined;
    _ = std.os.linux.clock_gettime(clock, &t);
    return @as(u64, @intCast(t.sec)) * 1_000_000_000 + @as(u64, @intCast(t.nsec));
}
