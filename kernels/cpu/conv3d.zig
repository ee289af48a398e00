//! conv3d as an implicit matrix product on channels-last volumes, and conv3d_pack.
//! For a batch of frames: the input is prepared once (conv3d_input), then units of about 256 output positions are
//! computed by tiles (conv3d_tile) against packed weights (conv3d_weights), phase by phase (conv3d_shape).

const std = @import("std");
const abi = @import("../abi.zig");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const copy = @import("copy.zig");
const inputs = @import("conv3d_input.zig");
const narrow = @import("conv3d_narrow.zig");
const shapes = @import("conv3d_shape.zig");
const tile = @import("conv3d_tile.zig");
const units = @import("conv3d_units.zig");
const weights = @import("conv3d_weights.zig");
const work = @import("work.zig");
const Status = backend.Status;
const Kind = tile.Kind;

/// Scratch slots, one for each thing that lives through the whole op.
const slot = .{ .floats = 0, .input = 1, .weights = 2, .workers = 3 };
/// Prepared input kept at a time, where more than the frames of one output frame fit.
const input_bytes = 16 << 20;

pub fn conv3d_pack(args: *const backend.Conv3dPack) Status {
    // w [O,I,kt,kh,kw] seen as [O,kt,kh,kw,I]
    var w = args.w;
    for ([_]usize{ 2, 3, 4, 1 }, 1..) |from, to| {
        w.dims[to] = args.w.dims[from];
        w.strides[to] = args.w.strides[from];
    }
    return copy.copy(&.{ .dst = args.out, .src = w });
}

pub fn conv3d(args: *const backend.Conv3d) Status {
    return conv3dWithin(input_bytes, args);
}

/// `bytes_kept`: how much prepared input is kept at a time, at least the frames of one output frame.
pub fn conv3dWithin(bytes_kept: usize, args: *const backend.Conv3d) Status {
    for (args.w.dims[1..4]) |k| if (k > shapes.kernel_max) {
        return abi.fail(
            .unsupported,
            "conv3d: kernel size {d}, at most {d}",
            .{ k, shapes.kernel_max },
        );
    };
    if (args.out.count() == 0) return .ok;
    var job: Job = undefined;
    const status = job.init(args);
    if (status != .ok) return status;
    return job.run(bytes_kept);
}

