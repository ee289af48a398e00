//! How the CPU ops cut their work: pieces of rows over the pool's threads, and memory for the length of one op.
//! Pieces depend on shapes only, never on the number of threads, so results do not either.
//! Here lie shapes and loops; what is computed on a piece belongs to the op.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");

const Desc = backend.Desc;

/// Elements of one piece: large enough to hide the hand-over, small enough to balance two threads.
pub const piece_elements: usize = 16 * 1024;

/// Rows per span such that a span holds about piece_elements.
pub fn rowGrain(columns: usize) usize {
    return @max(1, piece_elements / @max(1, columns));
}

// ------------------------------------------------------------------------------------------- rows

/// The rows (all dimensions but the last) of `operands` tensors of the same dims, each with strides of its own.
pub fn Rows(comptime operands: usize) type {
    return struct {
        const Self = @This();
        const outer_max = backend.rank_max;

        count: usize,
        columns: usize,
        rank: usize,
        dims: [outer_max]usize,
        strides: [operands][outer_max]usize,

        /// Keeps the last dimension as the columns; merges outer dimensions where every operand allows it.
        pub fn init(tensors: [operands]*const Desc) Self {
            const first = tensors[0];
            var r: Self = .{
                .count = 1,
                .columns = first.dims[first.rank - 1],
                .rank = 0,
                .dims = @splat(1),
                .strides = @splat(@splat(0)),
            };
            for (0..first.rank - 1) |d| {
                const n: usize = first.dims[d];
                r.count *= n;
                if (n == 1) continue;
                r.push(n, tensors, d);
            }
            return r;
        }

        /// As init, and rows that follow each other without a gap in every operand become one long row.
        pub fn flat(tensors: [operands]*const Desc) Self {
            var r = init(tensors);
            while (r.rank > 0) {
                const last = r.rank - 1;
                for (r.strides) |s| if (s[last] != r.columns) return r;
                r.columns *= r.dims[last];
                r.count = if (r.columns == 0) 0 else r.count / r.dims[last];
                r.rank = last;
            }
            return r;
        }

        fn push(r: *Self, n: usize, tensors: [operands]*const Desc, d: usize) void {
            if (r.rank > 0) {
                const p = r.rank - 1;
                var merges = true;
                for (tensors, r.strides) |t, s| merges = merges and s[p] == t.strides[d] * n;
                if (merges) {
                    r.dims[p] *= n;
                    for (tensors, &r.strides) |t, *s| s[p] = t.strides[d];
                    return;
                }
            }
            r.dims[r.rank] = n;
            for (tensors, &r.strides) |t, *s| s[r.rank] = t.strides[d];
            r.rank += 1;
        }

        /// Offset in elements of a row's first element, for each operand.
        pub fn at(r: *const Self, row: usize) [operands]usize {
            var offsets: [operands]usize = @splat(0);
            var rest = row;
            var d = r.rank;
            while (d > 0) {
                d -= 1;
                const i = if (d == 0) rest else rest % r.dims[d];
                if (d > 0) rest /= r.dims[d];
                inline for (0..operands) |k| offsets[k] += i * r.strides[k][d];
            }
            return offsets;
        }

        /// Calls body(context, offsets, column, n) for pieces that cover every row: elements
        /// column..column+n of the row whose first element lies at offsets.
        pub fn pieces(
            r: *const Self,
            context: anytype,
            comptime body: fn (@TypeOf(context), [operands]usize, usize, usize) void,
        ) void {
            if (r.count == 0 or r.columns == 0) return;
            const Context = struct { rows: *const Self, inner: @TypeOf(context) };
            const c: Context = .{ .rows = r, .inner = context };
            if (r.columns > piece_elements) {
                const part = struct {
                    fn one(k: Context, i: usize) void {
                        const a_row = (k.rows.columns + piece_elements - 1) / piece_elements;
                        const from = i % a_row * piece_elements;
                        const n = @min(piece_elements, k.rows.columns - from);
                        body(k.inner, k.rows.at(i / a_row), from, n);
                    }
                };
                pool.parallelFor(
                    r.count * ((r.columns + piece_elements - 1) / piece_elements),
                    c,
                    part.one,
                );
                return;
            }
            const whole = struct {
                fn some(k: Context, from: usize, to: usize) void {
                    for (from..to) |i| body(k.inner, k.rows.at(i), 0, k.rows.columns);
                }
            };
            pool.parallelRange(r.count, rowGrain(r.columns), c, whole.some);
        }
    };
}

// ----------------------------------------------------------------------------------------- memory

/// Hands out parts of one scratch slot, each on a cache line. Sizes first: `bytesFor` of every part summed, then take.
pub const Carver = struct {
    at: usize,
    end: usize,

    pub fn init(slot: u32, bytes: usize) ?Carver {
        const memory = pool.scratch(slot, bytes) orelse return null;
        return .{ .at = @intFromPtr(memory), .end = @intFromPtr(memory) + bytes };
    }

    pub fn bytesFor(comptime T: type, n: usize) usize {
        return std.mem.alignForward(usize, n * @sizeOf(T), 64);
    }

    pub fn take(c: *Carver, comptime T: type, n: usize) []align(64) T {
        const p: [*]align(64) T = @ptrFromInt(c.at);
        c.at += bytesFor(T, n);
        std.debug.assert(c.at <= c.end);
        return p[0..n];
    }
};

/// Parameter tensors of any float dtype as f32 in scratch memory; what is null stays empty.
pub fn params(
    comptime op: []const u8,
    comptime n: usize,
    slot: u32,
    tensors: [n]?*const Desc,
    out: *[n][]const f32,
) backend.Status {
    var bytes: usize = 64;
    for (tensors) |t| if (t) |x| {
        bytes += Carver.bytesFor(f32, @intCast(x.count()));
    };
    var carver = Carver.init(slot, bytes) orelse return pool.noScratch(op, bytes);
    for (tensors, out) |t, *o| {
        o.* = &.{};
        const x = t orelse continue;
        const floats = carver.take(f32, @intCast(x.count()));
        switch (x.dtype) {
            inline .f32, .bf16, .f16 => |d| {
                const T = simd.Elem(d);
                toFloats(T, x.host(T), floats.ptr, floats.len);
            },
            else => unreachable,
        }
        o.* = floats;
    }
    return .ok;
}

/// out[0..n] = x[0..n] as f32.
pub fn toFloats(comptime T: type, x: [*]const T, out: [*]f32, n: usize) void {
    var i: usize = 0;
    while (i + simd.lanes <= n) : (i += simd.lanes) simd.store(f32, out + i, simd.load(T, x + i));
    while (i < n) : (i += 1) out[i] = simd.toF32(T, x[i]);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;

test "rows that follow each other merge, rows with gaps do not" {
    const dense: Desc = .{
        .ptr = 0,
        .dtype = .f32,
        .rank = 3,
        .dims = .{ 2, 3, 4, 1, 1, 1 },
        .strides = .{ 12, 4, 1, 0, 0, 0 },
    };
    var gaps = dense;
    gaps.strides[1] = 8;
    gaps.strides[0] = 24;

    const one = Rows(1).flat(.{&dense});
    const two = Rows(2).flat(.{ &dense, &gaps });

    try testing.expectEqual(24, one.columns);
    try testing.expectEqual(1, one.count);
    try testing.expectEqual(4, two.columns);
    try testing.expectEqual(6, two.count);
    try testing.expectEqual([2]usize{ 20, 40 }, two.at(5));
}
