//! Matrix products by cuBLASLt where its library is found at run time, with the algorithm chosen
//! once per shape. It has no code for a gated residual or silu; what it cannot do it leaves to the
//! own kernels by answering `unsupported`.

const std = @import("std");
const api = @import("../backend.zig");
const driver = @import("driver.zig");
const Status = api.Status;

const Handle = ?*anyopaque;
const ok = 0;

/// Numbers of cuBLASLt's ABI.
const compute_32f = 68;
const type_of: std.EnumArray(api.Dtype, c_int) = .init(.{
    .f32 = 0,
    .bf16 = 14,
    .f16 = 2,
    .i32 = 10,
    .u8 = 8,
});
const Desc = enum(c_int) { transpose_a = 3, epilogue = 7, bias = 8, bias_type = 26 };
const Preference = enum(c_int) {
    workspace = 1,
    align_a = 5,
    align_b = 6,
    align_c = 7,
    align_d = 8,
};
const Epilogue = struct {
    const plain: u32 = 1;
    const bias: u32 = 4;
    const gelu: u32 = 32;
};

const Algorithm = extern struct { data: [8]u64 };
const Heuristic = extern struct {
    algorithm: Algorithm,
    workspace: usize,
    state: c_int,
    waves: f32,
    reserved: [4]c_int,
};

const Functions = struct {
    cublasLtCreate: *const fn (*Handle) callconv(.c) c_int,
    cublasLtDestroy: *const fn (Handle) callconv(.c) c_int,
    cublasLtMatmulDescCreate: *const fn (*Handle, c_int, c_int) callconv(.c) c_int,
    cublasLtMatmulDescDestroy: *const fn (Handle) callconv(.c) c_int,
    cublasLtMatmulDescSetAttribute: *const fn (
        Handle,
        Desc,
        *const anyopaque,
        usize,
    ) callconv(.c) c_int,
    cublasLtMatrixLayoutCreate: *const fn (*Handle, c_int, u64, u64, i64) callconv(.c) c_int,
    cublasLtMatrixLayoutDestroy: *const fn (Handle) callconv(.c) c_int,
    cublasLtMatmulPreferenceCreate: *const fn (*Handle) callconv(.c) c_int,
    cublasLtMatmulPreferenceDestroy: *const fn (Handle) callconv(.c) c_int,
    cublasLtMatmulPreferenceSetAttribute: *const fn (
        Handle,
        Preference,
        *const anyopaque,
        usize,
    ) callconv(.c) c_int,
    cublasLtMatmulAlgoGetHeuristic: *const fn (
        Handle,
        Handle,
        Handle,
        Handle,
        Handle,
        Handle,
        Handle,
        c_int,
        [*]Heuristic,
        *c_int,
    ) callconv(.c) c_int,
    cublasLtMatmul: *const fn (
        Handle,
        Handle,
        *const f32,
        u64,
        Handle,
        u64,
        Handle,
        *const f32,
        u64,
        Handle,
        u64,
        Handle,
        *const Algorithm,
        u64,
        usize,
        Handle,
    ) callconv(.c) c_int,
};

/// What an algorithm is chosen for. Pointers count by their alignment only.
const Key = struct {
    m: u32,
    n: u32,
    k: u32,
    strides: [4]u32,
    dtypes: [3]api.Dtype,
    epilogue: u32,
    has_residual: bool,
    alignment: u32,
};

/// A chosen product: its descriptors live as long as the library is used.
const Plan = struct {
    desc: Handle = null,
    a: Handle = null,
    b: Handle = null,
    c: Handle = null,
    d: Handle = null,
    algorithm: ?Algorithm = null,
};

const workspace_bytes = 32 << 20;
const names = [_][:0]const u8{ "libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11" };
const gpa = std.heap.c_allocator;

var f: Functions = undefined;
var handle: Handle = null;
var stream: driver.Handle = null;
var workspace: u64 = 0;
var plans: std.AutoHashMapUnmanaged(Key, Plan) = .empty;

/// Whether cuBLASLt is there and works. FRAMEPACK_CUBLASLT names its file, or is `none`.
pub fn start(on: driver.Handle) bool {
    const l = find() orelse return false;
    inline for (@typeInfo(Functions).@"struct".fields) |field| {
        const symbol = std.c.dlsym(l, field.name) orelse return false;
        @field(f, field.name) = @ptrCast(@alignCast(symbol));
    }
    if (f.cublasLtCreate(&handle) != ok) return false;
    if (driver.api.cuMemAlloc_v2(&workspace, workspace_bytes) != .success) {
        stop();
        return false;
    }
    stream = on;
    return true;
}

fn find() ?*anyopaque {
    if (std.c.getenv("FRAMEPACK_CUBLASLT")) |path| return std.c.dlopen(path, .{ .NOW = true });
    for (names) |name| if (std.c.dlopen(name, .{ .NOW = true })) |l| return l;
    return null;
}

pub fn stop() void {
    if (handle == null) return;
    var it = plans.valueIterator();
    while (it.next()) |plan| release(plan.*);
    plans.clearAndFree(gpa);
    if (workspace != 0) _ = driver.api.cuMemFree_v2(workspace);
    workspace = 0;
    _ = f.cublasLtDestroy(handle);
    handle = null;
}