pub const Job = struct {
    args: *const backend.Conv3d,
    kind: Kind,
    shape: shapes.Shape,
    bias: []const f32,
    load: inputs.Load,
    input: inputs.Input,
    /// Reads x where it lies: nothing to apply, nothing to widen.
    direct: bool,
    /// Vectors along input channels, for few output channels.
    narrow: bool,
    phase: shapes.Phase,
    panels: weights.Panels,
    worker_bytes: usize,
    workers: [*]align(64) u8,

    fn init(job: *Job, args: *const backend.Conv3d) Status {
        job.args = args;
        const bf16 = args.x.dtype == .bf16 and args.w.dtype == .bf16;
        job.kind = if (simd.has_bf16 and bf16) .bf16 else .f32;
        job.shape = .init(args);
        var p: [2][]const f32 = undefined;
        const coeffs: ?*const backend.Desc = if (args.coeffs) |*c| c else null;
        const status = work.params("conv3d", 2, slot.floats, .{ &args.bias, coeffs }, &p);
        if (status != .ok) return status;
        job.bias = p[0];
        job.load = .{
            .x = &args.x,
            .coeffs = if (coeffs != null) p[1].ptr else null,
            .act = args.act,
            .right = 0,
        };
        job.narrow = job.shape.out <= narrow.out_max;
        job.direct = !job.narrow and job.readsInPlace();
        job.placeInput();
        return job.placeWorkers();
    }

    fn readsInPlace(job: *const Job) bool {
        const x = job.shape.x;
        const a = job.args;
        if (job.load.coeffs != null or a.act != .none) return false;
        if (x.lowest() < 0 or x.highest() >= x.in) return false;
        if (job.kind == .f32) return a.x.dtype == .f32;
        const s = a.x.strides;
        return a.x.dims[3] % 2 == 0 and s[0] % 2 == 0 and s[1] % 2 == 0 and s[2] % 2 == 0;
    }

    fn placeInput(job: *Job) void {
        const x = &job.args.x;
        const d = job.kind.depth();
        if (job.direct) {
            job.input = .{
                .words = @ptrFromInt(@as(usize, @intCast(x.ptr))),
                .frame = x.strides[0] / d,
                .row = x.strides[1] / d,
                .position = x.strides[2] / d,
                .left = 0,
                .used = 0,
                .slots = std.math.maxInt(usize),
            };
            return;
        }
        const axis = job.shape.x;
        job.input.left = @intCast(@max(0, -axis.lowest()));
        job.load.right = @intCast(@max(0, axis.highest() - @as(i32, @intCast(axis.in)) + 1));
        job.input.used = if (job.narrow) narrow.tapWords(job.kind, x.dims[3]) else job.steps();
        job.input.position = inputs.positionWords(job.input.used);
        job.input.row = (job.input.left + axis.in + job.load.right) * job.input.position;
        job.input.frame = job.input.row * x.dims[1];
    }

    /// Sums of a unit and its table of addresses, for each worker.
    fn placeWorkers(job: *Job) Status {
        const nv: usize = if (job.shape.out <= simd.lanes) 1 else tile.nv_max;
        job.panels.nv = nv;
        const nr = nv * simd.lanes;
        job.panels.panels = std.math.divCeil(usize, job.shape.out, nr) catch unreachable;
        const sums = work.Carver.bytesFor(f32, units.sumsOf(&job.panels));
        const table = work.Carver.bytesFor(usize, units.positions_max * 2 * shapes.taps_max);
        job.worker_bytes = sums + table;
        const bytes = job.worker_bytes * pool.threads();
        job.workers = pool.scratch(slot.workers, bytes) orelse
            return pool.noScratch("conv3d", bytes);
        return .ok;
    }

    fn run(job: *Job, bytes_kept: usize) Status {
        const t = job.shape.t;
        const all = t.count(0);
        const batch = job.framesAtOnce(bytes_kept);
        if (!job.direct) {
            job.input.slots = @min(t.in, (batch - 1) * t.step + t.window());
            const bytes = job.input.slots * job.input.frame * 4;
            const memory = pool.scratch(slot.input, bytes) orelse
                return pool.noScratch("conv3d", bytes);
            job.input.words = @ptrCast(memory);
        }
        var loaded: usize = 0;
        var q: usize = 0;
        while (q < all) : (q += batch) {
            const end = @min(q + batch, all);
            if (!job.direct) {
                const upto = @min(t.in, t.source(end - 1, t.reach()) + 1);
                if (upto > loaded) inputs.load(job.kind, &job.input, &job.load, loaded, upto);
                loaded = @max(loaded, upto);
            }
            for (0..job.shape.phases()) |phase| {
                const status = job.runPhase(phase, q, end, q == 0);
                if (status != .ok) return status;
            }
        }
        return .ok;
    }

    fn framesAtOnce(job: *const Job, bytes_kept: usize) usize {
        const t = job.shape.t;
        const frames = bytes_kept / @max(1, job.input.frame * 4);
        return 1 + (frames -| t.window()) / t.step;
    }

    fn runPhase(job: *Job, index: usize, from: usize, to: usize, first: bool) Status {
        if (first or job.shape.phases() > 1) {
            const status = job.packWeights(index);
            if (status != .ok) return status;
        }
        const grid = units.Grid.init(job, from, to);
        const Context = struct { job: *const Job, grid: units.Grid };
        pool.parallelFor(grid.units(), Context{ .job = job, .grid = grid }, struct {
            fn unit(c: Context, i: usize, worker: usize) void {
                switch (c.job.kind) {
                    .f32 => units.run(.f32, c.job, c.grid.unit(i), worker),
                    .bf16 => if (simd.has_bf16) units.run(.bf16, c.job, c.grid.unit(i), worker),
                }
            }
        }.unit);
        return .ok;
    }

    fn packWeights(job: *Job, index: usize) Status {
        job.phase = job.shape.phase(index, job.kind == .f32);
        const all = job.steps();
        const blocks = std.math.divCeil(usize, all, units.visit_steps) catch unreachable;
        job.panels = .{
            .words = undefined,
            .phase = &job.phase,
            .steps = all,
            .block = std.math.divCeil(usize, all, blocks) catch unreachable,
            .panels = job.panels.panels,
            .nv = job.panels.nv,
        };
        const few = job.phase.len * job.shape.out * job.input.used;
        const bytes = 4 * if (job.narrow) few else job.panels.size();
        const memory = pool.scratch(slot.weights, bytes) orelse
            return pool.noScratch("conv3d", bytes);
        job.panels.words = @ptrCast(memory);
        if (job.narrow) {
            narrow.pack(job.kind, &job.args.w, &job.phase, job.panels.words);
        } else {
            weights.pack(job.kind, &job.args.w, &job.panels);
        }
        return .ok;
    }

    /// Words of input channels.
    fn steps(job: *const Job) usize {
        return std.math.divCeil(usize, job.shape.in, job.kind.depth()) catch unreachable;
    }
};

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

const plain = @import("conv3d_plain.zig");
const expectConv = plain.expectConv;

