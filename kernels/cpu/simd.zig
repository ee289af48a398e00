//! Vectors of f32 for the CPU ops: loads and stores of f32, bf16 and f16 with tails, rounding, and
//! the activation maths. Compiled once for each CPU kind; width and instructions follow the target.
//! No op, no thread and no allocation may live in this file.

const std = @import("std");
const builtin = @import("builtin");
const backend = @import("../backend.zig");

const x86 = builtin.cpu.arch == .x86_64;

fn x86Has(comptime feature: std.Target.x86.Feature) bool {
    return x86 and std.Target.x86.featureSetHas(builtin.cpu.features, feature);
}

/// AVX-512 with its byte, word and short-vector parts (x86-64-v4).
pub const has_avx512 = x86Has(.avx512f) and x86Has(.avx512bw) and x86Has(.avx512vl) and
    x86Has(.avx512dq);
/// Inline assembly on vector registers needs LLVM; Zig's own x86 backend does without it.
pub const has_asm = builtin.zig_backend == .stage2_llvm;
/// Dot products of bf16 pairs (vdpbf16ps).
pub const has_bf16 = has_avx512 and has_asm and x86Has(.avx512bf16);

/// f32 lanes of one register: 16, 8 or 4.
pub const lanes: comptime_int = if (has_avx512) 16 else if (x86Has(.avx2)) 8 else 4;
pub const F = @Vector(lanes, f32);
pub const I = @Vector(lanes, i32);
pub const U = @Vector(lanes, u32);

/// bf16 as it lies in memory: the upper half of an f32.
pub const Bf16 = packed struct(u16) { bits: u16 };

/// The type of an element in memory. Only floats have lanes; i32 and u8 serve the ops that copy.
pub fn Elem(comptime dtype: backend.Dtype) type {
    return switch (dtype) {
        .f32 => f32,
        .bf16 => Bf16,
        .f16 => f16,
        .i32 => i32,
        .u8 => u8,
    };
}

pub inline fn splat(x: f32) F {
    return @splat(x);
}

// ---------------------------------------------------------------------------------------- memory

/// Lanes p[0..lanes] as f32, exact for every float dtype. Needs no alignment beyond T's own.
pub inline fn load(comptime T: type, p: [*]const T) F {
    switch (T) {
        f32 => return @as(*align(4) const F, @ptrCast(p)).*,
        f16 => return @floatCast(@as(*align(2) const @Vector(lanes, f16), @ptrCast(p)).*),
        Bf16 => return widen(@as(*align(2) const @Vector(lanes, u16), @ptrCast(p)).*),
        else => @compileError("no float lanes of " ++ @typeName(T)),
    }
}

/// Lanes p[0..n] as f32, zero beyond; touches no memory past n. 0 ≤ n ≤ lanes.
pub inline fn loadPart(comptime T: type, p: [*]const T, n: usize) F {
    if (n == lanes) return load(T, p);
    var part: [lanes]T align(64) = @splat(std.mem.zeroes(T));
    for (0..n) |i| part[i] = p[i];
    return load(T, &part);
}

/// Rounds once to T (nearest even) and stores lanes values.
pub inline fn store(comptime T: type, p: [*]T, v: F) void {
    switch (T) {
        f32 => @as(*align(4) F, @ptrCast(p)).* = v,
        f16 => @as(*align(2) @Vector(lanes, f16), @ptrCast(p)).* = @floatCast(v),
        Bf16 => @as(*align(2) @Vector(lanes, u16), @ptrCast(p)).* = narrow(v),
        else => @compileError("no float lanes of " ++ @typeName(T)),
    }
}

/// Stores the first n lanes; writes nothing past n. 0 ≤ n ≤ lanes.
pub inline fn storePart(comptime T: type, p: [*]T, n: usize, v: F) void {
    if (n == lanes) return store(T, p, v);
    var part: [lanes]T align(64) = undefined;
    store(T, &part, v);
    for (0..n) |i| p[i] = part[i];
}

/// bf16 bits to f32, exactly.
pub inline fn widen(bits: @Vector(lanes, u16)) F {
    return @bitCast(@as(U, bits) << @splat(16));
}

