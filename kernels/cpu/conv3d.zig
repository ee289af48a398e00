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
const shapes = @import("conv3d_shape.zig");
const tile = @import("conv3d_tile.zig");
const weights = @import("conv3d_weights.zig");
const work = @import("work.zig");
const Status = backend.Status;
const Kind = tile.Kind;
const lanes = simd.lanes;
const nr = tile.nr;

/// Scratch slots, one for each thing that lives through the whole op.
const slot = .{ .floats = 0, .input = 1, .weights = 2, .workers = 3 };
/// Prepared input kept at a time, where more than the frames of one output frame fit.
const input_bytes = 64 << 20;
/// Words of weights of one channel that a visit takes: with nr channels 18 KB, under half of the first cache.
const visit_steps = 144;
const unit_positions = 256;

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
    for (args.w.dims[1..4]) |k| if (k > shapes.kernel_max) {
        return abi.fail(.unsupported, "conv3d: kernel size {d}, at most {d}", .{ k, shapes.kernel_max });
    };
    if (args.out.count() == 0) return .ok;
    var job: Job = undefined;
    const status = job.init(args);
    if (status != .ok) return status;
    return job.run();
}

const Job = struct {
    args: *const backend.Conv3d,
    kind: Kind,
    shape: shapes.Shape,
    bias: []const f32,
    load: inputs.Load,
    input: inputs.Input,
    /// Reads x where it lies: nothing to apply, nothing to widen.
    direct: bool,
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
        job.direct = job.readsInPlace();
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
                .slots = std.math.maxInt(usize),
            };
            return;
        }
        const axis = job.shape.x;
        job.input.left = @intCast(@max(0, -axis.lowest()));
        job.load.right = @intCast(@max(0, axis.highest() - @as(i32, @intCast(axis.in)) + 1));
        job.input.position = inputs.positionWords(job.kind, x.dims[3]);
        job.input.row = (job.input.left + axis.in + job.load.right) * job.input.position;
        job.input.frame = job.input.row * x.dims[1];
    }

    /// Sums of a unit and its table of addresses, for each worker.
    fn placeWorkers(job: *Job) Status {
        const panels = std.math.divCeil(usize, job.shape.out, nr) catch unreachable;
        const sums = work.Carver.bytesFor(f32, unit_positions * panels * nr);
        const table = work.Carver.bytesFor(usize, unit_positions * 2 * shapes.taps_max);
        job.worker_bytes = sums + table;
        const bytes = job.worker_bytes * pool.threads();
        job.workers = pool.scratch(slot.workers, bytes) orelse return pool.noScratch("conv3d", bytes);
        return .ok;
    }

    fn run(job: *Job) Status {
        const t = job.shape.t;
        const all = t.count(0);
        const batch = job.framesAtOnce();
        if (!job.direct) {
            job.input.slots = @min(t.in, (batch - 1) * t.step + t.window());
            const bytes = job.input.slots * job.input.frame * 4;
            const memory = pool.scratch(slot.input, bytes) orelse return pool.noScratch("conv3d", bytes);
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

    fn framesAtOnce(job: *const Job) usize {
        const t = job.shape.t;
        const frames = input_bytes / @max(1, job.input.frame * 4);
        return 1 + (frames -| t.window()) / t.step;
    }

    fn runPhase(job: *Job, index: usize, from: usize, to: usize, first: bool) Status {
        if (first or job.shape.phases() > 1) {
            const status = job.packWeights(index);
            if (status != .ok) return status;
        }
        const grid = Grid.init(job, from, to);
        const Context = struct { job: *const Job, grid: Grid };
        pool.parallelFor(grid.units(), Context{ .job = job, .grid = grid }, struct {
            fn unit(c: Context, i: usize, worker: usize) void {
                switch (c.job.kind) {
                    .f32 => runUnit(.f32, c.job, c.grid.unit(i), worker),
                    .bf16 => if (simd.has_bf16) runUnit(.bf16, c.job, c.grid.unit(i), worker),
                }
            }
        }.unit);
        return .ok;
    }

    fn packWeights(job: *Job, index: usize) Status {
        job.phase = job.shape.phase(index, job.kind == .f32);
        const steps = std.math.divCeil(usize, job.shape.in, job.kind.depth()) catch unreachable;
        const blocks = std.math.divCeil(usize, steps, visit_steps) catch unreachable;
        job.panels = .{
            .words = undefined,
            .phase = &job.phase,
            .steps = steps,
            .block = std.math.divCeil(usize, steps, blocks) catch unreachable,
            .panels = std.math.divCeil(usize, job.shape.out, nr) catch unreachable,
        };
        const bytes = job.panels.size() * 4;
        const memory = pool.scratch(slot.weights, bytes) orelse return pool.noScratch("conv3d", bytes);
        job.panels.words = @ptrCast(memory);
        weights.pack(job.kind, &job.args.w, &job.panels);
        return .ok;
    }
};

// ------------------------------------------------------------------------------------------ units

/// Some rows (or a part of one row) of one output frame, in the coordinates of a phase.
const Unit = struct { t: usize, y: [2]usize, x: [2]usize };

const Grid = struct {
    t: [2]usize,
    y: usize,
    x: usize,
    cuts: [2]usize,

    fn init(job: *const Job, from: usize, to: usize) Grid {
        const s = &job.shape;
        const y = s.y.count(job.phase.y);
        const x = s.x.count(job.phase.x);
        const columns = std.math.divCeil(usize, x, unit_positions) catch unreachable;
        const rows = @max(1, unit_positions / @max(1, x));
        return .{
            .t = .{ from, @min(to, s.t.count(job.phase.t)) },
            .y = y,
            .x = x,
            .cuts = .{ std.math.divCeil(usize, y, rows) catch unreachable, columns },
        };
    }

    fn units(g: Grid) usize {
        if (g.y == 0 or g.x == 0) return 0;
        return (g.t[1] -| g.t[0]) * g.cuts[0] * g.cuts[1];
    }

    fn unit(g: Grid, i: usize) Unit {
        const row = i / g.cuts[1] % g.cuts[0];
        const column = i % g.cuts[1];
        return .{
            .t = g.t[0] + i / (g.cuts[0] * g.cuts[1]),
            .y = .{ row * g.y / g.cuts[0], (row + 1) * g.y / g.cuts[0] },
            .x = .{ column * g.x / g.cuts[1], (column + 1) * g.x / g.cuts[1] },
        };
    }
};

fn runUnit(comptime kind: Kind, job: *const Job, unit: Unit, worker: usize) void {
    const memory = job.workers + worker * job.worker_bytes;
    const width = unit.x[1] - unit.x[0];
    const height = unit.y[1] - unit.y[0];
    const positions = width * height;
    const sums: [*]f32 = @ptrCast(@alignCast(memory)); // [panel][position][nr]
    const bytes = work.Carver.bytesFor(f32, unit_positions * job.panels.panels * nr);
    const table: [*]usize = @ptrCast(@alignCast(memory + bytes)); // [row][tap]
    const taps = job.phase.len;
    addresses(job, unit, table);
    var v: tile.Visit = undefined;
    v.x = job.input.words;
    v.stride = job.input.position * job.shape.x.step;
    var block: usize = 0;
    while (block * job.panels.block < job.panels.steps) : (block += 1) {
        v.steps = job.panels.blockSteps(block);
        v.x = job.input.words + block * job.panels.block;
        const group = @max(1, visit_steps / v.steps);
        for (0..job.panels.panels) |panel| {
            var tap: usize = 0;
            while (tap < taps) : (tap += group) {
                v.w = job.panels.at(block, panel, tap);
                v.add = block + tap > 0;
                for (0..height) |row| {
                    v.taps = table[row * taps + tap .. row * taps + @min(tap + group, taps)];
                    const c = sums + (panel * positions + row * width) * nr;
                    tileRow(kind, &v, c, width);
                }
            }
        }
    }
    switch (job.args.out.dtype) {
        inline .f32, .bf16, .f16 => |d| store(simd.Elem(d), job, unit, sums),
        else => unreachable,
    }
}

fn tileRow(comptime kind: Kind, v: *tile.Visit, c: [*]f32, width: usize) void {
    const tiles = std.math.divCeil(usize, width, tile.mr) catch unreachable;
    for (0..tiles) |i| {
        const first = i * width / tiles;
        v.c = c + first * nr;
        tile.visit(kind, (i + 1) * width / tiles - first, v, first);
    }
}

/// table[row][tap]: where the tap of the row's first position lies in the input.
fn addresses(job: *const Job, unit: Unit, table: [*]usize) void {
    const s = &job.shape;
    const taps = job.phase.taps[0..job.phase.len];
    for (unit.y[0]..unit.y[1], 0..) |qy, row| for (taps, 0..) |tap, i| {
        const x = @as(i64, @intCast(unit.x[0] * s.x.step)) + tap.x;
        table[row * taps.len + i] = job.input.at(s.t.source(unit.t, tap.t), s.y.source(qy, tap.y), x);
    };
}

/// out = sums + bias + residual, rounded once.
fn store(comptime T: type, job: *const Job, unit: Unit, sums: [*]const f32) void {
    const s = &job.shape;
    const o = &job.args.out;
    const width = unit.x[1] - unit.x[0];
    const positions = width * (unit.y[1] - unit.y[0]);
    const t = unit.t * s.t.phases + job.phase.t;
    for (0..positions) |i| {
        const y = (unit.y[0] + i / width) * s.y.phases + job.phase.y;
        const x = (unit.x[0] + i % width) * s.x.phases + job.phase.x;
        const out = o.host(T) + t * o.strides[0] + y * o.strides[1] + x * o.strides[2]; // out[t, y, x, :]
        const residual: ?[*]const T = if (job.args.residual) |*r|
            r.host(T) + t * r.strides[0] + y * r.strides[1] + x * r.strides[2]
        else
            null;
        var c: usize = 0;
        while (c < s.out) : (c += lanes) {
            const n = @min(lanes, s.out - c);
            var v = simd.load(f32, sums + (c / nr * positions + i) * nr + c % nr);
            v += take(f32, job.bias.ptr + c, n);
            if (residual) |r| v += take(T, r + c, n);
            if (n == lanes) simd.store(T, out + c, v) else simd.storePart(T, out + c, n, v);
        }
    }
}

inline fn take(comptime T: type, p: [*]const T, n: usize) simd.F {
    return if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

const Setup = struct {
    x: [4]u32,
    out: u32,
    kernel: [3]u32 = .{ 3, 3, 3 },
    stride: [3]u32 = .{ 1, 1, 1 },
    up_t: bool = false,
    up_s: bool = false,
    coeffs: bool = false,
    act: backend.Act = .none,
    residual: bool = false,
    gap: u32 = 0,

    fn virtual(s: Setup, axis: usize) usize {
        const n: usize = s.x[axis];
        if (axis == 0) return if (s.up_t) 2 * n - 1 else n;
        return if (s.up_s) 2 * n else n;
    }

    fn outDims(s: Setup) [4]u32 {
        var d: [4]u32 = undefined;
        for (0..3) |i| {
            const pad = if (i == 0) s.kernel[0] - 1 else s.kernel[i] / 2 * 2;
            d[i] = @intCast((s.virtual(i) + pad + s.stride[i] - s.kernel[i]) / s.stride[i]);
        }
        d[3] = s.out;
        return d;
    }
};

/// The virtual input at an index that may lie in the padding.
fn plainInput(comptime T: type, s: Setup, x: []const f32, t: i64, y: i64, xx: i64, c: usize, k: []const f32) f32 {
    var at: [3]usize = undefined;
    for ([_]i64{ t, y, xx }, 0..) |v, i| {
        at[i] = @intCast(std.math.clamp(v, 0, @as(i64, @intCast(s.virtual(i))) - 1));
    }
    if (s.up_t) at[0] = (at[0] + 1) / 2;
    if (s.up_s) {
        at[1] /= 2;
        at[2] /= 2;
    }
    var v = x[((at[0] * s.x[1] + at[1]) * s.x[2] + at[2]) * s.x[3] + c];
    if (s.coeffs) v = v * k[c] + k[s.x[3] + c];
    if (s.act == .silu) v = v / (1 + @exp(-v));
    return simd.toF32(T, simd.fromF32(T, v));
}

fn expectConv(comptime T: type, comptime W: type, s: Setup) !void {
    const inner = s.x[3];
    var r = cases.Random.init(inner + s.out + s.x[1]);
    var x: cases.Case(T) = try .init(&s.x, s.gap);
    defer x.deinit();
    x.fillRandom(&r, 1);
    const plain = try testing.allocator.alloc(f32, x.count());
    defer testing.allocator.free(plain);
    for (plain, 0..) |*v, i| v.* = x.get(i);
    const w_dims = [_]u32{ s.out, s.kernel[0], s.kernel[1], s.kernel[2], inner };
    var w: cases.Case(W) = try .init(&w_dims, 0);
    defer w.deinit();
    const fan: f32 = @floatFromInt(s.kernel[0] * s.kernel[1] * s.kernel[2] * inner);
    w.fillRandom(&r, 1.7 / @sqrt(fan));
    var bias: cases.Case(T) = try .init(&.{s.out}, 0);
    defer bias.deinit();
    bias.fillRandom(&r, 1);
    var k: cases.Case(f32) = try .init(&.{ 2, inner }, 0);
    defer k.deinit();
    k.fillRandom(&r, 1);
    const dims = s.outDims();
    var out: cases.Case(T) = try .init(&dims, s.gap);
    defer out.deinit();
    out.fillRandom(&r, 1);
    const before = try testing.allocator.alloc(f32, out.count());
    defer testing.allocator.free(before);
    for (before, 0..) |*v, i| v.* = if (s.residual) out.get(i) else 0;

    const status = conv3d(&.{
        .out = out.desc,
        .x = x.desc,
        .w = w.desc,
        .bias = bias.desc,
        .coeffs = if (s.coeffs) k.desc else null,
        .act = s.act,
        .residual = if (s.residual) out.desc else null,
        .stride_t = s.stride[0],
        .stride_h = s.stride[1],
        .stride_w = s.stride[2],
        .up_t = s.up_t,
        .up_s = s.up_s,
    });
    try testing.expectEqual(Status.ok, status);

    for (before, 0..) |b, i| {
        const o = i % s.out;
        const at = [_]usize{ i / s.out / dims[2] / dims[1], i / s.out / dims[2] % dims[1], i / s.out % dims[2] };
        var base: [3]i64 = undefined;
        for (0..3) |a| {
            const pad = if (a == 0) s.kernel[0] - 1 else s.kernel[a] / 2;
            base[a] = @as(i64, @intCast(at[a] * s.stride[a])) - pad;
        }
        var sum: f64 = bias.get(o) + b;
        var n: usize = o * s.kernel[0] * s.kernel[1] * s.kernel[2] * inner;
        for (0..s.kernel[0]) |dt| for (0..s.kernel[1]) |dy| for (0..s.kernel[2]) |dx| for (0..inner) |c| {
            const t = base[0] + @as(i64, @intCast(dt));
            const y = base[1] + @as(i64, @intCast(dy));
            const xx = base[2] + @as(i64, @intCast(dx));
            sum += w.get(n) * plainInput(T, s, plain, t, y, xx, c, k.memory);
            n += 1;
        };
        // Activated inputs may round to the other neighbour: noise of a few input roundings in a sum of `fan` terms.
        const noise = if (T == f32) 4e-6 else if (s.act == .none and !s.coeffs) 3e-5 else cases.ulp(T) / 4;
        const want: f32 = @floatCast(sum);
        try testing.expectApproxEqAbs(want, out.get(i), noise + @abs(want) * cases.ulp(T) * 0.51);
    }
    try out.expectGapsUntouched();
}

const setups = [_]Setup{
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
    .{ .x = .{ 4, 3, 7, 12 }, .out = 8, .up_s = true, .up_t = true, .coeffs = true, .act = .silu, .gap = 4 },
    .{ .x = .{ 3, 3, 3, 4 }, .out = 8, .up_t = true, .residual = true },
    .{ .x = .{ 3, 3, 3, 4 }, .out = 4, .up_s = true, .up_t = true, .kernel = .{ 1, 1, 1 } },
    .{ .x = .{ 3, 4, 3, 4 }, .out = 4, .up_s = true, .up_t = true, .stride = .{ 2, 2, 2 } },
    .{ .x = .{ 2, 3, 300, 2 }, .out = 2 },
};

test "conv3d matches the plain loops in f32" {
    for (setups) |s| try expectConv(f32, f32, s);
}

test "conv3d matches the plain loops in bf16 and f16, and with weights of another dtype" {
    for (setups) |s| {
        try expectConv(simd.Bf16, simd.Bf16, s);
        try expectConv(f16, f16, s);
        try expectConv(simd.Bf16, f32, s);
        try expectConv(f32, simd.Bf16, s);
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
