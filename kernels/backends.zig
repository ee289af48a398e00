//! The list of backends by the number fp_init takes: 0 cpu, 1 cuda, 2 emulated. Null: not part of
//! this build.

const backend = @import("backend.zig");
const build_options = @import("build_options");
const cpu = @import("cpu/backend.zig");
const cuda = @import("cuda/context.zig");
const emulated = @import("cuda/emulated.zig");

pub const names = [_][]const u8{ "cpu", "cuda", "emulated" };

pub const list = [names.len]?*const backend.Backend{
    &cpu.backend,
    if (build_options.cuda) &cuda.backend else null,
    if (build_options.cuda) &emulated.backend else null,
};
