//! What happens to a product before it is stored: bias, activation, gate, residual, one rounding.
//! Takes tiles of f32 sums, `tile.nr` columns at most: a product touches its output once.

const std = @import("std");
const backend = @import("../backend.zig");
const simd = @import("simd.zig");
const tile = @import("tile.zig");
const lanes = simd.lanes;
const Desc = backend.Desc;

pub const Epilogue = struct {
    /// Rank 2 and strided by rows, as residual.
    out: Desc,
    bias: ?Desc = null,
    act: backend.Act = .none,
    residual: ?Desc = null,
    gate: ?Desc = null,

    pub fn of(args: *const backend.Matmul) Epilogue {
        return .{
            .out = args.out,
            .bias = args.bias,
            .act = args.act,
            .residual = args.residual,
            .gate = args.gate,
        };
    }
};

/// Stores rows × cols sums c (ldc floats a row) to out at (row, col). Each element of the residual
/// is read just before the same element of out is written, so the two may be one tensor.
pub fn finish(
    e: *const Epilogue,
    c: [*]const f32,
    ldc: usize,
    row: usize,
    rows: usize,
    col: usize,
    cols: usize,
) void {
    std.debug.assert(cols <= tile.nr);
    switch (e.out.dtype) {
        inline .f32, .bf16, .f16 => |dtype| switch (e.act) {
            inline else => |act| finishAs(simd.Elem(dtype), act, e, c, ldc, row, rows, col, cols),
        },
        else => unreachable,
    }
}

fn finishAs(
    comptime T: type,
    comptime act: backend.Act,
    e: *const Epilogue,
    c: [*]const f32,
    ldc: usize,
    row: usize,
    rows: usize,
    col: usize,
    cols: usize,
) void {
    var bias: [tile.nr]f32 = @splat(0);
    var gate: [tile.nr]f32 = @splat(1);
    if (e.bias) |b| widenRow(b, col, cols, &bias);
    if (e.gate) |g| widenRow(g, col, cols, &gate);
    for (0..rows) |r| {
        var base: [tile.nr]f32 = undefined;
        if (e.residual) |x| widenRow(x, (row + r) * x.strides[0] + col, cols, &base);
        const to = e.out.host(T) + (row + r) * e.out.strides[0] + col;
        var j: usize = 0;
        while (j < cols) : (j += lanes) {
            var y = simd.load(f32, c + r * ldc + j) + simd.load(f32, bias[j..].ptr);
            y = simd.act(act, y);
            if (e.residual != null) {
                y = simd.fma(simd.load(f32, gate[j..].ptr), y, simd.load(f32, base[j..].ptr));
            }
            simd.storePart(T, to + j, @min(cols - j, lanes), y);
        }
    }
}

/// n elements of x from `offset` on, as f32.
fn widenRow(x: Desc, offset: usize, n: usize, to: *[tile.nr]f32) void {
    switch (x.dtype) {
        inline .f32, .bf16, .f16 => |dtype| {
            const from = x.host(simd.Elem(dtype)) + offset;
            var j: usize = 0;
            while (j < n) : (j += lanes) {
                const v = simd.loadPart(simd.Elem(dtype), from + j, @min(n - j, lanes));
                simd.store(f32, to[j..].ptr, v);
            }
        },
        else => unreachable,
    }
}
