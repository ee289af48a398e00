//! The units of conv3d: about 256 output positions that one thread computes at a time, from sums in scratch memory to
//! rounded outputs. Units are cut by shapes alone, and no sum crosses from one to another.

const std = @import("std");
const simd = @import("simd.zig");
const narrow = @import("conv3d_narrow.zig");
const tile = @import("conv3d_tile.zig");
const work = @import("work.zig");
const Job = @import("conv3d.zig").Job;
const Kind = tile.Kind;
const lanes = simd.lanes;
const nr = tile.nr;

/// Words of weights of one channel that a visit takes: with nr channels 18 KB, under half of the first cache.
pub const visit_steps = 144;
pub const positions_max = 256;

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
    const bytes = work.Carver.bytesFor(f32, positions_max * job.panels.panels * nr);
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
    var v: tile.Visit = undefined;
    v.stride = job.input.position * job.shape.x.step;
    var block: usize = 0;
    while (block * job.panels.block < job.panels.steps) : (block += 1) {
        v.steps = job.panels.blockSteps(block);
        v.x = job.input.words + block * job.panels.block;
        const group = @max(1, visit_steps / v.steps);
        for (0..job.panels.panels) |panel| {
            const panel_sums = sums + panel * width * height * nr;
            var tap: usize = 0;
            while (tap < taps) : (tap += group) {
                v.w = job.panels.at(block, panel, tap);
                v.add = block + tap > 0;
                for (0..height) |row| {
                    v.taps = table[row * taps + tap .. row * taps + @min(tap + group, taps)];
                    tileRow(kind, &v, panel_sums + row * width * nr, width);
                }
            }
        }
    }
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
        }, sums + row * width * nr, width);
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
    const positions = width * (unit.y[1] - unit.y[0]);
    const t = unit.t * s.t.phases + job.phase.t;
    for (0..positions) |i| {
        const y = (unit.y[0] + i / width) * s.y.phases + job.phase.y;
        const x = (unit.x[0] + i % width) * s.x.phases + job.phase.x;
        // out[t, y, x, :]
        const out = o.host(T) + t * o.strides[0] + y * o.strides[1] + x * o.strides[2];
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
