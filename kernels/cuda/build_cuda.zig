//! The build's door to the cuda backend: called by build.zig with the library's module. Adds the
//! emulator and, where nvcc is there, the GPU code of every .cu file as one fatbin each, cached by
//! content like everything zig builds.

const std = @import("std");

/// The .cu files, in the order of launch.Module.
const stems = [_][]const u8{
    "adaln",  "attention",   "attention_sm90", "blend", "conv3d",  "copy", "elementwise", "embed",
    "matmul", "matmul_sm90", "norm",           "patch", "preview", "rope", "stats",       "teacache",
    "unipc",
};

/// Ampere to Blackwell, and PTX for what comes after.
const targets = [_][]const u8{
    "arch=compute_80,code=sm_80",
    "arch=compute_86,code=sm_86",
    "arch=compute_89,code=sm_89",
    "arch=compute_90a,code=sm_90a",
    "arch=compute_120,code=sm_120",
    "arch=compute_120,code=compute_120",
};

pub fn add(
    b: *std.Build,
    lib: *std.Build.Module,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
) bool {
    _ = optimize;
    addEmulator(b, lib, target, &.{});
    lib.addImport("fatbins", addFatbins(b));
    return true;
}

/// The emulator with the mutation check's planted faults, which FRAMEPACK_MUTANT chooses among. Its
/// cuda backend has code for nothing but the pretended driver.
pub fn addMutants(b: *std.Build, lib: *std.Build.Module, target: std.Build.ResolvedTarget) void {
    addEmulator(b, lib, target, &.{"-DFP_MUTANTS"});
    lib.addImport("fatbins", pretendedFatbins(b));
}

/// A libcuda that runs kernels by the emulator, and a cuBLASLt in plain loops, so that the driver's
/// side is tested without a driver.
pub fn addDriver(b: *std.Build, lib: *std.Build.Module, target: std.Build.ResolvedTarget) void {
    addEmulator(b, lib, target, &.{});
    lib.addCSourceFiles(.{
        .root = b.path("kernels/cuda/emulate"),
        .files = &.{ "libcuda.cpp", "libcublaslt.cpp" },
        .flags = emulatorFlags(b, target, &.{}),
        .language = .cpp,
    });
}

// ------------------------------------------------------------------------------------------------

/// Every kernel for the host. Compiled for speed in every mode: fibres switch stacks, which debug
/// checks dislike.
fn addEmulator(
    b: *std.Build,
    lib: *std.Build.Module,
    target: std.Build.ResolvedTarget,
    extra: []const []const u8,
) void {
    const flags = emulatorFlags(b, target, extra);
    lib.addCSourceFiles(.{
        .root = b.path("kernels/cuda/emulate"),
        .files = &.{
            "engine.cpp",
            "shadow.cpp",
            "warp.cpp",
            "memory.cpp",
            "fibre.cpp",
            "hopper.cpp",
            "wgmma.cpp",
        },
        .flags = flags,
        .language = .cpp,
    });
    for (stems) |stem| lib.addCSourceFile(.{
        .file = b.path(b.fmt("kernels/cuda/{s}.cu", .{stem})),
        .flags = flags,
        .language = .cpp,
    });
}

fn emulatorFlags(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    extra: []const []const u8,
) []const []const u8 {
    const base = [_][]const u8{
        "-std=c++17",                   "-O2",                  "-Wall",               "-Wextra",
        "-fno-exceptions",              "-fno-rtti",            "-fno-sanitize=all",   "-fno-threadsafe-statics",
        "-Wno-unused-but-set-variable", "-fno-stack-protector", "-fvisibility=hidden",
    };
    const x86 = [_][]const u8{ "-mavx2", "-mfma", "-mf16c" };
    const wide: []const []const u8 = if (target.result.cpu.arch == .x86_64) &x86 else &.{};
    return std.mem.concat(b.allocator, []const u8, &.{ &base, wide, extra }) catch
        @panic("out of memory");
}

