//! Root of libframepack.so, and the only file that exports. The functions themselves, with their
//! checks, are in api/.

const linkage = @import("linkage.zig");
const list = @import("api/list.zig");

comptime {
    linkage.exportToObjects();
    list.forEach({}, exportOne);
}

fn exportOne(comptime _: void, comptime name: []const u8, comptime function: anytype) void {
    @export(&function, .{ .name = name });
}
