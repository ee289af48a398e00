//! The kernels' arguments as Zig sees them: each struct mirrors the one of the same name in a .cu or .cuh file, field by
//! field. The emulator refuses a launch whose argument size differs from the kernel's.

const api = @import("../backend.zig");
const Desc = api.Desc;
const TensorMap = @import("hopper.zig").TensorMap;

pub const Param = extern struct {
    ptr: u64 = 0,
    dtype: u32 = 0,
    pad: u32 = 0,

    pub fn of(d: ?Desc) Param {
        const x = d orelse return .{};
        return .{ .ptr = x.ptr, .dtype = @intFromEnum(x.dtype) };
    }
};

pub const Rows = extern struct {
    ptr: u64 = 0,
    stride: u64 = 0,
    dtype: u32 = 0,
    aligned: u32 = 0,

    /// A matrix, or nothing.
    pub fn of(d: ?Desc) Rows {
        const x = d orelse return .{};
        return .{
            .ptr = x.ptr,
            .stride = if (x.dims[0] > 1) x.strides[0] else 0,
            .dtype = @intFromEnum(x.dtype),
            .aligned = @intFromBool(isAligned(x)),
        };
    }
};

/// Whether every row (all dimensions but the last) starts on 16 bytes.
pub fn isAligned(d: Desc) bool {
    if (d.ptr % 16 != 0) return false;
    for (d.dims[0 .. d.rank - 1], d.strides[0 .. d.rank - 1]) |n, stride| {
        if (n > 1 and stride * d.dtype.size() % 16 != 0) return false;
    }
    return true;
}

pub const Operand = extern struct {
    ptr: u64 = 0,
    dtype: u32 = 0,
    pad: u32 = 0,
    strides: [6]u32 = @splat(0),
};

pub const map_inputs = 8;

pub const Map = extern struct {
    count: u32 = 0,
    rank: u32 = 0,
    width: u32 = 1,
    act: u32 = 0,
    dims: [6]u32 = @splat(1),
    out: Operand = .{},
    in: [map_inputs]Operand = @splat(.{}),
    c: [map_inputs]f64 = @splat(0),
};

pub const Transpose = extern struct {
    dst: u64,
    src: u64,
    dst_stride: u64,
    src_stride: u64,
    dst_batch: u64,
    src_batch: u64,
    rows: u32,
    cols: u32,
};

pub const Unipc = extern struct {
    count: u64,
    corrected: u64,
    predicted: u64,
    x: u64,
    mt: u64,
    m0: u64,
    m1: u64,
    m2: u64,
    cc: [5]f64,
    cp: [4]f64,
};

pub const LatentRgb = extern struct {
    out: u64,
    z: u64,
    factors: u64,
    bias: u64,
    dims: [4]u32,
    strides: [4]u32,
};

pub const Embed = extern struct {
    out: Rows,
    table: Rows,
    ids: u64,
    bad: u64,
    rows: u32,
    cols: u32,
    vocabulary: u32,
    pad: u32 = 0,
};

pub const Patch = extern struct {
    out: Rows,
    x: Rows,
    strides: [4]u32,
    dims: [4]u32,
    kt: u32,
    kh: u32,
    kw: u32,
    nh: u32,
    nw: u32,
    pad: u32 = 0,
    count: u64,
};

pub const Norm = extern struct {
    out: Rows,
    x: Rows,
    scale: Param,
    shift: Param,
    eps: f32,
    cols: u32,
    vector: u32,
    pad: u32 = 0,
};

pub const GroupNorm = extern struct {
    out: u64,
    x: u64,
    partials: u64,
    positions: u64,
    weight: Param,
    bias: Param,
    dtype: u32,
    channels: u32,
    groups: u32,
    slab: u32,
    slabs: u32,
    eps: f32,
};

pub const Rope = extern struct {
    x: u64,
    stride_t: u64,
    stride_h: u64,
    weight: Param,
    table: u64,
    rows: u32,
    tokens: u32,
    heads: u32,
    size: u32,
    style: u32,
    eps: f32,
};

pub const Stats = extern struct {
    map: Map,
    partials: u64,
    out: u64,
    blocks: u32,
    pad: u32 = 0,
};

pub const MeanRows = extern struct { x: Rows, out: Param, rows: u32, cols: u32 };

pub const Teacache = extern struct {
    a: Rows,
    prev: Rows,
    partials: u64,
    out: u64,
    rows: u32,
    cols: u32,
    blocks: u32,
    pad: u32 = 0,
};

pub const Matmul = extern struct {
    out: Rows,
    a: Rows,
    w: Rows,
    residual: Rows,
    bias: Param,
    gate: Param,
    m: u32,
    n: u32,
    k: u32,
    act: u32,
    tiles_m: u32,
    tiles_n: u32,
};

pub const Heads = extern struct {
    ptr: u64,
    stride_t: u64,
    stride_h: u64,

    pub fn of(d: Desc) Heads {
        return .{
            .ptr = d.ptr,
            .stride_t = if (d.dims[0] > 1) d.strides[0] else 0,
            .stride_h = if (d.dims[1] > 1) d.strides[1] else 0,
        };
    }
};

pub const Attention = extern struct {
    out: Heads,
    q: Heads,
    k: Heads,
    v: Heads,
    cu_q: u64,
    cu_k: u64,
    tokens_q: u32,
    tokens_k: u32,
    heads: u32,
    kv_heads: u32,
    size: u32,
    mask: u32,
    frame: u32,
    scale: f32,
    dtype: u32,
    pad: u32 = 0,
};

pub const MatmulSm90 = extern struct { a: TensorMap = .{}, w: TensorMap = .{}, m: Matmul };

pub const AttentionSm90 = extern struct {
    q: TensorMap = .{},
    k: TensorMap = .{},
    v: TensorMap = .{},
    a: Attention,
    tiles_q: u32,
    tiles: u32,
};

pub const Conv = extern struct {
    out: u64,
    x: u64,
    w: u64,
    residual: u64,
    bias: Param,
    coeffs: u64,
    dtype: u32,
    w_dtype: u32,
    in: [4]u32,
    to: [4]u32,
    kernel: [3]u32,
    stride: [3]u32,
    up: [3]u32,
    act: u32,
    in_strides: [3]u64,
    out_strides: [3]u64,
    residual_strides: [3]u64,
    positions: u64,
    k: u32,
    aligned: u32,
};