const setups = [_]plain.Setup{
    .{ .x = .{ 1, 1, 1, 1 }, .out = 1 },
    .{ .x = .{ 2, 3, 5, 3 }, .out = 7, .residual = true },
    .{ .x = .{ 3, 4, 13, 32 }, .out = 32, .coeffs = true, .act = .silu },
    .{ .x = .{ 2, 5, 7, 16 }, .out = 33, .act = .silu, .gap = 2 },
    .{ .x = .{ 4, 2, 3, 5 }, .out = 3, .coeffs = true, .residual = true },
    .{ .x = .{ 1, 3, 3, 150 }, .out = 2 },
    .{ .x = .{ 2, 3, 29, 8 }, .out = 4, .kernel = .{ 1, 1, 1 } },
    .{ .x = .{ 2, 3, 4, 9 }, .out = 16, .kernel = .{ 1, 1, 1 }, .coeffs = true, .residual = true },
    .{ .x = .{ 3, 6, 8, 4 }, .out = 5, .stride = .{ 1, 2, 2 } },
    .{ .x = .{ 5, 7, 5, 6 }, .out = 5, .stride = .{ 2, 2, 2 }, .act = .silu },
    .{ .x = .{ 3, 4, 6, 8 }, .out = 9, .up_s = true },
    .{ .x = .{ 1, 2, 2, 4 }, .out = 3, .up_s = true, .up_t = true },
    .{
        .x = .{ 4, 3, 7, 12 },
        .out = 8,
        .up_s = true,
        .up_t = true,
        .coeffs = true,
        .act = .silu,
        .gap = 4,
    },
    .{ .x = .{ 3, 3, 3, 4 }, .out = 8, .up_t = true, .residual = true },
    .{ .x = .{ 3, 3, 3, 4 }, .out = 4, .up_s = true, .up_t = true, .kernel = .{ 1, 1, 1 } },
    .{ .x = .{ 3, 4, 3, 4 }, .out = 4, .up_s = true, .up_t = true, .stride = .{ 2, 2, 2 } },
    .{ .x = .{ 2, 3, 300, 2 }, .out = 2 },
};

test "conv3d matches the plain loops in f32" {
    for (setups) |s| try expectConv(f32, f32, s);
}

test "conv3d matches the plain loops in bf16 and f16, and with weights of another dtype" {
    for (setups, 0..) |s, i| {
        try expectConv(simd.Bf16, simd.Bf16, s);
        switch (i % 3) {
            0 => try expectConv(f16, f16, s),
            1 => try expectConv(simd.Bf16, f32, s),
            else => try expectConv(f32, simd.Bf16, s),
        }
    }
}

test "conv3d keeps the frames it still needs when few fit" {
    const few = [_]plain.Setup{
        .{ .x = .{ 7, 3, 4, 3 }, .out = 5, .bytes_kept = 1 },
        .{ .x = .{ 9, 3, 4, 3 }, .out = 5, .bytes_kept = 2000, .act = .silu },
        .{ .x = .{ 7, 4, 4, 6 }, .out = 5, .bytes_kept = 1, .stride = .{ 2, 2, 2 } },
        .{ .x = .{ 6, 3, 4, 4 }, .out = 5, .bytes_kept = 1, .up_t = true, .up_s = true },
        .{ .x = .{ 6, 3, 4, 4 }, .out = 3, .bytes_kept = 3000, .up_t = true },
    };
    for (few) |s| {
        try expectConv(f32, f32, s);
        try expectConv(simd.Bf16, simd.Bf16, s);
    }
}

test "conv3d of an empty volume writes nothing" {
    try expectConv(f32, f32, .{ .x = .{ 2, 0, 3, 4 }, .out = 2, .kernel = .{ 1, 1, 1 } });
}

test "conv3d gives the same bytes on any number of threads" {
    var first: [2 * 9 * 31 * 24]f32 = undefined;
    defer pool.library.stop();
    for ([_]u32{ 1, 3 }) |threads| {
        try pool.library.resize(threads);
        var r = cases.Random.init(1);
        var x: cases.Case(f32) = try .init(&.{ 2, 9, 31, 17 }, 0);
        defer x.deinit();
        x.fillRandom(&r, 1);
        var w: cases.Case(f32) = try .init(&.{ 24, 3, 3, 3, 17 }, 0);
        defer w.deinit();
        w.fillRandom(&r, 1);
        var out: cases.Case(f32) = try .init(&.{ 2, 9, 31, 24 }, 0);
        defer out.deinit();

        _ = conv3d(&.{
            .out = out.desc,
            .x = x.desc,
            .w = w.desc,
            .bias = cases.vector(f32, x.memory[0..24]),
            .coeffs = null,
            .act = .silu,
            .residual = null,
            .stride_t = 1,
            .stride_h = 1,
            .stride_w = 1,
            .up_t = false,
            .up_s = false,
        });

        if (threads == 1) @memcpy(&first, out.memory);
        try testing.expectEqualSlices(f32, &first, out.memory);
    }
}

test "conv3d_pack moves the channels last and casts" {
    var w: cases.Case(f32) = try .init(&.{ 5, 4, 3, 2, 3 }, 0);
    defer w.deinit();
    var r = cases.Random.init(4);
    w.fillRandom(&r, 1);
    var out: cases.Case(simd.Bf16) = try .init(&.{ 5, 3, 2, 3, 4 }, 0);
    defer out.deinit();

    _ = conv3d_pack(&.{ .out = out.desc, .w = w.desc });

    for (0..out.count()) |i| {
        const o = i / 72;
        const k = i / 4 % 18;
        const v = w.get((o * 4 + i % 4) * 18 + k);
        try testing.expectEqual(simd.toF32(simd.Bf16, simd.fromF32(simd.Bf16, v)), out.get(i));
    }
}
