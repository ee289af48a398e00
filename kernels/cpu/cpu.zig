//! The cpu backend's op table. build.zig compiles this file and all ops once per instruction set (cpu_object.zig); the
//! library picks one table at start (dispatch.zig). Ops choose code by `@import("builtin").cpu.features` at comptime.
//! Ops keep no state: `../pool.zig` (parallelFor, scratch) and `../abi.zig` (fail) reach the library's only copy through
//! hidden `fp_internal_*` symbols resolved at link time (linkage.zig), and work directly in `zig build test`.

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
    .copy = unsupported(backend.Copy, "copy"),
    .fill = files.elementwise.fill,
    .matmul = unsupported(backend.Matmul, "matmul"),
    .attention = unsupported(backend.Attention, "attention"),
    .qk_norm_rope = files.rope.qk_norm_rope,
    .adaln = files.adaln.adaln,
    .layer_norm = files.norm.layer_norm,
    .rms_norm = files.norm.rms_norm,
    .group_norm_coeffs = files.groupnorm.group_norm_coeffs,
    .scale_shift_act = files.elementwise.scale_shift_act,
    .conv3d = unsupported(backend.Conv3d, "conv3d"),
    .conv3d_pack = unsupported(backend.Conv3dPack, "conv3d_pack"),
    .patch_gather = unsupported(backend.PatchGather, "patch_gather"),
    .unpatchify = unsupported(backend.Unpatchify, "unpatchify"),
    .embed = unsupported(backend.Embed, "embed"),
    .activation = files.elementwise.activation,
    .glu = files.elementwise.glu,
    .add = files.elementwise.add,
    .add_gated = files.elementwise.add_gated,
    .mean_rows = files.elementwise.mean_rows,
    .lincomb = unsupported(backend.Lincomb, "lincomb"),
    .unipc = unsupported(backend.Unipc, "unipc"),
    .denoised = unsupported(backend.Denoised, "denoised"),
    .teacache = unsupported(backend.Teacache, "teacache"),
    .stats = unsupported(backend.Stats, "stats"),
    .latent_rgb = unsupported(backend.LatentRgb, "latent_rgb"),
    .blend = unsupported(backend.Blend, "blend"),
    .to_u8 = unsupported(backend.ToU8, "to_u8"),
    .from_u8 = unsupported(backend.FromU8, "from_u8"),
};

/// The files whose tests belong to this backend; an op's file is added to this list with its line in the table.
pub const files = struct {
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
