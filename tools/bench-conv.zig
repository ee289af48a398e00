//! conv3d of the built library beside torch on the shapes of a small VAE, turn by turn, as ratios of medians.
//!   zig build -p build && zig run -lc -OReleaseFast tools/bench-conv.zig -- [threads] [rounds] [filter]
//! FRAMEPACK_LIBRARY names another library, FRAMEPACK_PEER one to stand in for torch. One thread counts CPU time, several count
//! wall time. "conv" is the convolution alone (torch: channels last, unpadded work), "chain" is group norm, silu,
//! padding, upsampling and convolution.

const std = @import("std");

const Case = struct {
    name: []const u8,
    in: u32,
    out: u32,
    t: u32,
    h: u32,
    w: u32,
    kernel: u32 = 3,
    stride: u32 = 1,
    up_t: u32 = 0,
    up_s: u32 = 0,
};

const cases = [_]Case{
    .{ .name = "128 to 128", .in = 128, .out = 128, .t = 9, .h = 32, .w = 40 },
    .{ .name = "64 to 64", .in = 64, .out = 64, .t = 17, .h = 64, .w = 80 },
    .{ .name = "32 to 32", .in = 32, .out = 32, .t = 17, .h = 128, .w = 160 },
    .{ .name = "16 to 16", .in = 16, .out = 16, .t = 17, .h = 128, .w = 160 },
    .{ .name = "128 to 64, 1x1x1", .in = 128, .out = 64, .t = 9, .h = 64, .w = 80, .kernel = 1 },
    .{ .name = "16 to 128", .in = 16, .out = 128, .t = 5, .h = 16, .w = 20 },
    .{ .name = "32 to 3", .in = 32, .out = 3, .t = 17, .h = 128, .w = 160 },
    .{ .name = "64 to 64, strided", .in = 64, .out = 64, .t = 9, .h = 64, .w = 80, .stride = 2 },
    .{
        .name = "128 to 128, doubled",
        .in = 128,
        .out = 128,
        .t = 5,
        .h = 16,
        .w = 20,
        .up_t = 1,
        .up_s = 1,
    },
    .{
        .name = "64 to 64, doubled",
        .in = 64,
        .out = 64,
        .t = 9,
        .h = 32,
        .w = 40,
        .up_t = 1,
        .up_s = 1,
    },
};

const Dtype = enum(u32) { f32 = 0, bf16 = 1 };

// ---------------------------------------------------------------------------------------- library

const Library = struct {
    lib: std.DynLib,
    init: *const fn (u32, u32, u32, u64) callconv(.c) u32,
    tensorNew: *const fn (u32, u32, [*]const u32, *u32) callconv(.c) u32,
    tensorFree: *const fn (u32) callconv(.c) u32,
    upload: *const fn (u32, [*]const u8, u64) callconv(.c) u32,
    copy: *const fn (u32, u32) callconv(.c) u32,
    coeffs: *const fn (u32, u32, u32, u32, u32, f32) callconv(.c) u32,
    conv3d: *const fn (u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32) callconv(.c) u32,

    fn open(path: []const u8) !Library {
        var lib = try std.DynLib.open(path);
        var l: Library = undefined;
        inline for (.{
            .{ "init", "fp_init" },                .{ "tensorNew", "fp_tensor_new" },
            .{ "tensorFree", "fp_tensor_free" },   .{ "upload", "fp_upload" },
            .{ "coeffs", "fp_group_norm_coeffs" }, .{ "copy", "fp_copy" },
            .{ "conv3d", "fp_conv3d" },
        }) |names| {
            const T = @FieldType(Library, names[0]);
            @field(l, names[0]) = lib.lookup(T, names[1]) orelse return error.SymbolMissing;
        }
        l.lib = lib;
        return l;
    }

    /// A tensor of repeatable noise.
    fn noise(
        l: *const Library,
        allocator: std.mem.Allocator,
        dtype: Dtype,
        dims: []const u32,
        scale: f32,
    ) !u32 {
        var n: usize = 1;
        for (dims) |d| n *= d;
        const values = try allocator.alloc(f32, n);
        defer allocator.free(values);
        var r: std.Random.DefaultPrng = .init(n);
        for (values) |*v| v.* = (r.random().float(f32) * 2 - 1) * scale;
        const plain = try l.empty(.f32, dims);
        try check(l.upload(plain, @ptrCast(values.ptr), n * 4));
        if (dtype == .f32) return plain;
        const cast = try l.empty(dtype, dims);
        try check(l.copy(cast, plain));
        try check(l.tensorFree(plain));
        return cast;
    }

    fn empty(l: *const Library, dtype: Dtype, dims: []const u32) !u32 {
        var handle: u32 = 0;
        try check(l.tensorNew(@intFromEnum(dtype), @intCast(dims.len), dims.ptr, &handle));
        return handle;
    }
};

