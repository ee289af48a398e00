//! The units of conv3d: about 256 output positions that one thread computes at a time, from sums in scratch memory to
//! rounded outputs. Units are cut by shapes alone, and no sum crosses from one to another.

const std = @import("std");
const simd = @import("simd.zig");
const narrow = @import("conv3d_narrow.zig");
const shapes = @import("conv3d_shape.zig");
const tile = @import("conv3d_tile.zig");
const weights = @import("conv3d_weights.zig");
const work = @import("work.zig");
const Job = @import("conv3d.zig").Job;
const Kind = tile.Kind;
const lanes = simd.lanes;

/// Words of weights of one channel that a visit takes: of a panel 18 KB, under half of the first cache.
pub const visit_steps = 144;
pub const positions_max = 256;
/// Words of one run of taps: what a visit may exceed visit_steps by.
const run_steps_max = 200;

/// Floats of a unit's sums.
pub fn sumsOf(panels: *const weights.Panels) usize {
    return positions_max * panels.panels * panels.nr();
}

/// Some rows (or a part of one row) of one output frame, in the coordinates of a phase.
pub const Unit = struct { t: usize, y: [2]usize, x: [2]usize };

pub const Grid = struct {
    t: [2]usize,
    y: usize,
    x: usize,
    cuts: [2]usize,

    pub fn init(job: *const Job, from: usize, to: usize) Grid {
        const s = &job.shape;
        const y = s.y.count(job.phase.y);
        const x = s.x.count(job.phase.x);
        const columns = std.math.divCeil(usize, x, positions_max) catch unreachable;
        const rows = @max(1, positions_max / @max(1, x));
        return .{
            .t = .{ from, @min(to, s.t.count(job.phase.t)) },
            .y = y,
            .x = x,
            .cuts = .{ std.math.divCeil(usize, y, rows) catch unreachable, columns },
        };
    }

    pub fn units(g: Grid) usize {
        if (g.y == 0 or g.x == 0) return 0;
        return (g.t[1] -| g.t[0]) * g.cuts[0] * g.cuts[1];
    }

    pub fn unit(g: Grid, i: usize) Unit {
        const row = i / g.cuts[1] % g.cuts[0];
        const column = i % g.cuts[1];
        return .{
            .t = g.t[0] + i / (g.cuts[0] * g.cuts[1]),
            .y = .{ row * g.y / g.cuts[0], (row + 1) * g.y / g.cuts[0] },
            .x = .{ column * g.x / g.cuts[1], (column + 1) * g.x / g.cuts[1] },
        };
    }
};

pub fn run(comptime kind: Kind, job: *const Job, unit: Unit, worker: usize) void {
    const memory = job.workers + worker * job.worker_bytes;
    const sums: [*]f32 = @ptrCast(@alignCast(memory)); // [panel][position][nr]
    const bytes = work.Carver.bytesFor(f32, sumsOf(&job.panels));
    const table: [*]usize = @ptrCast(@alignCast(memory + bytes)); // [row][tap]
    addresses(job, unit, table);
    if (job.narrow) {
        narrowUnit(kind, job, unit, sums, table);
    } else {
        panelUnit(kind, job, unit, sums, table);
    }
    switch (job.args.out.dtype) {
        inline .f32, .bf16, .f16 => |d| store(simd.Elem(d), job, unit, sums),
        else => unreachable,
    }
}

/// Weights of one visit stay in the first cache while all positions of the unit pass by them.
fn panelUnit(
    comptime kind: Kind,
    job: *const Job,
    unit: Unit,
    sums: [*]f32,
    table: [*]const usize,
) void {
    const width = unit.x[1] - unit.x[0];
    const height = unit.y[1] - unit.y[0];
    const taps = job.phase.len;
    const nr = job.panels.nr();
    const dense = job.input.position == job.panels.steps; // also: one block
    var v: tile.Visit = undefined;
    v.stride = job.input.position * job.shape.x.step;
    var block: usize = 0;
    while (block * job.panels.block < job.panels.steps) : (block += 1) {
        const steps = job.panels.blockSteps(block);
        v.x = job.input.words + block * job.panels.block;
        for (0..job.panels.panels) |panel| {
            const panel_sums = sums + panel * width * height * nr;
            var tap: usize = 0;
            while (tap < taps) {
                const len = runAt(&job.phase, tap, if (dense) run_steps_max / steps else 1);
                v.runs = runsAt(&job.phase, tap, len, visit_steps / (len * steps));
                v.run = len;
                v.steps = len * steps;
                v.w = job.panels.at(block, panel, tap);
                v.add = block + tap > 0;
                for (0..height) |row| {
                    v.taps = table + row * taps + tap;
                    const c = panel_sums + row * width * nr;
                    switch (job.panels.nv) {
                        inline 1...tile.nv_max => |nv| tileRow(kind, nv, &v, c, width),
                        else => unreachable,
                    }
                }
                tap += len * v.runs;
            }
        }
    }
}

