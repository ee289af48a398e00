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
    .fill = unsupported(backend.Fill, "fill"),
    .matmul = unsupported(backend.Matmul, "matmul"),
    .attention = unsupported(backend.Attention, "attention"),
    .qk_norm_rope = unsupported(backend.QkNormRope, "qk_norm_rope"),
    .adaln = unsupported(backend.Adaln, "adaln"),
    .layer_norm = unsupported(backend.LayerNorm, "layer_norm"),
    .rms_norm = unsupported(backend.RmsNorm, "rms_norm"),
    .group_norm_coeffs = unsupported(backend.GroupNormCoeffs, "group_norm_coeffs"),
    .scale_shift_act = unsupported(backend.ScaleShiftAct, "scale_shift_act"),
    .conv3d = unsupported(backend.Conv3d, "conv3d"),
    .conv3d_pack = unsupported(backend.Conv3dPack, "conv3d_pack"),
    .patch_gather = unsupported(backend.PatchGather, "patch_gather"),
    .unpatchify = unsupported(backend.Unpatchify, "unpatchify"),
    .embed = unsupported(backend.Embed, "embed"),
    .activation = unsupported(backend.Activation, "activation"),
    .glu = unsupported(backend.Glu, "glu"),
    .add = unsupported(backend.Add, "add"),
    .add_gated = unsupported(backend.AddGated, "add_gated"),
    .mean_rows = unsupported(backend.MeanRows, "mean_rows"),
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
pub const files = struct {};

test {
    @import("std").testing.refAllDecls(files);
}
