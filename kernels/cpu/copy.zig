//! copy: cast and re-layout between any strides; `map` is the same walk for other conversions of one element.
//! Dimensions are sorted and merged first, so a permuted view of dense memory becomes long rows or a 2-D transpose.
//! A transpose goes by tiles that fit the first cache: memory is read and written in whole cache lines.

const std = @import("std");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const product = @import("tile.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Desc = backend.Desc;
const Dtype = backend.Dtype;
const Status = backend.Status;
const lanes = simd.lanes;

pub fn copy(args: *const backend.Copy) Status {
    if (args.dst.dtype == args.src.dtype) {
        // Bits are bits: one walk for each size.
        switch (args.dst.dtype.size()) {
            1 => map(u8, u8, &args.dst, &args.src, Same(u8)),
            2 => map(u16, u16, &args.dst, &args.src, Same(u16)),
            4 => map(u32, u32, &args.dst, &args.src, Same(u32)),
            else => unreachable,
        }
        return .ok;
    }
    switch (args.src.dtype) {
        inline .f32, .bf16, .f16 => |from| switch (args.dst.dtype) {
            inline .f32, .bf16, .f16 => |to| cast(simd.Elem(to), simd.Elem(from), args),
            else => unreachable,
        },
        inline .i32, .u8 => |from| {
            const I = simd.Elem(from);
            map(f32, I, &args.dst, &args.src, Whole(I));
        },
    }
    return .ok;
}

fn cast(comptime O: type, comptime I: type, args: *const backend.Copy) void {
    if (O == I) unreachable;
    map(O, I, &args.dst, &args.src, Cast(O, I));
}

/// out = C.one(x), element by element. C.lift takes `lanes` neighbours into 32-bit words, C.drop puts
/// them down; between the two a transpose may move them.
pub fn map(
    comptime O: type,
    comptime I: type,
    out: *const Desc,
    x: *const Desc,
    comptime C: type,
) void {
    const plan = Plan.init(out, x) orelse return;
    const Context = struct { plan: *const Plan, out: [*]O, x: [*]const I };
    const context: Context = .{ .plan = &plan, .out = out.host(O), .x = x.host(I) };
    pool.parallelRange(plan.blocks(), plan.blocksATask(), context, struct {
        fn some(c: Context, from: usize, to: usize) void {
            for (from..to) |i| {
                const b = c.plan.block(i);
                const o = c.out + b.out;
                const in = c.x + b.in;
                if (c.plan.straight) {
                    rows(O, I, C, o, in, c.plan, b);
                } else {
                    transpose(O, I, C, o, in, c.plan, b);
                }
            }
        }
    }.some);
}

fn rows(
    comptime O: type,
    comptime I: type,
    comptime C: type,
    out: [*]O,
    x: [*]const I,
    p: *const Plan,
    b: Block,
) void {
    for (0..b.n[0]) |k| {
        const o = out + k * p.second.out;
        const in = x + k * p.second.in;
        var i: usize = 0;
        while (i + lanes <= b.n[1]) : (i += lanes) C.drop(o + i, C.lift(in + i));
        while (i < b.n[1]) : (i += 1) o[i] = C.one(in[i]);
    }
}

fn transpose(
    comptime O: type,
    comptime I: type,
    comptime C: type,
    out: [*]O,
    x: [*]const I,
    p: *const Plan,
    b: Block,
) void {
    // A square of squares: whole cache lines on both sides.
    const k_square = @max(lanes, 64 / @sizeOf(I));
    const l_square = @max(lanes, 64 / @sizeOf(O));
    const dense = p.last.out == 1 and p.second.in == 1;
    const n: [2]usize = if (!dense) .{ 0, 0 } else .{
        b.n[0] / k_square * k_square,
        b.n[1] / l_square * l_square,
    };
    var k: usize = 0;
    while (k < n[0]) : (k += k_square) {
        var l: usize = 0;
        while (l < n[1]) : (l += l_square) {
            for (0..k_square / lanes) |i| for (0..l_square / lanes) |j| {
                const row = k + i * lanes;
                const column = l + j * lanes;
                const o = out + row * p.second.out + column;
                square(O, I, C, o, x + row + column * p.last.in, p);
            };
        }
    }
    onebyone(O, I, C, out, x, p, .{ 0, n[0] }, .{ n[1], b.n[1] });
    onebyone(O, I, C, out, x, p, .{ n[0], b.n[0] }, .{ 0, b.n[1] });
}

/// lanes × lanes elements, turned in registers.
fn square(
    comptime O: type,
    comptime I: type,
    comptime C: type,
    out: [*]O,
    x: [*]const I,
    p: *const Plan,
) void {
    var words: [lanes]simd.U = undefined;
    inline for (&words, 0..) |*w, i| w.* = C.lift(x + i * p.last.in);
    product.transpose(&words);
    inline for (words, 0..) |w, i| C.drop(out + i * p.second.out, w);
}

/// Elements k[0]..k[1] of `second` and l[0]..l[1] of `last`, in tiles that stay in the first cache.
fn onebyone(
    comptime O: type,
    comptime I: type,
    comptime C: type,
    out: [*]O,
    x: [*]const I,
    p: *const Plan,
    k: [2]usize,
    l: [2]usize,
) void {
    const tile = 32;
    var k0 = k[0];
    while (k0 < k[1]) : (k0 += tile) {
        var l0 = l[0];
        while (l0 < l[1]) : (l0 += tile) {
            for (k0..@min(k0 + tile, k[1])) |row| {
                const o = out + row * p.second.out;
                const in = x + row * p.second.in;
                for (l0..@min(l0 + tile, l[1])) |i| o[i * p.last.out] = C.one(in[i * p.last.in]);
            }
        }
    }
}

// ------------------------------------------------------------------------------------ conversions

fn Same(comptime T: type) type {
    return struct {
        pub fn one(x: T) T {
            return x;
        }
        pub inline fn lift(x: [*]const T) simd.U {
            return @as(@Vector(lanes, T), x[0..lanes].*);
        }
        pub inline fn drop(out: [*]T, words: simd.U) void {
            out[0..lanes].* = @as(@Vector(lanes, T), @truncate(words));
        }
    };
}

fn Cast(comptime O: type, comptime I: type) type {
    return struct {
        pub fn one(x: I) O {
            return simd.fromF32(O, simd.toF32(I, x));
        }
        pub inline fn lift(x: [*]const I) simd.U {
            return @bitCast(simd.load(I, x));
        }
        pub inline fn drop(out: [*]O, words: simd.U) void {
            simd.store(O, out, @bitCast(words));
        }
    };
}

fn Whole(comptime I: type) type {
    return struct {
        pub fn one(x: I) f32 {
            return @floatFromInt(x);
        }
        pub inline fn lift(x: [*]const I) simd.U {
            const v: @Vector(lanes, I) = x[0..lanes].*;
            return @bitCast(@as(simd.F, @floatFromInt(v)));
        }
        pub inline fn drop(out: [*]f32, words: simd.U) void {
            simd.store(f32, out, @bitCast(words));
        }
    };
}

// ------------------------------------------------------------------------------------------- plan

const Dim = struct { n: usize = 1, out: usize = 0, in: usize = 0 };
const Block = struct { out: usize, in: usize, n: [2]usize };

/// The walk of one op: outer dimensions, and a plane (second × last) that is cut into blocks.
const Plan = struct {
    outer: [backend.rank_max]Dim,
    outer_len: usize,
    outer_count: usize,
    second: Dim,
    last: Dim,
    /// Elements of `last` are neighbours on both sides.
    straight: bool,
    /// Size of a block, and blocks along both dimensions.
    size: [2]usize,
    cuts: [2]usize,

    /// Null when there is nothing to do.
    fn init(out: *const Desc, x: *const Desc) ?Plan {
        var dims: [backend.rank_max]Dim = @splat(.{});
        var len: usize = 0;
        for (0..out.rank) |d| {
            const n = out.dims[d];
            if (n == 0) return null;
            if (n == 1) continue;
            dims[len] = .{ .n = n, .out = out.strides[d], .in = x.strides[d] };
            len += 1;
        }
        std.mem.sort(Dim, dims[0..len], {}, isOuter);
        len = merge(dims[0..len]);

        var p: Plan = undefined;
        p.last = .{ .out = 1, .in = 1 };
        p.second = .{};
        if (len > 0) {
            len -= 1;
            p.last = dims[len];
        }
        p.straight = p.last.out == 1 and p.last.in == 1;
        if (len > 0) {
            // A transpose pairs the dimension that is dense on one side with the one dense on the other.
            var pick = len - 1;
            if (!p.straight) for (0..len) |d| {
                if (dims[d].in < dims[pick].in) pick = d;
            };
            p.second = dims[pick];
            std.mem.copyForwards(Dim, dims[pick .. len - 1], dims[pick + 1 .. len]);
            len -= 1;
        }
        p.outer = dims;
        p.outer_len = len;
        p.outer_count = 1;
        for (dims[0..len]) |d| p.outer_count *= d.n;
        const last_max: usize = if (p.straight) work.piece_elements else 256;
        p.size[1] = @min(p.last.n, last_max);
        p.size[0] = @min(p.second.n, @max(1, work.piece_elements / p.size[1]));
        p.cuts = .{ ceil(p.second.n, p.size[0]), ceil(p.last.n, p.size[1]) };
        return p;
    }

    fn isOuter(_: void, a: Dim, b: Dim) bool {
        return if (a.out != b.out) a.out > b.out else a.in > b.in;
    }

    /// Joins neighbours that are one run on both sides; returns how many are left.
    fn merge(dims: []Dim) usize {
        var len: usize = 0;
        for (dims) |d| {
            if (len > 0) {
                const o = &dims[len - 1];
                if (o.out == d.out * d.n and o.in == d.in * d.n) {
                    o.* = .{ .n = o.n * d.n, .out = d.out, .in = d.in };
                    continue;
                }
            }
            dims[len] = d;
            len += 1;
        }
        return len;
    }

    fn blocks(p: *const Plan) usize {
        return p.outer_count * p.cuts[0] * p.cuts[1];
    }

    fn blocksATask(p: *const Plan) usize {
        return @max(1, work.piece_elements / (p.size[0] * p.size[1]));
    }

    fn block(p: *const Plan, index: usize) Block {
        const at: [2]usize = .{
            index / p.cuts[1] % p.cuts[0] * p.size[0],
            index % p.cuts[1] * p.size[1],
        };
        var b: Block = .{
            .out = at[0] * p.second.out + at[1] * p.last.out,
            .in = at[0] * p.second.in + at[1] * p.last.in,
            .n = .{ @min(p.size[0], p.second.n - at[0]), @min(p.size[1], p.last.n - at[1]) },
        };
        var rest = index / (p.cuts[0] * p.cuts[1]);
        var d = p.outer_len;
        while (d > 0) {
            d -= 1;
            const i = rest % p.outer[d].n;
            rest /= p.outer[d].n;
            b.out += i * p.outer[d].out;
            b.in += i * p.outer[d].in;
        }
        return b;
    }

    fn ceil(a: usize, b: usize) usize {
        return (a + b - 1) / b;
    }
};

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

/// View of a dense tensor with its dimensions in another order.
fn permuted(d: Desc, order: []const usize) Desc {
    var p = d;
    for (order, 0..) |from, to| {
        p.dims[to] = d.dims[from];
        p.strides[to] = d.strides[from];
    }
    return p;
}

fn expectCopy(
    comptime O: type,
    comptime I: type,
    dims: []const u32,
    order: []const usize,
    gap: u32,
) !void {
    var r = cases.Random.init(dims[0]);
    var x: cases.Case(I) = try .init(dims, gap);
    defer x.deinit();
    for (0..x.count()) |i| {
        const v = r.next();
        x.set(i, if (I == u8 or I == i32) @floor(@abs(v) * 200) else v * 5);
    }
    const view = permuted(x.desc, order);
    var out: cases.Case(O) = try .init(view.dims[0..view.rank], gap);
    defer out.deinit();

    try testing.expectEqual(Status.ok, copy(&.{ .dst = out.desc, .src = view }));

    var walk = x;
    walk.desc = view;
    for (0..x.count()) |i| {
        const v = walk.get(i);
        const want = switch (O) {
            i32, u8 => v,
            else => simd.toF32(O, simd.fromF32(O, v)),
        };
        try testing.expectEqual(want, out.get(i));
    }
    try out.expectGapsUntouched();
}

test "copy follows any permutation, with gaps, of every pair of dtypes" {
    const orders = [_][3]usize{
        .{ 0, 1, 2 },
        .{ 2, 1, 0 },
        .{ 1, 0, 2 },
        .{ 2, 0, 1 },
        .{ 0, 2, 1 },
    };
    const floats = .{ f32, simd.Bf16, f16 };
    for (orders) |order| for ([_]u32{ 0, 3 }) |gap| for ([_][3]u32{
        .{ 3, 67, 5 },
        .{ 1, 1, 1 },
        .{ 40, 33, 48 },
    }) |dims| {
        inline for (floats) |O| inline for (floats) |I| try expectCopy(O, I, &dims, &order, gap);
        try expectCopy(u8, u8, &dims, &order, gap);
        try expectCopy(i32, i32, &dims, &order, gap);
        try expectCopy(f32, u8, &dims, &order, gap);
        try expectCopy(f32, i32, &dims, &order, gap);
    };
}

test "copy of nothing writes nothing, and one long row is split" {
    try expectCopy(f32, f32, &.{ 3, 0, 2 }, &.{ 0, 1, 2 }, 0);
    try expectCopy(simd.Bf16, f32, &.{40_003}, &.{0}, 0);
    try expectCopy(f32, f32, &.{ 2, 3, 4, 5, 6, 7 }, &.{ 5, 3, 1, 0, 2, 4 }, 0);
}

test "copy from a strided innermost dimension into another" {
    var x: [12]f32 = undefined;
    for (&x, 0..) |*v, i| v.* = @floatFromInt(i);
    var out: [8]f32 = @splat(-1);
    var src = cases.vector(f32, x[0..4]);
    src.strides[0] = 3;
    var dst = cases.vector(f32, out[0..4]);
    dst.strides[0] = 2;

    _ = copy(&.{ .dst = dst, .src = src });

    try testing.expectEqual([8]f32{ 0, -1, 3, -1, 6, -1, 9, -1 }, out);
}

test "casts round to nearest even and keep f16 subnormals" {
    var x: [4]f32 = .{ 1.00390625, 1.01171875, 5.9604645e-8, 65520 };
    var half: [4]f16 = undefined;
    var brain: [4]simd.Bf16 = undefined;

    _ = copy(&.{ .dst = cases.vector(f16, &half), .src = cases.vector(f32, &x) });
    _ = copy(&.{ .dst = cases.vector(simd.Bf16, &brain), .src = cases.vector(f32, &x) });

    try testing.expectEqual(
        [4]f16{ 1.00390625, 1.01171875, 5.9604645e-8, std.math.inf(f16) },
        half,
    );
    try testing.expectEqual(0x3f80, brain[0].bits);
    try testing.expectEqual(0x3f82, brain[1].bits);
}
