//! The table of ops that every backend fills in: cpu, cuda, emulated. Meaning of each op:
//! docs/ops.md. Arguments were checked by lib.zig before they arrive here (handles, dtypes, shapes,
//! strides, ranges): a backend may trust them. Only plain data lives here; no op is computed in
//! this file.

const std = @import("std");

pub const Status = enum(u32) {
    ok = 0,
    bad_handle = 1,
    bad_shape = 2,
    bad_dtype = 3,
    bad_argument = 4,
    out_of_budget = 5,
    out_of_memory = 6,
    unsupported = 7,
    io = 8,
    device = 9,
    cancelled = 10,
    not_initialised = 11,
};

pub const Dtype = enum(u32) {
    f32 = 0,
    bf16 = 1,
    f16 = 2,
    i32 = 3,
    u8 = 4,

    pub fn size(d: Dtype) u64 {
        return switch (d) {
            .f32, .i32 => 4,
            .bf16, .f16 => 2,
            .u8 => 1,
        };
    }
};

pub const rank_max = 6;

/// A tensor as a backend sees it: an address (host or device, as the backend allocated it) and a
/// shape.
pub const Desc = struct {
    ptr: u64,
    dtype: Dtype,
    rank: u32,
    dims: [rank_max]u32 = @splat(1),
    /// In elements.
    strides: [rank_max]u32 = @splat(0),

    pub fn count(d: Desc) u64 {
        var n: u64 = 1;
        for (d.dims[0..d.rank]) |x| n *= x;
        return n;
    }

    pub fn isContiguous(d: Desc) bool {
        var want: u64 = 1;
        var i = d.rank;
        while (i > 0) {
            i -= 1;
            if (d.dims[i] != 1 and d.strides[i] != want) return false;
            want *= d.dims[i];
        }
        return true;
    }

    /// Host address; cpu and emulated backends only.
    pub fn host(d: Desc, comptime T: type) [*]T {
        return @ptrFromInt(@as(usize, @intCast(d.ptr)));
    }
};

pub const Act = enum(u32) { none = 0, gelu_tanh = 1, silu = 2, quick_gelu = 3 };
pub const Mask = enum(u32) { none = 0, causal = 1, frame_causal = 2 };
pub const RopeStyle = enum(u32) { neighbours = 0, halves = 1 };

pub const Copy = struct { dst: Desc, src: Desc };
pub const Fill = struct { x: Desc, value: f32 };
pub const Matmul = struct {
    out: Desc,
    a: Desc,
    w: Desc,
    bias: ?Desc,
    residual: ?Desc,
    gate: ?Desc,
    act: Act,
};
pub const Attention = struct {
    out: Desc,
    q: Desc,
    k: Desc,
    v: Desc,
    cu_q: ?Desc,
    cu_k: ?Desc,
    mask: Mask,
    frame: u32,
    scale: f32,
};
pub const QkNormRope = struct { x: Desc, weight: ?Desc, table: ?Desc, eps: f32, style: RopeStyle };
pub const Adaln = struct { out: Desc, x: Desc, shift: Desc, scale: Desc, eps: f32 };
pub const LayerNorm = struct { out: Desc, x: Desc, weight: ?Desc, bias: ?Desc, eps: f32 };
pub const RmsNorm = struct { out: Desc, x: Desc, weight: Desc, eps: f32 };
pub const GroupNormCoeffs = struct {
    out: Desc,
    x: Desc,
    weight: Desc,
    bias: Desc,
    groups: u32,
    eps: f32,
};
pub const ScaleShiftAct = struct { out: Desc, x: Desc, coeffs: Desc, act: Act };
pub const Conv3d = struct {
    out: Desc,
    x: Desc,
    w: Desc,
    bias: Desc,
    coeffs: ?Desc,
    act: Act,
    residual: ?Desc,
    stride_t: u32,
    stride_h: u32,
    stride_w: u32,
    up_t: bool,
    up_s: bool,
};
pub const Conv3dPack = struct { out: Desc, w: Desc };
pub const PatchGather = struct { out: Desc, x: Desc, kt: u32, kh: u32, kw: u32 };
pub const Unpatchify = struct { out: Desc, x: Desc, kh: u32, kw: u32 };
pub const Embed = struct { out: Desc, table: Desc, ids: Desc };
pub const Activation = struct { out: Desc, x: Desc, act: Act };
pub const Glu = struct { out: Desc, gate: Desc, up: Desc };
pub const Add = struct { out: Desc, a: Desc, b: Desc };
pub const AddGated = struct { out: Desc, x: Desc, y: Desc, gate: Desc };
pub const MeanRows = struct { out: Desc, x: Desc };
pub const lincomb_max = 8;
pub const Lincomb = struct { out: Desc, n: u32, xs: [lincomb_max]Desc, cs: [lincomb_max]f64 };
pub const Unipc = struct {
    corrected: Desc,
    predicted: ?Desc,
    x: Desc,
    mt: Desc,
    m0: Desc,
    m1: ?Desc,
    m2: ?Desc,
    cc: [5]f64,
    cp: [4]f64,
};
pub const Denoised = struct { out: Desc, x: Desc, v: Desc, sigma: f64, rounding: u32 };
pub const Teacache = struct { out: Desc, a: Desc, prev: Desc };
pub const Stats = struct { out: Desc, x: Desc };
pub const LatentRgb = struct { out: Desc, z: Desc, factors: Desc, bias: Desc };
pub const Blend = struct { out: Desc, a: Desc, b: Desc, weights: Desc, axis: u32 };
pub const ToU8 = struct { out: Desc, x: Desc };
pub const FromU8 = struct { out: Desc, x: Desc };

