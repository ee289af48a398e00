//! matmul: out = epilogue(a·wᵀ). A task takes one panel of w, packs it into its thread's cache and
//! runs all rows of a past it: nothing packed is shared, nothing waits. A few rows alone go to
//! matmul_rows.zig. The order of every sum depends on K only, never on the number of threads.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const epilogue = @import("epilogue.zig");
const matmul_rows = @import("matmul_rows.zig");
const Kind = tile.Kind;
const mr = tile.mr;
const nr = tile.nr;

/// Steps of k in a packed panel: with the rows of a that pass, it has to fit a 1 MiB L2.
const steps_max = 1024;
/// Bytes of a that every panel reads before the next rows are taken: a share of the L3.
const part_bytes = 16 << 20;
/// Tasks a thread should get at least, where the rows allow it: a late thread then costs little.
const tasks_per_thread = 8;
const split_rows_min = 256;
const slot_rows = 0;
const slot_workers = 1;

pub fn matmul(args: *const backend.Matmul) backend.Status {
    if (args.out.dims[0] == 0 or args.out.dims[1] == 0) return .ok;
    const paired = args.a.dtype == .bf16 and args.w.dtype == .bf16;
    if (args.a.dims[0] <= matmul_rows.rows_max) {
        if (simd.has_bf16 and paired) return matmul_rows.run(.bf16, args);
        return matmul_rows.run(.f32, args);
    }
    if (simd.has_bf16 and paired) return run(.bf16, args);
    return run(.f32, args);
}

fn run(comptime kind: Kind, args: *const backend.Matmul) backend.Status {
    var p: Plan(kind) = .init(args);
    const bytes = p.worker_words * 4 * pool.threads();
    const workers = pool.scratch(slot_workers, bytes) orelse return pool.noScratch("matmul", bytes);
    p.workers = @ptrCast(workers);
    if (!p.direct) {
        const size = p.part_rows * p.lda * @sizeOf(kind.Elem());
        const copy = pool.scratch(slot_rows, size) orelse return pool.noScratch("matmul", size);
        p.copy = @ptrCast(copy);
    }
    const panels = divUp(p.n, nr);
    while (p.row < p.m) : (p.row += p.part_rows) {
        p.m_part = @min(p.part_rows, p.m - p.row);
        if (!p.direct) pool.parallelRange(p.m_part, 16, &p, Plan(kind).convert);
        p.splits = std.math.clamp(p.m_part / split_rows_min, 1, //
            divUp(tasks_per_thread * pool.threads(), panels));
        pool.parallelFor(panels * p.splits, &p, Plan(kind).panel);
    }
    return .ok;
}