fn release(plan: Plan) void {
    if (plan.desc != null) _ = f.cublasLtMatmulDescDestroy(plan.desc);
    for ([_]Handle{ plan.a, plan.b, plan.c, plan.d }) |layout| {
        if (layout != null) _ = f.cublasLtMatrixLayoutDestroy(layout);
    }
}

/// `unsupported` without a text: the caller has another way.
pub fn multiply(a: *const api.Matmul) Status {
    if (!isWithin(a)) return .unsupported;
    const key = keyOf(a);
    const entry = plans.getOrPut(gpa, key) catch return .unsupported;
    if (!entry.found_existing) entry.value_ptr.* = choose(a, key);
    const plan = entry.value_ptr.*;
    const algorithm = plan.algorithm orelse return .unsupported;
    if (a.bias) |b| {
        const set = f.cublasLtMatmulDescSetAttribute(plan.desc, .bias, &b.ptr, 8);
        if (set != ok) return .unsupported;
    }
    const one: f32 = 1;
    const beta: f32 = if (a.residual != null) 1 else 0;
    const c = if (a.residual) |r| r.ptr else a.out.ptr;
    // Read column by column our row-major matrices are transposed: out^T [N, M] = w a^T.
    const result = f.cublasLtMatmul(
        handle,
        plan.desc,
        &one,
        a.w.ptr,
        plan.a,
        a.a.ptr,
        plan.b,
        &beta,
        c,
        plan.c,
        a.out.ptr,
        plan.d,
        &algorithm,
        workspace,
        workspace_bytes,
        stream,
    );
    return if (result == ok) .ok else .unsupported;
}

/// The epilogues that cuBLASLt has, on matrices that it can read.
fn isWithin(a: *const api.Matmul) bool {
    if (a.gate != null or (a.act != .none and a.act != .gelu_tanh)) return false;
    if (a.residual != null and a.act != .none) return false;
    if (a.bias != null and (a.bias.?.dtype != a.out.dtype or a.out.dtype == .f32)) return false;
    return true;
}

fn keyOf(a: *const api.Matmul) Key {
    const c = a.residual orelse a.out;
    var bits: u64 = 256;
    for ([_]api.Desc{ a.a, a.w, a.out, c }) |d| bits |= d.ptr;
    var epilogue: u32 = if (a.act == .gelu_tanh) Epilogue.gelu else 0;
    if (a.bias != null) epilogue |= Epilogue.bias;
    return .{
        .m = a.a.dims[0],
        .n = a.w.dims[0],
        .k = a.a.dims[1],
        .strides = .{ a.a.strides[0], a.w.strides[0], a.out.strides[0], c.strides[0] },
        .dtypes = .{ a.a.dtype, a.w.dtype, a.out.dtype },
        .epilogue = if (epilogue == 0) Epilogue.plain else epilogue,
        .has_residual = a.residual != null,
        .alignment = @as(u32, 1) << @intCast(@ctz(bits)),
    };
}

/// A plan without an algorithm when cuBLASLt has none.
fn choose(a: *const api.Matmul, key: Key) Plan {
    var plan: Plan = .{};
    var preference: Handle = null;
    defer if (preference != null) {
        _ = f.cublasLtMatmulPreferenceDestroy(preference);
    };
    const in = type_of.get(key.dtypes[0]);
    const out = type_of.get(key.dtypes[2]);
    const s = key.strides;
    const transpose: i32 = 1;
    const bytes: u64 = workspace_bytes;
    var failed: c_int = f.cublasLtMatmulDescCreate(&plan.desc, compute_32f, type_of.get(.f32));
    failed |= f.cublasLtMatmulDescSetAttribute(plan.desc, .transpose_a, &transpose, 4);
    failed |= f.cublasLtMatmulDescSetAttribute(plan.desc, .epilogue, &key.epilogue, 4);
    if (a.bias) |b| {
        failed |= f.cublasLtMatmulDescSetAttribute(plan.desc, .bias, &b.ptr, 8);
        failed |= f.cublasLtMatmulDescSetAttribute(plan.desc, .bias_type, &out, 4);
    }
    failed |= f.cublasLtMatrixLayoutCreate(&plan.a, in, key.k, key.n, s[1]);
    failed |= f.cublasLtMatrixLayoutCreate(&plan.b, in, key.k, key.m, s[0]);
    failed |= f.cublasLtMatrixLayoutCreate(&plan.c, out, key.n, key.m, s[3]);
    failed |= f.cublasLtMatrixLayoutCreate(&plan.d, out, key.n, key.m, s[2]);
    failed |= f.cublasLtMatmulPreferenceCreate(&preference);
    failed |= f.cublasLtMatmulPreferenceSetAttribute(preference, .workspace, &bytes, 8);
    for ([_]Preference{ .align_a, .align_b, .align_c, .align_d }) |which| {
        failed |= f.cublasLtMatmulPreferenceSetAttribute(preference, which, &key.alignment, 4);
    }
    if (failed != ok) return plan;
    var best: [1]Heuristic = undefined;
    var found: c_int = 0;
    const asked = f.cublasLtMatmulAlgoGetHeuristic(
        handle,
        plan.desc,
        plan.a,
        plan.b,
        plan.c,
        plan.d,
        preference,
        1,
        &best,
        &found,
    );
    if (asked == ok and found == 1 and best[0].state == ok) plan.algorithm = best[0].algorithm;
    return plan;
}