fn check(status: u32) !void {
    if (status != 0) return error.LibraryRefused;
}

const Ours = struct {
    lib: *const Library,
    case: Case,
    x: u32,
    w: u32,
    affine: u32,
    bias: u32,
    coeffs: u32,
    out: u32,

    fn init(lib: *const Library, allocator: std.mem.Allocator, c: Case, dtype: Dtype) !Ours {
        const t = if (c.up_t == 1) 2 * c.t - 1 else c.t;
        const h = c.h << @intCast(c.up_s);
        const w = c.w << @intCast(c.up_s);
        const s = c.stride;
        return .{
            .lib = lib,
            .case = c,
            .x = try lib.noise(allocator, dtype, &.{ c.t, c.h, c.w, c.in }, 1),
            .w = try lib.noise(
                allocator,
                dtype,
                &.{ c.out, c.kernel, c.kernel, c.kernel, c.in },
                0.05,
            ),
            .affine = try lib.noise(allocator, dtype, &.{c.in}, 1),
            .bias = try lib.noise(allocator, dtype, &.{c.out}, 1),
            .coeffs = try lib.empty(.f32, &.{ 2, c.in }),
            .out = try lib.empty(
                dtype,
                &.{ (t + s - 1) / s, (h + s - 1) / s, (w + s - 1) / s, c.out },
            ),
        };
    }

    fn deinit(o: *const Ours) void {
        for ([_]u32{ o.x, o.w, o.affine, o.bias, o.coeffs, o.out }) |h| _ = o.lib.tensorFree(h);
    }

    fn run(o: *const Ours, chain: bool) !void {
        const c = o.case;
        if (chain) try check(o.lib.coeffs(o.coeffs, o.x, o.affine, o.affine, @min(32, c.in), 1e-6));
        const coeffs = if (chain) o.coeffs else 0;
        const act: u32 = if (chain) 2 else 0;
        const s = c.stride;
        try check(o.lib.conv3d(o.out, o.x, o.w, o.bias, coeffs, act, 0, s, s, s, c.up_t, c.up_s));
    }
};

// ------------------------------------------------------------------------------------------ torch

const peer =
    \\import json, sys, time
    \\import torch, torch.nn.functional as F
    \\job = None
    \\for line in sys.stdin:
    \\    m = json.loads(line)
    \\    if "in" in m: job = m
    \\    if "threads" in m:
    \\        torch.set_num_threads(m["threads"])
    \\        clock = time.process_time if m["threads"] == 1 else time.perf_counter
    \\        print(0, flush=True)
    \\        continue
    \\    with torch.no_grad():
    \\        if "in" in m:
    \\            dt = getattr(torch, m["dtype"])
    \\            k, s = m["kernel"], m["stride"]
    \\            x = torch.randn(1, m["in"], m["t"], m["h"], m["w"]).to(dt)
    \\            w = (torch.randn(m["out"], m["in"], k, k, k) * 0.05).to(dt)
    \\            b, g = torch.randn(m["out"]).to(dt), torch.randn(m["in"]).to(dt)
    \\            cl = torch.channels_last_3d
    \\            def up(v):
    \\                if not job["up_s"]: return v
    \\                first = F.interpolate(v[:, :, :1].squeeze(2), scale_factor=2).unsqueeze(2)
    \\                rest = F.interpolate(v[:, :, 1:], scale_factor=(1 + job["up_t"], 2, 2))
    \\                return torch.cat([first, rest], 2)
    \\            p = k // 2
    \\            def pad(v): return F.pad(v, (p, p, p, p, 2 * p, 0), mode="replicate") if p else v
    \\            ready = pad(up(x)).contiguous(memory_format=cl)
    \\            last = w.contiguous(memory_format=cl)
    \\            def conv(): return F.conv3d(ready, last, b, stride=s)
    \\            def chain():
    \\                n = F.silu(F.group_norm(x, min(32, job["in"]), g, g, 1e-6))
    \\                return F.conv3d(pad(up(n)), w, b, stride=s)
    \\            conv(); chain()
    \\            print(0, flush=True)
    \\            continue
    \\        f = chain if m["chain"] else conv
    \\        start = clock()
    \\        f()
    \\        print(clock() - start, flush=True)
    \\
;

const Torch = struct {
    io: std.Io,
    child: std.process.Child,
    reader: std.Io.File.Reader,
    buffer: [256]u8 = undefined,

    fn start(t: *Torch, io: std.Io) !void {
        t.io = io;
        t.child = try std.process.spawn(io, .{
            .argv = &.{ "python3", "-u", "-c", peer },
            .stdin = .pipe,
            .stdout = .pipe,
        });
        t.reader = t.child.stdout.?.reader(io, &t.buffer);
    }

    fn ask(t: *Torch, what: anytype) !f64 {
        var line: [512]u8 = undefined;
        var writer: std.Io.Writer = .fixed(&line);
        try std.json.Stringify.value(what, .{}, &writer);
        try writer.writeByte('\n');
        try t.child.stdin.?.writeStreamingAll(t.io, writer.buffered());
        const answer = try t.reader.interface.takeDelimiterExclusive('\n');
        t.reader.interface.toss(1);
        return std.fmt.parseFloat(f64, answer);
    }
};

