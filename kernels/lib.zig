//! The library's exported functions. The only file that exports.

const abi = @import("abi.zig");
const linkage = @import("linkage.zig");
const dispatch = @import("cpu/dispatch.zig");

comptime {
    linkage.exportToObjects();
}

export fn fp_abi_version() u32 {
    return abi.abi_version;
}

export fn fp_init() u32 {
    const choice = dispatch.choose(null) orelse return 7;
    return @intCast(@intFromPtr(choice.ops.copy) & 1);
}
