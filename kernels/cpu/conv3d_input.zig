//! The input of conv3d as its tiles read it: scale, shift and activation applied and rounded once for each element,
//! rows widened by their replicated edges, channels as words. A few frames at a time, in scratch memory.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const tile = @import("conv3d_tile.zig");
const Desc = backend.Desc;
const lanes = simd.lanes;
const F = simd.F;
const Kind = tile.Kind;

pub const Input = struct {
    words: tile.Words,
    /// In words: from frame to frame, row to row, position to position.
    frame: usize,
    row: usize,
    position: usize,
    /// Position 0 of a row lies `left` positions after its start.
    left: usize,
    /// Words of a position that hold channels, or zeros that complete a word or a vector.
    used: usize,
    /// Frame f lies in slot f % slots.
    slots: usize,

    pub fn at(i: *const Input, t: usize, y: usize, x: i64) usize {
        const column: usize = @intCast(x + @as(i64, @intCast(i.left)));
        return t % i.slots * i.frame + y * i.row + column * i.position;
    }
};

/// What is applied on load.
pub const Load = struct {
    x: *const Desc,
    coeffs: ?[*]const f32,
    act: backend.Act,
    right: usize,
};

/// Words from position to position. Distances that are multiples of 512 bytes would put the
/// positions of one tile into few sets of the first cache.
pub fn positionWords(used: usize) usize {
    return if (used % 128 == 0) used + 16 else used;
}

/// Fills the slots of frames from..to.
pub fn load(kind: Kind, input: *const Input, source: *const Load, from: usize, to: usize) void {
    const height: usize = source.x.dims[1];
    const Context = struct { kind: Kind, input: *const Input, source: *const Load, first: usize };
    const context: Context = .{
        .kind = kind,
        .input = input,
        .source = source,
        .first = from * height,
    };
    pool.parallelFor((to - from) * height, context, struct {
        fn row(c: Context, i: usize) void {
            const t = (c.first + i) / c.source.x.dims[1];
            const y = (c.first + i) % c.source.x.dims[1];
            switch (c.source.x.dtype) {
                inline .f32, .bf16, .f16 => |d| switch (c.source.act) {
                    inline else => |act| {
                        const T = simd.Elem(d);
                        if (c.kind == .f32) return loadRow(.f32, T, act, c.input, c.source, t, y);
                        if (T == simd.Bf16) return loadRow(.bf16, T, act, c.input, c.source, t, y);
                        unreachable;
                    },
                },
                else => unreachable,
            }
        }
    }.row);
}

fn loadRow(
    comptime kind: Kind,
    comptime T: type,
    comptime act: backend.Act,
    input: *const Input,
    source: *const Load,
    t: usize,
    y: usize,
) void {
    const x = source.x;
    const width: usize = x.dims[2];
    const from = x.host(T) + t * x.strides[0] + y * x.strides[1]; // x[t, y, :, :]
    const base: [*]u32 = @ptrFromInt(@intFromPtr(input.words));
    const row = base + input.at(t, y, -@as(i64, @intCast(input.left)));
    for (0..width) |i| {
        const to = row + (input.left + i) * input.position;
        loadPosition(kind, T, act, to, from + i * x.strides[2], x.dims[3], source.coeffs);
        if (input.used * kind.depth() == x.dims[3]) continue;
        const out: [*]kind.Elem() = @ptrCast(to);
        @memset(out[x.dims[3] .. input.used * kind.depth()], std.mem.zeroes(kind.Elem()));
    }
    for (0..input.left) |i| repeat(row, i, input.left, input.position);
    const last = input.left + width - 1;
    for (0..source.right) |i| repeat(row, last + 1 + i, last, input.position);
}

fn repeat(row: [*]u32, to: usize, from: usize, words: usize) void {
    @memcpy((row + to * words)[0..words], (row + from * words)[0..words]);
}

inline fn loadPosition(
    comptime kind: Kind,
    comptime T: type,
    comptime act: backend.Act,
    to: [*]u32,
    from: [*]const T,
    channels: usize,
    coeffs: ?[*]const f32,
) void {
    const E = kind.Elem();
    const out: [*]E = @ptrCast(to);
    var c: usize = 0;
    while (c < channels) : (c += lanes) {
        const n = @min(lanes, channels - c);
        var v = take(T, from + c, n);
        if (coeffs) |k| v = simd.fma(v, take(f32, k + c, n), take(f32, k + channels + c, n));
        v = simd.act(act, v);
        if (E == f32) v = simd.roundTo(T, v);
        if (n == lanes) simd.store(E, out + c, v) else simd.storePart(E, out + c, n, v);
    }
}

inline fn take(comptime T: type, p: [*]const T, n: usize) F {
    return if (n == lanes) simd.load(T, p) else simd.loadPart(T, p, n);
}
