//! Builds libframepack.so (ReleaseFast unless told otherwise), its symbol table for TypeScript, and
//! the kernel tests.
//!   zig build -p build                 build/lib/libframepack.so
//!   zig build test-libraries -p build  what tests/kernels needs besides
//!   zig build test -Dfilter=norm       kernel tests whose name contains "norm"
//!   zig build symbols                  rewrites src/ffi/symbols.gen.ts
//! The cpu ops are compiled once per instruction set, each as one object with one hidden table; see
//! kernels/cpu/cpu.zig.

const std = @import("std");
const cuda = @import("kernels/cuda/build_cuda.zig");

const Kind = struct { name: []const u8, query: std.Target.Query };

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{ .default_target = .{
        .os_tag = .linux,
        .abi = .gnu,
        .glibc_version = .{ .major = 2, .minor = 28, .patch = 0 },
        .cpu_model = .baseline,
    } });
    const optimize = b.option(
        std.builtin.OptimizeMode,
        "optimize",
        "Debug, ReleaseSafe, ReleaseFast (default) or ReleaseSmall",
    ) orelse .ReleaseFast;

    var objects: std.ArrayList(*std.Build.Step.Compile) = .empty;
    for (kinds(b, target.result.cpu.arch)) |kind| {
        objects.append(b.allocator, cpuObject(b, target, optimize, kind)) catch @panic("out of memory");
    }
    const options = b.addOptions();
    const main = library(b, "framepack", target, optimize, options, objects.items);
    options.addOption(bool, "cuda", cuda.add(b, main.root_module, target, optimize));
    b.installArtifact(main);

    // The mutation check's library: the same but for faults in the emulated kernels.
    const mutants = library(b, "framepack_mutants", target, optimize, options, objects.items);
    cuda.addMutants(b, mutants.root_module, target);
    const mutants_step = b.step("test-libraries", "Builds the libraries that tests/kernels needs besides");
    mutants_step.dependOn(&b.addInstallArtifact(mutants, .{}).step);
    const driver = b.addLibrary(.{
        .name = "cuda_emulated",
        .linkage = .dynamic,
        .root_module = b.createModule(.{
            .target = target,
            .optimize = optimize,
            .link_libc = true,
            .pic = true,
        }),
        .use_llvm = true,
        .use_lld = true,
    });
    cuda.addDriver(b, driver.root_module, target);
    mutants_step.dependOn(&b.addInstallArtifact(driver, .{}).step);

    // Kernel tests hold the cpu backend alone; the others are tested through the library.
    const test_options = b.addOptions();
    test_options.addOption(bool, "cuda", false);
    addTests(b, test_options);
    addSymbols(b);
}

fn library(
    b: *std.Build,
    name: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
    options: *std.Build.Step.Options,
    objects: []const *std.Build.Step.Compile,
) *std.Build.Step.Compile {
    const module = b.createModule(.{
        .root_source_file = b.path("kernels/lib.zig"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
        .pic = true,
        .strip = optimize == .ReleaseFast,
    });
    module.addOptions("build_options", options);
    for (objects) |object| module.addObject(object);
    const lib = b.addLibrary(.{
        .name = name,
        .linkage = .dynamic,
        .root_module = module,
        .use_llvm = true,
        .use_lld = true,
    });
    lib.link_gc_sections = true;
    return lib;
}

/// The instruction sets the cpu ops are compiled for, weakest first. Their names are known to
/// kernels/cpu/dispatch.zig.
fn kinds(b: *std.Build, arch: std.Target.Cpu.Arch) []const Kind {
    const x86 = std.Target.x86;
    // LLVM would otherwise keep to 256-bit vectors on the v4 model.
    const narrow = x86.featureSet(&.{.prefer_256_bit});
    const v4: std.Target.Query = .{
        .cpu_model = .{ .explicit = &x86.cpu.x86_64_v4 },
        .cpu_features_sub = narrow,
    };
    var bf16 = v4;
    bf16.cpu_features_add = x86.featureSet(&.{.avx512bf16});
    const list: []const Kind = switch (arch) {
        .x86_64 => &.{
            .{ .name = "v3", .query = .{ .cpu_model = .{ .explicit = &x86.cpu.x86_64_v3 } } },
            .{ .name = "avx512", .query = v4 },
            .{ .name = "avx512bf16", .query = bf16 },
        },
        .aarch64 => &.{.{ .name = "neon", .query = .{ .cpu_model = .baseline } }},
        else => @panic("framepack builds for x86_64 and aarch64 only"),
    };
    return b.allocator.dupe(Kind, list) catch @panic("out of memory");
}

fn cpuObject(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.OptimizeMode,
    kind: Kind,
) *std.Build.Step.Compile {
    var query = kind.query;
    query.cpu_arch = target.result.cpu.arch;
    query.os_tag = target.result.os.tag;
    query.abi = target.result.abi;
    query.glibc_version = target.query.glibc_version;
    const options = b.addOptions();
    options.addOption([]const u8, "kind", kind.name);
    const module = b.createModule(.{
        .root_source_file = b.path("kernels/cpu_object.zig"),
        .target = b.resolveTargetQuery(query),
        .optimize = optimize,
        .link_libc = true,
        .pic = true,
        .strip = optimize == .ReleaseFast,
    });
    module.addOptions("build_options", options);
    const object = b.addObject(.{
        .name = b.fmt("cpu_{s}", .{kind.name}),
        .root_module = module,
        .use_llvm = true,
    });
    object.bundle_compiler_rt = false;
    return object;
}

fn addTests(b: *std.Build, options: *std.Build.Step.Options) void {
    const filter = b.option([]const u8, "filter", "only kernel tests whose name contains this");
    const mode = b.option(
        std.builtin.OptimizeMode,
        "test-optimize",
        "how kernel tests are compiled (default Debug)",
    ) orelse .Debug;
    const model = b.option([]const u8, "test-cpu", "cpu model of kernel tests (default native)");
    const query = std.Target.Query.parse(.{
        .arch_os_abi = "native-linux-gnu.2.28",
        .cpu_features = model orelse "native",
    }) catch @panic("-Dtest-cpu: unknown cpu model");
    const module = b.createModule(.{
        .root_source_file = b.path("kernels/test.zig"),
        .target = b.resolveTargetQuery(query),
        .optimize = mode,
        .link_libc = true,
    });
    module.addOptions("build_options", options);
    const tests = b.addTest(.{
        .name = "kernel-tests",
        .root_module = module,
        .filters = if (filter) |f| b.dupeStrings(&.{f}) else &.{},
        .use_llvm = true,
    });
    const run = b.addRunArtifact(tests);
    const step = b.step("test", "Runs the tests of the kernels");
    step.dependOn(&run.step);
}

fn addSymbols(b: *std.Build) void {
    const generator = b.addExecutable(.{
        .name = "gen-symbols",
        .root_module = b.createModule(.{
            .root_source_file = b.path("kernels/gen_symbols.zig"),
            .target = b.graph.host,
            .optimize = .Debug,
        }),
    });
    const run = b.addRunArtifact(generator);
    const update = b.addUpdateSourceFiles();
    update.addCopyFileToSource(run.captureStdOut(.{}), "src/ffi/symbols.gen.ts");
    const step = b.step("symbols", "Rewrites src/ffi/symbols.gen.ts");
    step.dependOn(&update.step);
}
