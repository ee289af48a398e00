//! The weights of one phase of conv3d as its tiles read them: [channel block][panel][tap][step][nr] words.
//! Taps that merge several kernel elements are summed in f32. Kind bf16 keeps such a sum as two bf16 weights, so that
//! merging loses no precision. Repacked for each call: small beside the products.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const shape = @import("conv3d_shape.zig");
const product = @import("tile.zig");
const tile = @import("conv3d_tile.zig");
const lanes = simd.lanes;
const F = simd.F;
const U = simd.U;
const Kind = tile.Kind;

pub const Panels = struct {
    words: [*]align(64) u32,
    phase: *const shape.Phase,
    /// Words of channels: all, and of one block (the last may have fewer).
    steps: usize,
    block: usize,
    /// Panels of nv vectors of output channels.
    panels: usize,
    nv: usize,

    pub fn nr(p: *const Panels) usize {
        return p.nv * lanes;
    }

    pub fn size(p: *const Panels) usize {
        return p.steps * p.panels * p.phase.len * p.nr();
    }

    pub fn blockSteps(p: *const Panels, block: usize) usize {
        return @min(p.block, p.steps - block * p.block);
    }

    pub fn at(p: *const Panels, block: usize, panel: usize, tap: usize) [*]u32 {
        const before = block * p.block * p.panels * p.phase.len;
        const inside = (panel * p.phase.len + tap) * p.blockSteps(block);
        return p.words + (before + inside) * p.nr();
    }
};

pub fn pack(kind: Kind, w: *const backend.Desc, panels: *const Panels) void {
    const Context = struct { kind: Kind, w: *const backend.Desc, panels: *const Panels };
    const context: Context = .{ .kind = kind, .w = w, .panels = panels };
    pool.parallelFor(panels.panels * panels.phase.len, context, struct {
        fn one(c: Context, i: usize) void {
            const panel = i / c.panels.phase.len;
            const tap = i % c.panels.phase.len;
            switch (c.w.dtype) {
                inline .f32, .bf16, .f16 => |d| {
                    const T = simd.Elem(d);
                    if (c.kind == .f32) return packTap(.f32, T, c.w, c.panels, panel, tap);
                    if (T == simd.Bf16) return packTap(.bf16, T, c.w, c.panels, panel, tap);
                    unreachable;
                },
                else => unreachable,
            }
        }
    }.one);
}

fn packTap(
    comptime kind: Kind,
    comptime T: type,
    w: *const backend.Desc,
    panels: *const Panels,
    panel: usize,
    tap: usize,
) void {
    const nr = panels.nr();
    const outputs = @min(nr, w.dims[0] - panel * nr);
    const t = &panels.phase.taps[tap];
    var block: usize = 0;
    while (block * panels.block < panels.steps) : (block += 1) {
        const steps = panels.blockSteps(block);
        const to = panels.at(block, panel, tap);
        var s: usize = 0;
        while (s < steps) : (s += lanes) for (0..panels.nv) |v| {
            const channel = (block * panels.block + s) * kind.depth();
            var words: [lanes]U = @splat(@splat(0));
            for (0..@min(lanes, outputs -| v * lanes)) |i| {
                const row = w.host(T) + (panel * nr + v * lanes + i) * w.strides[0];
                words[i] = sum(kind, T, row, w, t, channel);
            }
            product.transpose(&words);
            for (0..@min(lanes, steps - s)) |i| {
                const p: *align(4) U = @ptrCast(to + (s + i) * nr + v * lanes);
                p.* = words[i];
            }
        };
    }
}

/// `lanes` words of one output channel's weights from `channel` on, zero past the last channel.
pub fn sum(
    comptime kind: Kind,
    comptime T: type,
    row: [*]const T,
    w: *const backend.Desc,
    tap: *const shape.Tap,
    channel: usize,
) U {
    const channels: usize = w.dims[4];
    var parts: [kind.depth()]F = @splat(simd.splat(0));
    for (tap.members[0..tap.len]) |member| {
        const k: usize = member;
        const from = row + k / (w.dims[2] * w.dims[3]) * w.strides[1] +
            k / w.dims[3] % w.dims[2] * w.strides[2] + k % w.dims[3] * w.strides[3];
        inline for (&parts, 0..) |*p, j| {
            const c = channel + j * lanes;
            if (c + lanes <= channels) {
                p.* += simd.load(T, from + c);
            } else if (c < channels) {
                p.* += simd.loadPart(T, from + c, channels - c);
            }
        }
    }
    if (kind == .f32) return @bitCast(parts[0]);
    var pairs: [2 * lanes]u16 = undefined;
    inline for (parts, 0..) |p, j| {
        const high = simd.narrow(p);
        const bits = if (tap.rest) simd.narrow(p - simd.widen(high)) else high;
        pairs[j * lanes ..][0..lanes].* = bits;
    }
    return @bitCast(pairs);
}