/// Taps from `tap` on, at most `most`, that read neighbouring positions: where positions follow
/// each other without a gap, their words are one long run, as their weights are.
fn runAt(phase: *const shapes.Phase, tap: usize, most: usize) usize {
    const first = phase.taps[tap];
    var n: usize = 1;
    while (n < most and tap + n < phase.len) : (n += 1) {
        const next = phase.taps[tap + n];
        if (next.t != first.t or next.y != first.y or next.rest != first.rest) break;
        if (next.x != first.x + @as(i32, @intCast(n))) break;
    }
    return n;
}

/// How many runs of `len` taps follow each other, at most `most` but at least the first.
fn runsAt(phase: *const shapes.Phase, tap: usize, len: usize, most: usize) usize {
    var n: usize = 1;
    while (n < most and tap + n * len < phase.len) : (n += 1) {
        if (runAt(phase, tap + n * len, len) != len) break;
    }
    return n;
}

fn narrowUnit(
    comptime kind: Kind,
    job: *const Job,
    unit: Unit,
    sums: [*]f32,
    table: [*]const usize,
) void {
    const width = unit.x[1] - unit.x[0];
    const taps = job.phase.len;
    for (0..unit.y[1] - unit.y[0]) |row| {
        narrow.row(kind, &.{
            .x = job.input.words,
            .taps = table[row * taps .. (row + 1) * taps],
            .stride = job.input.position * job.shape.x.step,
            .vectors = job.input.used / lanes,
            .w = job.panels.words,
            .outputs = job.shape.out,
        }, sums + row * width * lanes, width);
    }
}

fn tileRow(comptime kind: Kind, comptime nv: usize, v: *tile.Visit, c: [*]f32, width: usize) void {
    const tiles = std.math.divCeil(usize, width, tile.mr(nv)) catch unreachable;
    for (0..tiles) |i| {
        const first = i * width / tiles;
        v.c = c + first * nv * lanes;
        tile.visit(kind, nv, (i + 1) * width / tiles - first, v, first);
    }
}

/// table[row][tap]: where the tap of the row's first position lies in the input.
fn addresses(job: *const Job, unit: Unit, table: [*]usize) void {
    const s = &job.shape;
    const taps = job.phase.taps[0..job.phase.len];
    for (unit.y[0]..unit.y[1], 0..) |qy, row| for (taps, 0..) |tap, i| {
        const x = @as(i64, @intCast(unit.x[0] * s.x.step)) + tap.x;
        table[row * taps.len + i] = job.input.at(
            s.t.source(unit.t, tap.t),
            s.y.source(qy, tap.y),
            x,
        );
    };
}

/// out = sums + bias + residual, rounded once.
fn store(comptime T: type, job: *const Job, unit: Unit, sums: [*]const f32) void {
    const s = &job.shape;
    const o = &job.args.out;
    const width = unit.x[1] - unit.x[0];
    const panel = width * (unit.y[1] - unit.y[0]) * job.panels.nr();
    const t = unit.t * s.t.phases + job.phase.t;
    const x = unit.x[0] * s.x.phases + job.phase.x;
    for (unit.y[0]..unit.y[1], 0..) |qy, row| {
        const y = qy * s.y.phases + job.phase.y;
        // out[t, y, x, :]
        const out = o.host(T) + t * o.strides[0] + y * o.strides[1] + x * o.strides[2];
        const from = sums + row * width * job.panels.nr();
        if (job.args.residual) |*r| {
            const residual = r.host(T) + t * r.strides[0] + y * r.strides[1] + x * r.strides[2];
            const step = s.x.phases * r.strides[2];
            storeRow(T, job, out, from, width, panel, residual, step);
        } else storeRow(T, job, out, from, width, panel, {}, 0);
    }
}

inline fn storeRow(
    comptime T: type,
    job: *const Job,
    out: [*]T,
    sums: [*]const f32,
    width: usize,
    panel: usize,
    residual: anytype,
    residual_step: usize,
) void {
    const nr = job.panels.nr();
    const outputs = job.shape.out;
    const step = job.shape.x.phases * job.args.out.strides[2];
    for (0..job.panels.panels) |p| {
        var c = p * nr;
        const end = @min(c + nr, outputs);
        while (c < end) : (c += lanes) {
            const n = @min(lanes, end - c);
            const bias = take(f32, job.bias.ptr + c, n);
            const from = sums + p * panel + c % nr;
            for (0..width) |i| {
                var v = simd.load(f32, from + i * nr) + bias;
                if (@TypeOf(residual) != void) v += take(T, residual + i * residual_step + c, n);
                const to = out + i * step + c;
                if (n == lanes) simd.store(T, to, v) else simd.storePart(T, to, n, v);
            }
        }
    }
}

inline fn take(comptime T: type, p: [*]const T, n: usize) simd.F {
    return if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n);
}