/// A module `fatbins`: the GPU code by stem, and a note about what it is.
fn addFatbins(b: *std.Build) *std.Build.Module {
    const wanted = b.option(bool, "gpu-code", "compile GPU code (default: if nvcc is there)");
    if (wanted == false) return emptyFatbins(b);
    const nvcc = b.findProgram(&.{"nvcc"}, &.{"/usr/local/cuda/bin"}) catch {
        if (wanted == true) @panic("-Dgpu-code: there is no nvcc on PATH");
        return emptyFatbins(b);
    };
    const files = b.addWriteFiles();
    var source: std.ArrayList(u8) = .empty;
    source.appendSlice(b.allocator,
        \\pub const note = "sm_80 sm_86 sm_89 sm_90a sm_120 ptx";
        \\pub const has_code = true;
        \\
    ) catch @panic("out of memory");
    for (stems) |stem| {
        _ = files.addCopyFile(compile(b, nvcc, stem), b.fmt("{s}.fatbin", .{stem}));
        const line = "pub const {s} align(16) = @embedFile(\"{s}.fatbin\").*;\n";
        source.print(b.allocator, line, .{ stem, stem }) catch @panic("out of memory");
    }
    return b.createModule(.{ .root_source_file = files.add("fatbins.zig", source.items) });
}

fn emptyFatbins(b: *std.Build) *std.Build.Module {
    const files = b.addWriteFiles();
    return b.createModule(.{ .root_source_file = files.add("fatbins.zig",
        \\pub const note = "no GPU code: built without nvcc";
        \\pub const has_code = false;
        \\
    ) });
}

fn pretendedFatbins(b: *std.Build) *std.Build.Module {
    var source: std.ArrayList(u8) = .empty;
    source.appendSlice(b.allocator,
        \\pub const note = "pretended";
        \\pub const has_code = true;
        \\
    ) catch @panic("out of memory");
    for (stems) |stem| {
        const line = "pub const {s} align(16) = \"{s}\".*;\n";
        source.print(b.allocator, line, .{ stem, stem }) catch @panic("out of memory");
    }
    const file = b.addWriteFiles().add("fatbins.zig", source.items);
    return b.createModule(.{ .root_source_file = file });
}

/// One nvcc run for all architectures, two at a time inside; its dependency file makes headers part
/// of the cache's key.
fn compile(b: *std.Build, nvcc: []const u8, stem: []const u8) std.Build.LazyPath {
    // The assembler's report goes to a file, and to the screen only when something is wrong.
    const script = "o=$1; shift; \"$@\" 2>\"$o\" || { cat \"$o\" >&2; exit 1; }";
    const run = b.addSystemCommand(&.{ "sh", "-c", script, "nvcc" });
    const report = run.addOutputFileArg(b.fmt("{s}.txt", .{stem}));
    run.addArgs(&.{ nvcc, "-fatbin", "-std=c++17", "--threads", "2" });
    run.addArgs(&.{ "-Xptxas", "-v", "-Xfatbin", "-compress-all" });
    run.setName(b.fmt("nvcc {s}.cu", .{stem}));
    const own = if (std.mem.endsWith(u8, stem, "_sm90")) targets[3..4] else targets[0..];
    for (own) |t| run.addArgs(&.{ "-gencode", t });
    run.addArgs(&.{ "-MD", "-MF" });
    _ = run.addDepFileOutputArg(b.fmt("{s}.d", .{stem}));
    run.addArg("-o");
    const out = run.addOutputFileArg(b.fmt("{s}.fatbin", .{stem}));
    run.addFileArg(b.path(b.fmt("kernels/cuda/{s}.cu", .{stem})));
    // Registers and spills, which tests/kernels holds against limits.
    const kept = b.addInstallFile(report, b.fmt("ptxas/{s}.txt", .{stem}));
    b.getInstallStep().dependOn(&kept.step);
    return out;
}
