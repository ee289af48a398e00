//! Every exported function, by file: the public `fp_*` declarations of these namespaces. lib.zig
//! exports them and gen_symbols.zig writes their types down for TypeScript.

const std = @import("std");

pub const groups = .{
    @import("library.zig"),
    @import("tensors.zig"),
    @import("linear.zig"),
    @import("norms.zig"),
    @import("convs.zig"),
    @import("elementwise.zig"),
    @import("sampler.zig"),
};

/// Calls `each(name, function)` at comptime for every exported function.
pub fn forEach(comptime context: anytype, comptime each: anytype) void {
    @setEvalBranchQuota(20_000);
    inline for (groups) |group| {
        inline for (@typeInfo(group).@"struct".decls) |decl| {
            if (comptime std.mem.startsWith(u8, decl.name, "fp_")) {
                each(context, decl.name, @field(group, decl.name));
            }
        }
    }
}