/// One function an op. A function returns a status; for anything but ok it first records the detail
/// with abi.fail.
pub const Ops = struct {
    copy: *const fn (*const Copy) Status,
    fill: *const fn (*const Fill) Status,
    matmul: *const fn (*const Matmul) Status,
    attention: *const fn (*const Attention) Status,
    qk_norm_rope: *const fn (*const QkNormRope) Status,
    adaln: *const fn (*const Adaln) Status,
    layer_norm: *const fn (*const LayerNorm) Status,
    rms_norm: *const fn (*const RmsNorm) Status,
    group_norm_coeffs: *const fn (*const GroupNormCoeffs) Status,
    scale_shift_act: *const fn (*const ScaleShiftAct) Status,
    conv3d: *const fn (*const Conv3d) Status,
    conv3d_pack: *const fn (*const Conv3dPack) Status,
    patch_gather: *const fn (*const PatchGather) Status,
    unpatchify: *const fn (*const Unpatchify) Status,
    embed: *const fn (*const Embed) Status,
    activation: *const fn (*const Activation) Status,
    glu: *const fn (*const Glu) Status,
    add: *const fn (*const Add) Status,
    add_gated: *const fn (*const AddGated) Status,
    mean_rows: *const fn (*const MeanRows) Status,
    lincomb: *const fn (*const Lincomb) Status,
    unipc: *const fn (*const Unipc) Status,
    denoised: *const fn (*const Denoised) Status,
    teacache: *const fn (*const Teacache) Status,
    stats: *const fn (*const Stats) Status,
    latent_rgb: *const fn (*const LatentRgb) Status,
    blend: *const fn (*const Blend) Status,
    to_u8: *const fn (*const ToU8) Status,
    from_u8: *const fn (*const FromU8) Status,
};

/// The memory of a backend. Sizes and addresses were checked; arena.zig keeps budget and cache, so
/// these are called rarely. An address never is 0.
pub const Memory = struct {
    /// Whether addresses are the host's own (cpu, emulated): then files are used where they are
    /// mapped.
    is_host: bool,
    /// 64-byte aligned; out_of_memory with a detail text if there is none.
    alloc: *const fn (bytes: u64, out: *u64) Status,
    /// The arena frees only what queued work no longer uses: it calls sync first.
    free: *const fn (ptr: u64, bytes: u64) void,
    /// On return the source may be changed (a mapped file never is); the copy is ordered after
    /// queued work.
    upload: *const fn (dst: u64, src: [*]const u8, bytes: u64) Status,
    /// On return the bytes are there.
    download: *const fn (dst: [*]u8, src: u64, bytes: u64) Status,
    /// Waits for all queued work and reports its errors.
    sync: *const fn () Status,
};

pub const Config = struct { threads: u32, device: u32, budget: u64 };

/// What fp_info tells about a backend. Texts live as long as the backend runs.
pub const Info = struct {
    /// The instruction set in use (cpu), or empty.
    cpu: []const u8 = "",
    device: []const u8 = "",
    driver: []const u8 = "",
    arch: []const u8 = "",
    /// All memory of the device.
    bytes: u64 = 0,
};

/// One backend; kernels/backends.zig lists them.
pub const Backend = struct {
    name: []const u8,
    /// On failure nothing is left running.
    start: *const fn (config: Config) Status,
    /// Everything allocated was freed before.
    stop: *const fn () void,
    /// Both valid from start to stop.
    ops: *const fn () *const Ops,
    info: *const fn () Info,
    memory: Memory,
};
