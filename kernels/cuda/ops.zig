//! The op table of the cuda and the emulated backend: the same launchers on either device.

const api = @import("../backend.zig");
const attention = @import("attention.zig");
const conv3d = @import("conv3d.zig");
const copy = @import("copy.zig");
const elementwise = @import("elementwise.zig");
const matmul = @import("matmul.zig");
const norm = @import("norm.zig");
const patch = @import("patch.zig");
const reduce = @import("reduce.zig");

pub const table: api.Ops = .{
    .copy = copy.copy,
    .fill = elementwise.fill,
    .matmul = matmul.matmul,
    .attention = attention.attention,
    .qk_norm_rope = norm.qk_norm_rope,
    .adaln = norm.adaln,
    .layer_norm = norm.layer_norm,
    .rms_norm = norm.rms_norm,
    .group_norm_coeffs = norm.group_norm_coeffs,
    .scale_shift_act = elementwise.scale_shift_act,
    .conv3d = conv3d.conv3d,
    .conv3d_pack = copy.conv3d_pack,
    .patch_gather = patch.patch_gather,
    .unpatchify = patch.unpatchify,
    .embed = patch.embed,
    .activation = elementwise.activation,
    .glu = elementwise.glu,
    .add = elementwise.add,
    .add_gated = elementwise.add_gated,
    .mean_rows = reduce.mean_rows,
    .lincomb = elementwise.lincomb,
    .unipc = elementwise.unipc,
    .denoised = elementwise.denoised,
    .teacache = reduce.teacache,
    .stats = reduce.stats,
    .latent_rgb = patch.latent_rgb,
    .blend = elementwise.blend,
    .to_u8 = elementwise.to_u8,
    .from_u8 = elementwise.from_u8,
};
