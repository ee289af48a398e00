//! The cpu backend's op table. build.zig compiles this file and all ops once per instruction set
//! (cpu_object.zig); the library picks one table at start (dispatch.zig). Ops choose code by
//! `@import("builtin").cpu.features` at comptime. Ops keep no state: `../pool.zig` (parallelFor,
//! scratch) and `../abi.zig` (fail) reach the library's only copy through hidden `fp_internal_*`
//! symbols resolved at link time (linkage.zig), and work directly in `zig build test`.

const backend = @import("../backend.zig");
const abi = @import("../abi.zig");

/// Stands in the table where an op has no code in this build.
fn unsupported(comptime Args: type, comptime op: []const u8) *const fn (*const Args) abi.Status {
    return struct {
        fn call(_: *const Args) abi.Status {
            return abi.fail(.unsupported, op ++ ": the cpu backend has no code for it", .{});
        }
    }.call;
}

pub const table: backend.Ops = .{
    .copy = files.copy.copy,
    .fill = files.elementwise.fill,
    .matmul = files.matmul.matmul,
    .attention = files.attention.attention,
    .qk_norm_rope = files.rope.qk_norm_rope,
    .adaln = files.adaln.adaln,
    .layer_norm = files.norm.layer_norm,
    .rms_norm = files.norm.rms_norm,
    .group_norm_coeffs = files.groupnorm.group_norm_coeffs,
    .scale_shift_act = files.elementwise.scale_shift_act,
    .conv3d = files.conv3d.conv3d,
    .conv3d_pack = files.conv3d.conv3d_pack,
    .patch_gather = files.patch.patch_gather,
    .unpatchify = files.patch.unpatchify,
    .embed = files.embed.embed,
    .activation = files.elementwise.activation,
    .glu = files.elementwise.glu,
    .add = files.elementwise.add,
    .add_gated = files.elementwise.add_gated,
    .mean_rows = files.elementwise.mean_rows,
    .lincomb = files.unipc.lincomb,
    .unipc = files.unipc.unipc,
    .denoised = files.unipc.denoised,
    .teacache = files.teacache.teacache,
    .stats = files.stats.stats,
    .latent_rgb = files.preview.latent_rgb,
    .blend = files.blend.blend,
    .to_u8 = files.preview.to_u8,
    .from_u8 = files.preview.from_u8,
};

/// The files whose tests belong to this backend; an op's file is added to this list with its line
/// in the table.
pub const files = struct {
    pub const conv3d = @import("conv3d.zig");
    pub const patch = @import("patch.zig");
    pub const embed = @import("embed.zig");
    pub const copy = @import("copy.zig");
    pub const blend = @import("blend.zig");
    pub const preview = @import("preview.zig");
    pub const stats = @import("stats.zig");
    pub const teacache = @import("teacache.zig");
    pub const unipc = @import("unipc.zig");
    pub const matmul = @import("matmul.zig");
    pub const attention = @import("attention.zig");
    pub const tile = @import("tile.zig");
    pub const simd = @import("simd.zig");
    pub const rope = @import("rope.zig");
    pub const groupnorm = @import("groupnorm.zig");
    pub const adaln = @import("adaln.zig");
    pub const norm = @import("norm.zig");
    pub const elementwise = @import("elementwise.zig");
    pub const work = @import("work.zig");
};

test {
    @import("std").testing.refAllDecls(files);
}