/// f32 to bf16 bits: nearest even, subnormals kept, NaN stays a (quiet) NaN. Done in integers on
/// every CPU so that all of them round alike (vcvtneps2bf16 would flush subnormals).
pub inline fn narrow(v: F) @Vector(lanes, u16) {
    const u: U = @bitCast(v);
    const even = (u >> @splat(16)) & @as(U, @splat(1));
    const rounded = (u +% @as(U, @splat(0x7fff)) +% even) >> @splat(16);
    const nan = (u >> @splat(16)) | @as(U, @splat(0x40));
    return @truncate(@select(u32, v != v, nan, rounded));
}

/// v rounded through T and back: what a store followed by a load gives.
pub inline fn roundTo(comptime T: type, v: F) F {
    return switch (T) {
        f32 => v,
        f16 => @floatCast(@as(@Vector(lanes, f16), @floatCast(v))),
        Bf16 => widen(narrow(v)),
        else => @compileError("no float lanes of " ++ @typeName(T)),
    };
}

// --------------------------------------------------------------------------------------- scalars

pub inline fn toF32(comptime T: type, x: T) f32 {
    return switch (T) {
        f32 => x,
        f16 => @floatCast(x),
        Bf16 => @bitCast(@as(u32, x.bits) << 16),
        i32, u8 => @floatFromInt(x),
        else => @compileError("no f32 of " ++ @typeName(T)),
    };
}

/// Nearest even, as narrow.
pub inline fn fromF32(comptime T: type, x: f32) T {
    switch (T) {
        f32 => return x,
        f16 => return @floatCast(x),
        Bf16 => {
            const u: u32 = @bitCast(x);
            if (x != x) return .{ .bits = @truncate((u >> 16) | 0x40) };
            return .{ .bits = @truncate((u +% 0x7fff +% ((u >> 16) & 1)) >> 16) };
        },
        else => @compileError("no rounding to " ++ @typeName(T)),
    }
}

// ------------------------------------------------------------------------------------- reductions

/// Sum of the lanes as a tree: the same order on every call, and short.
pub inline fn sum(v: F) f32 {
    return fold(lanes, v, addHalves);
}

/// Largest lane; a NaN lane may or may not win.
pub inline fn maxLane(v: F) f32 {
    return fold(lanes, v, maxHalves);
}

/// One instruction, unlike @max, which minds NaN: gives b where either is NaN.
pub inline fn max(a: F, b: F) F {
    return @select(f32, a > b, a, b);
}

/// One instruction, unlike @min: gives b where either is NaN.
pub inline fn min(a: F, b: F) F {
    return @select(f32, a < b, a, b);
}

inline fn addHalves(comptime V: type, a: V, b: V) V {
    return a + b;
}

inline fn maxHalves(comptime V: type, a: V, b: V) V {
    return @select(f32, a > b, a, b);
}

inline fn fold(comptime n: comptime_int, v: @Vector(n, f32), comptime f: anytype) f32 {
    if (n == 1) return v[0];
    const h = n / 2;
    const lower = comptime std.simd.iota(i32, h);
    const upper = comptime lower + @as(@Vector(h, i32), @splat(h));
    const a = @shuffle(f32, v, undefined, lower);
    const b = @shuffle(f32, v, undefined, upper);
    return fold(h, f(@Vector(h, f32), a, b), f);
}

// ------------------------------------------------------------------------------------------ maths

pub inline fn fma(a: F, b: F, c: F) F {
    return @mulAdd(F, a, b, c);
}

pub inline fn abs(v: F) F {
    return @abs(v);
}

const log2e: f32 = 1.44269504088896341;
const ln2_high: f32 = 0.693145751953125; // 15 bits: n·ln2_high is exact for |n| < 2^9
const ln2_low: f32 = 1.42860682030941723e-6;
const to_nearest: f32 = 12582912.0; // 1.5·2^23: adding it rounds to a whole number

