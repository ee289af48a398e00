//! Prints symbols.zig's text; `zig build symbols` puts it into the source tree.

const std = @import("std");
const symbols = @import("symbols.zig");

pub fn main(init: std.process.Init) !void {
    try std.Io.File.stdout().writeStreamingAll(init.io, symbols.text);
}
