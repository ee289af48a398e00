//! Picks the cpu table: the strongest instruction set that this machine and its operating system
//! support, or the one FRAMEPACK_CPU names. Runs once, at fp_init.

const std = @import("std");
const builtin = @import("builtin");
const backend = @import("../backend.zig");
const abi = @import("../abi.zig");

/// Strongest last. The names are those build.zig compiles objects for.
pub const kinds: []const []const u8 = switch (builtin.cpu.arch) {
    .x86_64 => &.{ "v3", "avx512", "avx512bf16" },
    .aarch64 => &.{"neon"},
    else => @compileError("framepack runs on x86_64 and aarch64 only"),
};

pub const Choice = struct { name: []const u8, ops: *const backend.Ops };

/// `wanted` is the value of FRAMEPACK_CPU, or null. Null with a detail text if nothing fits.
pub fn choose(wanted: ?[]const u8) ?Choice {
    const level = supported();
    const index = if (wanted) |name| indexOf(name) orelse {
        _ = abi.fail(
            .bad_argument,
            "FRAMEPACK_CPU: no such instruction set (known: {s})",
            .{known()},
        );
        return null;
    } else if (level == 0) 0 else level - 1;
    if (index >= level) {
        _ = abi.fail(
            .unsupported,
            "this processor lacks the instruction set '{s}' (it has the first {d} of: {s})",
            .{ kinds[index], level, known() },
        );
        return null;
    }
    return .{ .name = kinds[index], .ops = tables()[index] };
}

fn indexOf(name: []const u8) ?usize {
    for (kinds, 0..) |kind, i| if (std.mem.eql(u8, kind, name)) return i;
    return null;
}

fn known() []const u8 {
    comptime var text: []const u8 = kinds[0];
    comptime for (kinds[1..]) |kind| {
        text = text ++ ", " ++ kind;
    };
    return text;
}

fn tables() [kinds.len]*const backend.Ops {
    // Tests hold one copy of the ops, compiled for the test's own target.
    if (builtin.is_test) return @splat(&@import("cpu.zig").table);
    var list: [kinds.len]*const backend.Ops = undefined;
    inline for (kinds, 0..) |kind, i| {
        const get = @extern(*const fn () callconv(.c) *const anyopaque, .{
            .name = "fp_cpu_table_" ++ kind,
            .visibility = .hidden,
        });
        list[i] = @ptrCast(@alignCast(get()));
    }
    return list;
}

/// How many of `kinds` can run here.
fn supported() usize {
    if (builtin.cpu.arch == .aarch64) return 1;
    const leaf1 = cpuid(1, 0);
    const leaf7 = cpuid(7, 0);
    const leaf7b = if (leaf7.eax >= 1) cpuid(7, 1) else std.mem.zeroes(Leaf);
    const extended = cpuid(0x8000_0001, 0);
    // c: SSE3 SSSE3 FMA SSE4.1 SSE4.2 MOVBE POPCNT OSXSAVE AVX F16C
    const c1 = bits(.{ 0, 9, 12, 19, 20, 22, 23, 27, 28, 29 });
    if (leaf1.ecx & c1 != c1) return 0;
    const b7 = bits(.{ 3, 5, 8 }); // BMI1 AVX2 BMI2
    if (leaf7.ebx & b7 != b7) return 0;
    if (extended.ecx & bits(.{5}) == 0) return 0; // LZCNT
    const xcr = xgetbv();
    if (xcr & 0x6 != 0x6) return 0; // XMM and YMM state
    const b512 = bits(.{ 16, 17, 28, 30, 31 }); // AVX512 F DQ CD BW VL
    if (leaf7.ebx & b512 != b512 or xcr & 0xe6 != 0xe6) return 1; // opmask and ZMM state
    return if (leaf7b.eax & bits(.{5}) != 0) 3 else 2; // AVX512_BF16
}

const Leaf = struct { eax: u32, ebx: u32, ecx: u32, edx: u32 };

fn bits(comptime list: anytype) u32 {
    comptime var mask: u32 = 0;
    inline for (list) |bit| mask |= 1 << bit;
    return mask;
}

fn cpuid(leaf: u32, sub: u32) Leaf {
    var eax: u32 = undefined;
    var ebx: u32 = undefined;
    var ecx: u32 = undefined;
    var edx: u32 = undefined;
    asm volatile ("cpuid"
        : [_] "={eax}" (eax),
          [_] "={ebx}" (ebx),
          [_] "={ecx}" (ecx),
          [_] "={edx}" (edx),
        : [_] "{eax}" (leaf),
          [_] "{ecx}" (sub),
    );
    return .{ .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx };
}

/// The processor's name as it tells it, or empty.
pub fn brand(buffer: *[48]u8) []const u8 {
    if (builtin.cpu.arch != .x86_64 or cpuid(0x8000_0000, 0).eax < 0x8000_0004) return "";
    for (0..3) |i| {
        const leaf = cpuid(0x8000_0002 + @as(u32, @intCast(i)), 0);
        inline for (.{ leaf.eax, leaf.ebx, leaf.ecx, leaf.edx }, 0..) |word, j| {
            std.mem.writeInt(u32, buffer[i * 16 + j * 4 ..][0..4], word, .little);
        }
    }
    return std.mem.trim(u8, std.mem.sliceTo(buffer, 0), " ");
}

fn xgetbv() u32 {
    return asm volatile (
        \\ xor %%ecx, %%ecx
        \\ xgetbv
        : [_] "={eax}" (-> u32),
        :
        : .{ .edx = true, .ecx = true });
}

test "this machine runs at least the weakest instruction set" {
    try std.testing.expect(choose(null) != null);
    try std.testing.expect(choose("z80") == null);
}