/// e^v to about 1 ulp, subnormal results and infinities included; NaN stays NaN.
pub inline fn exp(v: F) F {
    // max and min return their second operand for NaN, so it is put back at the end.
    const x = min(max(v, splat(-104)), splat(89));
    const shifted = fma(x, splat(log2e), splat(to_nearest));
    const n = shifted - splat(to_nearest);
    const r = fma(n, splat(-ln2_low), fma(n, splat(-ln2_high), x));
    const p = expNearZero(r);
    const y = scale: {
        if (has_avx512 and has_asm) break :scale scalef(p, n);
        // In two halves, because 2^128 and 2^-149 have no normal exponent of their own.
        const i: I = @intFromFloat(n);
        const half = i >> @splat(1);
        break :scale p * pow2(half) * pow2(i - half);
    };
    return @select(f32, v != v, v, y);
}

/// e^r for |r| ≤ ln2/2 as 1 + r + r²·q(r), q fitted for least relative error: 3e-9 before rounding.
inline fn expNearZero(r: F) F {
    var q = splat(0.001381459878757596);
    q = fma(q, r, splat(0.008368716575205326));
    q = fma(q, r, splat(0.04166838899254799));
    q = fma(q, r, splat(0.1666652113199234));
    q = fma(q, r, splat(0.4999999403953552));
    return fma(q * r, r, r) + splat(1);
}

/// 2^i for -126 ≤ i ≤ 127.
inline fn pow2(i: I) F {
    return @bitCast((i +% @as(I, @splat(127))) << @splat(23));
}

/// p·2^n with one instruction that handles overflow and subnormals; n holds whole numbers.
pub inline fn scalef(p: F, n: F) F {
    return asm ("vscalefps %[n], %[p], %[y]"
        : [y] "=v" (-> F),
        : [p] "v" (p),
          [n] "v" (n),
    );
}

/// 1 / (1 + e^-v).
pub inline fn sigmoid(v: F) F {
    return splat(1) / (splat(1) + exp(-v));
}

pub inline fn tanh(v: F) F {
    const a = @abs(v);
    // Near zero 1 - 2/(e^2a + 1) cancels; an odd polynomial in v keeps the relative error.
    const z = v * v;
    var q = splat(-0.005704173818230629);
    q = fma(q, z, splat(0.020638389512896538));
    q = fma(q, z, splat(-0.0537395104765892));
    q = fma(q, z, splat(0.13331440091133118));
    q = fma(q, z, splat(-0.3333328068256378));
    const near = fma(q * z, v, v);
    const far = splat(1) - splat(2) / (exp(a + a) + splat(1));
    const signed: F = @bitCast(@as(U, @bitCast(far)) |
        (@as(U, @bitCast(v)) & @as(U, @splat(0x8000_0000))));
    return @select(f32, v != v, v, @select(f32, a < splat(0.625), near, signed));
}

/// v·½(1 + tanh(√(2/π)(v + 0.044715 v³))), written as v·sigmoid(2u): one exp, no cancellation.
pub inline fn geluTanh(v: F) F {
    const k = 2 * 0.79788456080286535588;
    const u = v * fma(v * v, splat(k * 0.044715), splat(k));
    return v / (splat(1) + exp(-u));
}

pub inline fn silu(v: F) F {
    return v / (splat(1) + exp(-v));
}

pub inline fn quickGelu(v: F) F {
    return v / (splat(1) + exp(v * splat(-1.702)));
}

