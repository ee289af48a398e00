//! The list of backends by the number fp_init takes: 0 cpu, 1 cuda, 2 emulated. Null: not part of this build.

const backend = @import("backend.zig");
const cpu = @import("cpu/backend.zig");

pub const names = [_][]const u8{ "cpu", "cuda", "emulated" };

pub const list = [names.len]?*const backend.Backend{ &cpu.backend, null, null };
