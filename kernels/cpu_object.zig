//! Root of one cpu object: the cpu ops compiled for one instruction set, reachable through one
//! hidden function. Objects and library come from one compiler run of one build, so plain Zig
//! structs have the same layout in all.

const cpu = @import("cpu/cpu.zig");
const build_options = @import("build_options");

pub const is_cpu_object = true;

fn table() callconv(.c) *const anyopaque {
    return &cpu.table;
}

comptime {
    @export(&table, .{ .name = "fp_cpu_table_" ++ build_options.kind, .visibility = .hidden });
}
