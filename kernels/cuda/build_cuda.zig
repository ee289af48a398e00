//! The build's door to the cuda backend: called once by build.zig with the library's module. Returns whether the backend
//! is part of the library; kernels/lib.zig reads the answer as build_options.cuda.

const std = @import("std");

pub fn add(
    b: *std.Build,
    lib: *std.Build.Module,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
) bool {
    _ = .{ b, lib, target, optimize };
    return false;
}