/// The activation `kind`, known at compile time: dispatch once, outside the loop.
pub inline fn act(comptime kind: backend.Act, v: F) F {
    return switch (kind) {
        .none => v,
        .gelu_tanh => geluTanh(v),
        .silu => silu(v),
        .quick_gelu => quickGelu(v),
    };
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;

fn expectMaths(comptime f: anytype, exact: fn (f64) f64, x: f32, rel: f64) !void {
    const got: f64 = f(splat(x))[lanes - 1];
    const want = exact(x);
    const floor = 1.5e-45; // one subnormal step
    if (@abs(got - want) <= rel * @abs(want) + floor) return;
    std.debug.print("at {d}: got {d}, want {d}\n", .{ x, got, want });
    return error.TestUnexpectedResult;
}

fn exactExp(x: f64) f64 {
    return @exp(x);
}
fn exactTanh(x: f64) f64 {
    return std.math.tanh(x);
}
fn exactSilu(x: f64) f64 {
    return x / (1 + @exp(-x));
}
fn exactQuickGelu(x: f64) f64 {
    return x / (1 + @exp(-1.702 * x));
}
fn exactGelu(x: f64) f64 {
    return 0.5 * x * (1 + std.math.tanh(@sqrt(2.0 / std.math.pi) * (x + 0.044715 * x * x * x)));
}

test "exp is right to an ulp over its whole range" {
    var x: f32 = -103.9;
    while (x < 88.7) : (x += 0.0173) try expectMaths(exp, exactExp, x, 1.5e-7);
}

test "exp keeps 0, 1, infinity and NaN" {
    try testing.expectEqual(1, exp(splat(0))[0]);
    try testing.expectEqual(0, exp(splat(-std.math.inf(f32)))[0]);
    try testing.expectEqual(std.math.inf(f32), exp(splat(std.math.inf(f32)))[0]);
    try testing.expectEqual(std.math.inf(f32), exp(splat(89))[0]);
    try testing.expect(std.math.isNan(exp(splat(std.math.nan(f32)))[0]));
}

test "tanh is right near zero and at both ends" {
    var x: f32 = -10;
    while (x < 10) : (x += 0.00317) try expectMaths(tanh, exactTanh, x, 2.5e-7);
    try expectMaths(tanh, exactTanh, 1e-20, 1e-7);
    try testing.expectEqual(-1, tanh(splat(-std.math.inf(f32)))[0]);
    try testing.expect(std.math.isNan(tanh(splat(std.math.nan(f32)))[0]));
}

test "the activations are right where a model uses them" {
    var x: f32 = -6;
    while (x < 20) : (x += 0.00911) {
        try expectMaths(silu, exactSilu, x, 6e-7);
        try expectMaths(quickGelu, exactQuickGelu, x, 2e-6);
        // Reference by tanh cancels in f64 too, hence a floor relative to x.
        const got: f64 = geluTanh(splat(x))[0];
        try testing.expect(@abs(got - exactGelu(x)) <= 4e-6 * @abs(exactGelu(x)) + 1e-12);
    }
    try testing.expectEqual(0, @abs(act(.gelu_tanh, splat(-30))[0]));
}

test "bf16 rounds to nearest even, keeps subnormals and NaN" {
    const cases = [_][2]u32{
        .{ 0x3f80_8000, 0x3f80 }, .{ 0x3f81_8000, 0x3f82 }, .{ 0x3f80_8001, 0x3f81 },
        .{ 0x7f7f_ffff, 0x7f80 }, .{ 0x0001_0000, 0x0001 }, .{ 0x8000_0000, 0x8000 },
        .{ 0x7f80_0000, 0x7f80 }, .{ 0x7f80_0001, 0x7fc0 }, .{ 0xffff_ffff, 0xffff },
    };
    for (cases) |case| {
        const x: f32 = @bitCast(case[0]);
        try testing.expectEqual(case[1], narrow(splat(x))[lanes - 1]);
        try testing.expectEqual(case[1], fromF32(Bf16, x).bits);
    }
}

test "a load and a store of a part touch nothing else" {
    inline for (.{ f32, Bf16, f16 }) |T| {
        var from: [lanes]T = undefined;
        for (&from, 0..) |*x, i| x.* = fromF32(T, @floatFromInt(i + 1));
        for (0..lanes + 1) |n| {
            var to: [lanes]T = @splat(fromF32(T, -1));
            const v: [lanes]f32 = loadPart(T, &from, n);
            storePart(T, &to, n, v);
            for (0..lanes) |i| {
                const value: f32 = @floatFromInt(i + 1);
                try testing.expectEqual(if (i < n) value else 0, v[i]);
                try testing.expectEqual(if (i < n) value else -1, toF32(T, to[i]));
            }
        }
    }
}

test "sum and maxLane see every lane" {
    var v: F = splat(1);
    v[lanes - 1] = 7;
    try testing.expectEqual(lanes - 1 + 7, sum(v));
    try testing.expectEqual(7, maxLane(v));
}
