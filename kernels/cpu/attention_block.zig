//! One block of queries of one head against all its keys: scores, running softmax, weighted values.
//! Everything lives in the worker's scratch: queries, one block of scores (overwritten in place by
//! the weights), sums. A mask is a number of leading keys for every query, never a value.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const softmax = @import("softmax.zig");
const attention = @import("attention.zig");
const matmul = @import("matmul.zig");
const Kind = tile.Kind;
const lanes = simd.lanes;
const mr = tile.mr;
const nr = tile.nr;
const divUp = matmul.divUp;

/// Queries of a block, and keys it takes at a time: their scores, keys and values share an L2.
pub const rows_max: usize = 64 / mr * mr;
pub const keys_max: usize = 384;

comptime {
    std.debug.assert(keys_max % nr == 0 and keys_max % (2 * lanes) == 0);
}

pub fn Block(comptime kind: Kind) type {
    const E = kind.Elem();
    return struct {
        const Self = @This();

        s: *const attention.Shape,
        u: *const attention.Unit,
        keys: [*]const u32,
        values: [*]const u32,
        /// [rows_max, steps·depth], scores [rows_max, keys_max], sums [rows_max, vectors·lanes].
        q: [*]E,
        scores: [*]f32,
        sums: [*]f32,
        rows: usize = 0,
        states: [rows_max]softmax.State = @splat(.{}),
        /// Keys that row r may see, from the first on.
        limits: [rows_max]usize = @splat(0),

        pub fn bytes(s: *const attention.Shape) usize {
            const words = s.steps + keys_max + s.vectors * lanes;
            return std.mem.alignForward(usize, rows_max * words * 4, 64);
        }

        pub fn init(
            s: *const attention.Shape,
            u: *const attention.Unit,
            memory: [*]const u32,
            scratch: [*]align(64) u8,
        ) Self {
            const scores: [*]f32 = @ptrCast(scratch);
            const sums = scores + rows_max * keys_max;
            const q = sums + rows_max * s.vectors * lanes;
            return .{
                .s = s,
                .u = u,
                .keys = memory + u.keys,
                .values = memory + u.values,
                .q = @ptrCast(q),
                .scores = scores,
                .sums = sums,
            };
        }

        /// Queries row.. of the unit, at most rows_max of them, of one head.
        pub fn run(b: *Self, head: usize, row: usize) void {
            b.rows = @min(rows_max, b.u.q_len - row);
            const padded = matmul.roundUp(b.rows, mr);
            b.loadQueries(head, row, padded);
            @memset(b.sums[0 .. padded * b.s.vectors * lanes], 0);
            for (0..b.rows) |r| b.limits[r] = limit(b.s.args, b.u, row + r);
            const limit_max = b.limits[b.rows - 1]; // limits ascend with the row
            var key: usize = 0;
            while (key < limit_max) : (key += keys_max) {
                const n = @min(keys_max, limit_max - key);
                b.score(key, n, padded);
                b.weigh(key, padded);
                b.sum(key, padded);
            }
            b.store(head, row);
        }

        fn loadQueries(b: *Self, head: usize, row: usize, padded: usize) void {
            const q = b.s.args.q;
            const stride = b.s.steps * kind.depth();
            switch (q.dtype) {
                inline .f32, .bf16, .f16 => |dtype| {
                    const T = simd.Elem(dtype);
                    const first = q.host(T) + (b.u.q_first + row) * q.strides[0] +
                        head * q.strides[1];
                    for (0..b.rows) |r| {
                        const src = first + r * q.strides[0];
                        matmul.convertRow(T, E, src, b.q + r * stride, b.s.d, stride);
                    }
                },
                else => unreachable,
            }
            const used = b.q[0 .. padded * stride];
            @memset(used[b.rows * stride ..], std.mem.zeroes(E));
            if (b.s.args.scale >= 0) return;
            // The softmax wants a scale that keeps the order of the scores.
            for (used) |*x| x.* = simd.fromF32(E, -simd.toF32(E, x.*));
        }

        /// scores = q·kᵀ for keys key..key+n, as far as the queries of a tile can see.
        fn score(b: *Self, key: usize, n: usize, padded: usize) void {
            const stride = b.s.steps * kind.depth();
            var k: usize = 0;
            while (k < n) : (k += nr) {
                const panel = b.keys + (key + k) * b.s.steps;
                var r: usize = 0;
                while (r < padded) : (r += mr) {
                    if (b.seen(r, key) <= k) continue;
                    var a: [mr][*]const E = undefined;
                    for (&a, 0..) |*x, i| x.* = b.q + (r + i) * stride;
                    const c = b.scores + r * keys_max + k;
                    tile.multiply(kind, tile.nv, false, a, panel, nr, b.s.steps, c, keys_max);
                }
            }
        }

        /// Keys of the block at `key` that any query of the tile at row r sees.
        fn seen(b: *const Self, r: usize, key: usize) usize {
            return @min(b.limits[@min(r + mr, b.rows) - 1] -| key, keys_max);
        }

        /// Turns scores into weights e^(score - max) and scales what was summed under an older max.
        fn weigh(b: *Self, key: usize, padded: usize) void {
            const scale = @abs(b.s.args.scale);
            const width = b.s.vectors * lanes;
            for (0..padded) |r| {
                const end = b.seen(r / mr * mr, key);
                const n = if (r < b.rows) @min(b.limits[r] -| key, keys_max) else 0;
                const row = b.scores + r * keys_max;
                const kept = softmax.step(kind, &b.states[r], row, n, end, scale);
                if (kept == 1) continue;
                var j: usize = 0;
                while (j < width) : (j += lanes) {
                    const at = b.sums + r * width + j;
                    simd.store(f32, at, simd.load(f32, at) * simd.splat(kept));
                }
            }
        }

        /// sums += weights·v.
        fn sum(b: *Self, key: usize, padded: usize) void {
            const width = b.s.vectors * lanes;
            const all_steps = divUp(b.u.k_len, kind.depth());
            for (0..b.s.panels()) |p| {
                const vectors = b.s.panelVectors(p);
                const panel = b.values + p * nr * all_steps +
                    key / kind.depth() * vectors * lanes;
                var r: usize = 0;
                while (r < padded) : (r += mr) {
                    const steps = divUp(b.seen(r, key), kind.depth());
                    if (steps == 0) continue;
                    var a: [mr][*]const E = undefined;
                    for (&a, 0..) |*x, i| x.* = @ptrCast(b.scores + (r + i) * keys_max);
                    const c = b.sums + r * width + p * nr;
                    tile.multiplyN(kind, vectors, true, a, panel, vectors * lanes, steps, c, width);
                }
            }
        }

        fn store(b: *Self, head: usize, row: usize) void {
            const out = b.s.args.out;
            const width = b.s.vectors * lanes;
            switch (out.dtype) {
                inline .f32, .bf16, .f16 => |dtype| {
                    const T = simd.Elem(dtype);
                    const first = out.host(T) + (b.u.q_first + row) * out.strides[0] +
                        head * out.strides[1];
                    for (0..b.rows) |r| {
                        // A query that sees no key has no weight: its output is 0.
                        const total = b.states[r].total;
                        const factor = simd.splat(if (total == 0) 0 else 1 / total);
                        var j: usize = 0;
                        while (j < b.s.d) : (j += lanes) {
                            const y = simd.load(f32, b.sums + r * width + j) * factor;
                            const to = first + r * out.strides[0] + j;
                            simd.storePart(T, to, @min(lanes, b.s.d - j), y);
                        }
                    }
                },
                else => unreachable,
            }
        }
    };
}

/// How many keys the query at position i of its sequence sees; ascends with i.
fn limit(args: *const backend.Attention, u: *const attention.Unit, i: usize) usize {
    return switch (args.mask) {
        .none => u.k_len,
        .causal => @min(u.k_len, (i + 1 + u.k_len) -| u.q_len),
        .frame_causal => @min(u.k_len, (i / args.frame + 1) * args.frame),
    };
}
