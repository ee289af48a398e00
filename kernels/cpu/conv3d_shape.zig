//! The geometry of conv3d: which source element each tap of each output reads, and how the work is cut.
//! Nearest upsampling is folded in here: outputs fall into phases by parity, and within one phase taps that read the
//! same source element merge into one whose weight is their sum. 27 taps on a doubled volume become 8.

const std = @import("std");
const backend = @import("../backend.zig");

pub const kernel_max = 3;
pub const taps_max = kernel_max * kernel_max * kernel_max;
pub const phases_max = 8;

/// One axis. Output o = phases·q + phase reads source q·step + offset[phase][d] for kernel index d, clamped to 0..in−1.
pub const Axis = struct {
    in: usize,
    out: usize,
    kernel: usize,
    phases: usize,
    step: usize,
    offset: [2][kernel_max]i32,

    /// `front` elements of padding; `late` is 1 where the first source element is not doubled (time).
    pub fn init(
        in: usize,
        out: usize,
        kernel: usize,
        stride: usize,
        up: bool,
        front: i32,
        late: i32,
    ) Axis {
        var a: Axis = .{
            .in = in,
            .out = out,
            .kernel = kernel,
            .phases = if (up and stride % 2 == 1) 2 else 1,
            .step = if (up and stride % 2 == 0) stride / 2 else stride,
            .offset = undefined,
        };
        for (0..2) |phase| for (0..kernel) |d| {
            const at = @as(i32, @intCast(phase * stride + d)) - front;
            a.offset[phase][d] = if (up) @divFloor(at + late, 2) else at;
        };
        return a;
    }

    /// Outputs of one phase.
    pub fn count(a: Axis, phase: usize) usize {
        return (a.out + a.phases - 1 - phase) / a.phases;
    }

    pub fn lowest(a: Axis) i32 {
        return @min(a.offset[0][0], a.offset[a.phases - 1][0]);
    }

    /// The farthest a tap reads ahead of q·step.
    pub fn reach(a: Axis) i32 {
        return @max(a.offset[0][a.kernel - 1], a.offset[a.phases - 1][a.kernel - 1]);
    }

    /// Source elements that one q reads over all phases.
    pub fn window(a: Axis) usize {
        return @intCast(a.reach() - a.lowest() + 1);
    }

    /// The largest index any output reads, before clamping.
    pub fn highest(a: Axis) i32 {
        var top: i32 = 0;
        for (0..a.phases) |p| if (a.count(p) > 0) {
            const q: i32 = @intCast((a.count(p) - 1) * a.step);
            top = @max(top, q + a.offset[p][a.kernel - 1]);
        };
        return top;
    }

    pub fn source(a: Axis, q: usize, offset: i32) usize {
        const at = @as(i64, @intCast(q * a.step)) + offset;
        return @intCast(std.math.clamp(at, 0, @as(i64, @intCast(a.in - 1))));
    }
};

/// A tap of one phase: where it reads, and the kernel elements whose weights it sums.
pub const Tap = struct {
    t: i32,
    y: i32,
    x: i32,
    members: [taps_max]u8,
    len: usize,
    /// The sum of several bf16 weights is kept as two: its rounding and what the rounding lost.
    rest: bool,
};

pub const Phase = struct {
    t: usize,
    y: usize,
    x: usize,
    taps: [2 * taps_max]Tap,
    len: usize,

    fn add(p: *Phase, t: i32, y: i32, x: i32, member: u8) void {
        for (p.taps[0..p.len]) |*tap| if (tap.t == t and tap.y == y and tap.x == x) {
            tap.members[tap.len] = member;
            tap.len += 1;
            return;
        };
        p.taps[p.len] = .{ .t = t, .y = y, .x = x, .members = undefined, .len = 1, .rest = false };
        p.taps[p.len].members[0] = member;
        p.len += 1;
    }
};

pub const Shape = struct {
    t: Axis,
    y: Axis,
    x: Axis,
    in: usize,
    out: usize,

    pub fn init(a: *const backend.Conv3d) Shape {
        const k = a.w.dims[1..4];
        const front: [3]i32 = .{ @intCast(k[0] -| 1), @intCast(k[1] / 2), @intCast(k[2] / 2) };
        return .{
            .t = .init(a.x.dims[0], a.out.dims[0], k[0], a.stride_t, a.up_t, front[0], 1),
            .y = .init(a.x.dims[1], a.out.dims[1], k[1], a.stride_h, a.up_s, front[1], 0),
            .x = .init(a.x.dims[2], a.out.dims[2], k[2], a.stride_w, a.up_s, front[2], 0),
            .in = a.x.dims[3],
            .out = a.out.dims[3],
        };
    }

    pub fn phases(s: *const Shape) usize {
        return s.t.phases * s.y.phases * s.x.phases;
    }

    /// `exact` says that sums of weights may be stored as they are.
    pub fn phase(s: *const Shape, index: usize, exact: bool) Phase {
        var p: Phase = .{
            .t = index / (s.y.phases * s.x.phases),
            .y = index / s.x.phases % s.y.phases,
            .x = index % s.x.phases,
            .taps = undefined,
            .len = 0,
        };
        for (0..s.t.kernel) |dt| for (0..s.y.kernel) |dy| for (0..s.x.kernel) |dx| {
            const member: u8 = @intCast((dt * s.y.kernel + dy) * s.x.kernel + dx);
            p.add(s.t.offset[p.t][dt], s.y.offset[p.y][dy], s.x.offset[p.x][dx], member);
        };
        if (exact) return p;
        for (0..p.len) |i| if (p.taps[i].len > 1) {
            p.taps[p.len] = p.taps[i];
            p.taps[p.len].rest = true;
            p.len += 1;
        };
        return p;
    }
};