// ------------------------------------------------------------------------------------------- turns

fn seconds(threads: u32) f64 {
    var t: std.os.linux.timespec = undefined;
    _ = std.os.linux.clock_gettime(if (threads == 1) .PROCESS_CPUTIME_ID else .MONOTONIC, &t);
    return @as(f64, @floatFromInt(t.sec)) + @as(f64, @floatFromInt(t.nsec)) * 1e-9;
}

fn timed(o: *const Ours, chain: bool, threads: u32) !f64 {
    const begin = seconds(threads);
    try o.run(chain);
    return seconds(threads) - begin;
}

fn median(values: []f64) f64 {
    std.mem.sort(f64, values, {}, std.sort.asc(f64));
    return values[values.len / 2];
}

pub fn main(init: std.process.Init) !void {
    const allocator = init.gpa;
    const args = try init.minimal.args.toSlice(init.arena.allocator());
    const threads = if (args.len > 1) try std.fmt.parseInt(u32, args[1], 10) else 1;
    const rounds = if (args.len > 2) @min(64, try std.fmt.parseInt(usize, args[2], 10)) else 7;
    const filter = if (args.len > 3) args[3] else "";
    const path = init.environ_map.get("FRAMEPACK_LIBRARY") orelse "build/lib/libframepack.so";
    const lib = try Library.open(path);
    try check(lib.init(0, threads, 0, 0));
    var other: Library = undefined;
    var torch: Torch = undefined;
    const other_path = init.environ_map.get("FRAMEPACK_PEER");
    if (other_path) |p| {
        other = try Library.open(p);
        try check(other.init(0, threads, 0, 0));
    } else {
        try torch.start(init.io);
        _ = try torch.ask(.{ .threads = threads });
    }
    var a: [64]f64 = undefined;
    var b: [64]f64 = undefined;
    for ([_]Dtype{ .f32, .bf16 }) |dtype| for (cases) |c| {
        if (std.mem.indexOf(u8, c.name, filter) == null) continue;
        const ours = try Ours.init(&lib, allocator, c, dtype);
        defer ours.deinit();
        var theirs: ?Ours = null;
        defer if (theirs) |*o| o.deinit();
        if (other_path != null) {
            theirs = try Ours.init(&other, allocator, c, dtype);
        } else _ = try torch.ask(question(c, dtype));
        for ([_]bool{ false, true }) |chain| {
            try ours.run(chain);
            if (theirs) |*o| try o.run(chain);
            for (0..rounds) |i| {
                a[i] = try timed(&ours, chain, threads);
                b[i] = if (theirs) |*o|
                    try timed(o, chain, threads)
                else
                    try torch.ask(.{ .chain = chain });
            }
            report(c, dtype, chain, median(a[0..rounds]), median(b[0..rounds]));
        }
    };
    if (other_path == null) torch.child.kill(init.io);
}

const Question = struct {
    dtype: []const u8,
    in: u32,
    out: u32,
    t: u32,
    h: u32,
    w: u32,
    kernel: u32,
    stride: u32,
    up_t: u32,
    up_s: u32,
};

fn question(c: Case, dtype: Dtype) Question {
    var q: Question = undefined;
    q.dtype = if (dtype == .f32) "float32" else "bfloat16";
    inline for (@typeInfo(Question).@"struct".fields[1..]) |f| {
        @field(q, f.name) = @field(c, f.name);
    }
    return q;
}

fn report(c: Case, dtype: Dtype, chain: bool, ours: f64, peer_time: f64) void {
    const t: f64 = @floatFromInt(if (c.up_t == 1) 2 * c.t - 1 else c.t);
    const area: f64 = @floatFromInt(c.h * c.w * (1 + 3 * c.up_s));
    const s: f64 = @floatFromInt(c.stride);
    const k: f64 = @floatFromInt(c.kernel * c.kernel * c.kernel);
    const flops = 2 * k * @as(f64, @floatFromInt(c.in * c.out)) * t * area / (s * s * s);
    std.debug.print("{s: <22}{s: <6}{s: <7}{d: >8.2} ms {d: >7.0} GFLOP/s", .{
        c.name, @tagName(dtype), if (chain) "chain" else "conv", ours * 1e3, flops / ours / 1e9,
    });
    std.debug.print("   peer {d: >8.2} ms  ratio {d:.2}\n", .{ peer_time * 1e3, peer_time / ours });
}
