//! attention: softmax(scale·q·kᵀ)·v for each sequence and head, without the matrix of scores.
//! The keys and values of some (sequence, kv head) units are packed by all threads, then every task
//! takes one block of queries past them (attention_block.zig). A task's result depends on nothing
//! but its inputs, so neither the number of threads nor the grouping of units changes a bit.

const std = @import("std");
const backend = @import("../backend.zig");
const abi = @import("../abi.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const block = @import("attention_block.zig");
const divUp = @import("matmul.zig").divUp;
const Kind = tile.Kind;
const lanes = simd.lanes;
const nr = tile.nr;

/// Packed keys and values kept at a time, unless one unit alone is larger.
const packed_bytes_max = 16 << 20;
const units_max = 64;
const slot_packed = 0;
const slot_workers = 1;

/// Sizes that all units share. Words are 32 bits: an f32 or a pair of bf16.
pub const Shape = struct {
    args: *const backend.Attention,
    heads: usize,
    kv_heads: usize,
    d: usize,
    /// Steps of d in a product of q and k.
    steps: usize,
    /// Vectors of d in a row of v and of the sums.
    vectors: usize,

    pub fn panels(s: *const Shape) usize {
        return divUp(s.vectors, tile.nv);
    }

    /// Vectors in a row of panel p of the values.
    pub fn panelVectors(s: *const Shape, p: usize) usize {
        return @min(tile.nv, s.vectors - p * tile.nv);
    }
};

/// One sequence and one kv head, with all query heads that read it.
pub const Unit = struct {
    q_first: usize,
    q_len: usize,
    k_first: usize,
    k_len: usize,
    kv_head: usize,
    /// Packed keys, then packed values: offsets in words.
    keys: usize,
    values: usize,
    /// Number of the first task of this unit in each of the two phases.
    pack_task: usize,
    block_task: usize,
};

pub fn attention(args: *const backend.Attention) backend.Status {
    const paired = args.q.dtype == .bf16 and args.k.dtype == .bf16 and args.v.dtype == .bf16;
    if (simd.has_bf16 and paired) return run(.bf16, args);
    return run(.f32, args);
}

fn run(comptime kind: Kind, args: *const backend.Attention) backend.Status {
    const d: usize = args.q.dims[2];
    const shape: Shape = .{
        .args = args,
        .heads = args.q.dims[1],
        .kv_heads = args.k.dims[1],
        .d = d,
        .steps = divUp(d, kind.depth()),
        .vectors = divUp(d, lanes),
    };
    var batch: Batch(kind) = .{ .shape = &shape };
    const sequences = if (args.cu_q) |cu| cu.dims[0] -| 1 else 1;
    for (0..sequences) |b| {
        const q = bounds(args.cu_q, b, args.q.dims[0]) orelse return badBounds("cu_q", b);
        const k = bounds(args.cu_k, b, args.k.dims[0]) orelse return badBounds("cu_k", b);
        if (q[0] == q[1]) continue;
        for (0..shape.kv_heads) |head| {
            const status = batch.add(.{
                .q_first = q[0],
                .q_len = q[1] - q[0],
                .k_first = k[0],
                .k_len = k[1] - k[0],
                .kv_head = head,
                .keys = 0,
                .values = 0,
                .pack_task = 0,
                .block_task = 0,
            });
            if (status != .ok) return status;
        }
    }
    return batch.flush();
}

/// First row and end of sequence b, or null if the list does not ascend inside the tensor.
fn bounds(cu: ?backend.Desc, b: usize, tokens: usize) ?[2]usize {
    const list = (cu orelse return .{ 0, tokens }).host(i32);
    if (list[b] < 0 or list[b] > list[b + 1] or list[b + 1] > tokens) return null;
    return .{ @intCast(list[b]), @intCast(list[b + 1]) };
}

fn badBounds(comptime name: []const u8, b: usize) backend.Status {
    const text = "attention: " ++ name ++ " of sequence {d} does not ascend inside its tensor";
    return abi.fail(.bad_argument, text, .{b});
}

/// Units that are packed and computed together.
fn Batch(comptime kind: Kind) type {
    const Block = block.Block(kind);
    return struct {
        const Self = @This();

        shape: *const Shape,
        units: [units_max]Unit = undefined,
        count: usize = 0,
        words: usize = 0,
        pack_tasks: usize = 0,
        block_tasks: usize = 0,
        memory: [*]u32 = undefined,
        workers: [*]align(64) u8 = undefined,

        fn add(batch: *Self, unit: Unit) backend.Status {
            const s = batch.shape;
            const keys = divUp(unit.k_len, nr) * nr * s.steps;
            const values = divUp(unit.k_len, kind.depth()) * s.vectors * lanes;
            const full = batch.count == units_max or
                (batch.words + keys + values) * 4 > packed_bytes_max;
            if (full and batch.count > 0) {
                const status = batch.flush();
                if (status != .ok) return status;
            }
            var u = unit;
            u.keys = batch.words;
            u.values = u.keys + keys;
            u.pack_task = batch.pack_tasks;
            u.block_task = batch.block_tasks;
            batch.units[batch.count] = u;
            batch.count += 1;
            batch.words += keys + values;
            batch.pack_tasks += divUp(unit.k_len, block.keys_max);
            batch.block_tasks += divUp(unit.q_len, block.rows_max) * (s.heads / s.kv_heads);
            return .ok;
        }

        fn flush(batch: *Self) backend.Status {
            if (batch.count == 0) return .ok;
            const bytes = @max(64, batch.words * 4);
            const memory = pool.scratch(slot_packed, bytes) orelse
                return pool.noScratch("attention", bytes);
            batch.memory = @ptrCast(memory);
            const worker_bytes = Block.bytes(batch.shape) * pool.threads();
            batch.workers = pool.scratch(slot_workers, worker_bytes) orelse
                return pool.noScratch("attention", worker_bytes);
            pool.parallelFor(batch.pack_tasks, @as(*const Self, batch), pack);
            pool.parallelFor(batch.block_tasks, @as(*const Self, batch), compute);
            batch.count = 0;
            batch.words = 0;
            batch.pack_tasks = 0;
            batch.block_tasks = 0;
            return .ok;
        }

        fn compute(batch: *const Self, index: usize, worker: usize) void {
            const s = batch.shape;
            const u = batch.unitOf("block_task", index);
            const blocks = divUp(u.q_len, block.rows_max);
            const task = index - u.block_task;
            const scratch: [*]align(64) u8 = @alignCast(batch.workers + worker * Block.bytes(s));
            const per_kv = s.heads / s.kv_heads;
            var b: Block = .init(s, u, batch.memory, scratch);
            b.run(u.kv_head * per_kv + task / blocks, task % blocks * block.rows_max);
        }

        /// Packs one block of keys and the same block of values.
        fn pack(batch: *const Self, index: usize) void {
            const u = batch.unitOf("pack_task", index);
            const from = (index - u.pack_task) * block.keys_max;
            const to = @min(from + block.keys_max, u.k_len);
            switch (batch.shape.args.k.dtype) {
                inline .f32, .bf16, .f16 => |dtype| {
                    const T = simd.Elem(dtype);
                    if (kind == .bf16 and T != simd.Bf16) unreachable;
                    batch.packKeys(T, u, from, to);
                    batch.packValues(T, u, from, to);
                },
                else => unreachable,
            }
        }

        fn packKeys(
            batch: *const Self,
            comptime T: type,
            u: *const Unit,
            from: usize,
            to: usize,
        ) void {
            const s = batch.shape;
            const k = s.args.k;
            var key = from;
            while (key < to) : (key += nr) {
                const src = k.host(T) + (u.k_first + key) * k.strides[0] + u.kv_head * k.strides[1];
                const dst = batch.memory + u.keys + key * s.steps; // panel key / nr
                tile.packPanel(kind, T, src, k.strides[0], @min(nr, to - key), s.d, dst);
            }
        }

        /// Values keep their order along d. Panels, tile.nv vectors wide but for the last, lie one
        /// after another, each over all keys.
        fn packValues(
            batch: *const Self,
            comptime T: type,
            u: *const Unit,
            from: usize,
            to: usize,
        ) void {
            const s = batch.shape;
            const v = s.args.v;
            const steps = divUp(u.k_len, kind.depth());
            var key = from;
            while (key < to) : (key += kind.depth()) {
                const src = v.host(T) + (u.k_first + key) * v.strides[0] + u.kv_head * v.strides[1];
                const next = if (key + 1 < to) src + v.strides[0] else null;
                for (0..s.vectors) |j| {
                    const panel = j / tile.nv;
                    const width = s.panelVectors(panel) * lanes;
                    const at = panel * tile.nv * lanes * steps + key / kind.depth() * width +
                        j % tile.nv * lanes;
                    const n = @min(lanes, s.d - j * lanes);
                    const to_words = batch.memory + u.values + at;
                    if (kind == .f32) {
                        const x = simd.loadPart(T, src + j * lanes, n);
                        simd.store(f32, @ptrCast(to_words), x);
                    } else {
                        const second = if (next) |p| p + j * lanes else null;
                        storePairs(to_words, src + j * lanes, second, n);
                    }
                }
            }
        }

        fn unitOf(batch: *const Self, comptime first: []const u8, index: usize) *const Unit {
            var i = batch.count - 1;
            while (@field(batch.units[i], first) > index) i -= 1;
            return &batch.units[i];
        }
    };
}

/// Words of (a[i], b[i]); b null stands for zeros.
inline fn storePairs(to: [*]u32, a: [*]const simd.Bf16, b: ?[*]const simd.Bf16, n: usize) void {
    const low: simd.U = @bitCast(simd.loadPart(simd.Bf16, a, n));
    const high: simd.U = if (b) |p| @bitCast(simd.loadPart(simd.Bf16, p, n)) else @splat(0);
    @as(*align(4) simd.U, @ptrCast(to)).* = (low >> @splat(16)) | high;
}

test {
    _ = @import("attention_test.zig");
}