fn Plan(comptime kind: Kind) type {
    const E = kind.Elem();
    return struct {
        const Self = @This();

        args: *const backend.Matmul,
        end: epilogue.Epilogue,
        m: usize,
        n: usize,
        k: usize,
        /// The kernel reads a where it lies. Else `copy` holds the current part of a as E, with an
        /// odd k padded by zero.
        direct: bool,
        copy: [*]E = undefined,
        lda: usize,
        /// k is summed in blocks of this many elements.
        block: usize,
        part_rows: usize,
        /// The rows being computed now, and into how many tasks each panel divides them.
        row: usize = 0,
        m_part: usize = 0,
        splits: usize = 1,
        /// A packed panel for each worker, then the sums of its rows if k has several blocks.
        workers: [*]u32 = undefined,
        worker_words: usize,

        fn init(args: *const backend.Matmul) Self {
            const m: usize = args.a.dims[0];
            const k: usize = args.a.dims[1];
            const direct = switch (kind) {
                .f32 => args.a.dtype == .f32,
                .bf16 => k % 2 == 0,
            };
            const steps = divUp(k, kind.depth());
            const blocks = @max(1, divUp(steps, steps_max));
            const block_steps = divUp(steps, blocks);
            const rows_max = @max(split_rows_min, part_bytes / @max(1, k * @sizeOf(E)));
            const part_rows = roundUp(divUp(m, divUp(m, rows_max)), mr);
            const sums = if (blocks == 1) 0 else roundUp(part_rows, mr) * nr;
            return .{
                .args = args,
                .end = .of(args),
                .m = m,
                .n = args.out.dims[1],
                .k = k,
                .direct = direct,
                .lda = if (direct) args.a.strides[0] else steps * kind.depth(),
                .block = block_steps * kind.depth(),
                .part_rows = part_rows,
                .worker_words = block_steps * nr + sums,
            };
        }

        /// Rows from..to of the current part, as E.
        fn convert(p: *const Self, from: usize, to: usize) void {
            switch (p.args.a.dtype) {
                inline .f32, .bf16, .f16 => |dtype| {
                    const T = simd.Elem(dtype);
                    const stride = p.args.a.strides[0];
                    for (from..to) |r| {
                        const src = p.args.a.host(T) + (p.row + r) * stride;
                        convertRow(T, E, src, p.copy + r * p.lda, p.k, p.lda);
                    }
                },
                else => unreachable,
            }
        }

        /// One panel of w times one share of the part's rows.
        fn panel(p: *const Self, index: usize, worker: usize) void {
            const col = index / p.splits * nr;
            const cols = @min(nr, p.n - col);
            const share = roundUp(divUp(p.m_part, p.splits), mr);
            const from = @min(p.m_part, index % p.splits * share);
            const to = @min(p.m_part, from + share);
            const words = p.workers + worker * p.worker_words;
            const sums: [*]f32 = @ptrCast(words + divUp(p.block, kind.depth()) * nr);
            var at: usize = 0;
            while (true) {
                const depth = @min(p.block, p.k - at);
                packRows(kind, p.args.w, col, cols, at, depth, words);
                p.rows(words, sums, from, to, col, cols, at, depth);
                at += depth;
                if (at == p.k) return;
            }
        }

        fn rows(
            p: *const Self,
            packed_panel: [*]const u32,
            sums: [*]f32,
            from: usize,
            to: usize,
            col: usize,
            cols: usize,
            at: usize,
            depth: usize,
        ) void {
            const steps = divUp(depth, kind.depth());
            const vectors = divUp(cols, simd.lanes);
            const last = at + depth == p.k;
            var one: [mr * nr]f32 align(64) = undefined;
            var r = from;
            while (r < to) : (r += mr) {
                const c = if (p.block >= p.k) &one else sums + (r - from) * nr;
                const a = p.rowPointers(r, to, at);
                if (at > 0) {
                    tile.multiplyN(kind, vectors, true, a, packed_panel, nr, steps, c, nr);
                } else {
                    tile.multiplyN(kind, vectors, false, a, packed_panel, nr, steps, c, nr);
                }
                if (last) epilogue.finish(&p.end, c, nr, p.row + r, @min(mr, to - r), col, cols);
            }
        }

        /// a[r..r+mr, at]; past the end the last row stands in, whose sums are not stored.
        fn rowPointers(p: *const Self, r: usize, to: usize, at: usize) [mr][*]const E {
            const base = if (p.direct) p.args.a.host(E) + p.row * p.lda else p.copy;
            var a: [mr][*]const E = undefined;
            for (&a, 0..) |*x, i| x.* = base + @min(r + i, to - 1) * p.lda + at;
            return a;
        }
    };
}

/// Packs w[col..col+cols, at..at+depth]: of kind f32 from any float dtype, of kind bf16 from bf16.
fn packRows(
    comptime kind: Kind,
    w: backend.Desc,
    col: usize,
    cols: usize,
    at: usize,
    depth: usize,
    dst: [*]u32,
) void {
    switch (w.dtype) {
        inline .f32, .bf16, .f16 => |dtype| {
            const T = simd.Elem(dtype);
            if (kind == .bf16 and T != simd.Bf16) unreachable;
            const src = w.host(T) + col * w.strides[0] + at;
            tile.packPanel(kind, T, src, w.strides[0], cols, depth, dst);
        },
        else => unreachable,
    }
}

/// dst[0..padded] = src[0..k] then zeros. Exact: widens to f32, or copies.
pub fn convertRow(
    comptime T: type,
    comptime E: type,
    src: [*]const T,
    dst: [*]E,
    k: usize,
    padded: usize,
) void {
    if (T == E) {
        @memcpy(dst[0..k], src[0..k]);
    } else if (E == f32) {
        var i: usize = 0;
        while (i < k) : (i += simd.lanes) {
            const n = @min(simd.lanes, k - i);
            simd.storePart(f32, dst + i, n, simd.loadPart(T, src + i, n));
        }
    } else unreachable;
    @memset(dst[k..padded], std.mem.zeroes(E));
}

pub fn divUp(a: usize, b: usize) usize {
    return (a + b - 1) / b;
}

/// a as a multiple of b, which need not be a power of two (6 rows a tile on AVX2).
pub fn roundUp(a: usize, b: usize) usize {
    return divUp(a, b) * b;
}

test {
    _ = @import("matmul_test.zig");
}
