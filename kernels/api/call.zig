//! One call of an op from outside: resolves handles, checks what the contract (docs/ops.md) asks,
//! and only then calls the backend. The first failed check decides status and text; the checks
//! after it are skipped, so an op reads as a list.

const std = @import("std");
const abi = @import("../abi.zig");
const backend = @import("../backend.zig");
const overlap = @import("overlap.zig");
const shapes = @import("../shape.zig");
const state = @import("../state.zig");
const tensor = @import("../tensor.zig");

pub const Desc = backend.Desc;
pub const Dtype = backend.Dtype;
pub const Status = backend.Status;

/// A tensor argument by its name in the contract.
pub const Operand = struct { name: []const u8, d: Desc };

/// A tensor that is written, and the arguments it may be the same as.
const Output = struct { index: usize, aliases: []const []const u8 };

const operands_max = 16;

pub const Call = struct {
    op: []const u8,
    status: Status = .ok,
    operands: [operands_max]Operand = undefined,
    operand_count: usize = 0,
    outputs: [2]Output = undefined,
    output_count: usize = 0,

    /// Pair with `defer c.end()`.
    pub fn begin(op: []const u8) Call {
        state.mutex.lock();
        var c: Call = .{ .op = op };
        if (state.current() == null) c.reject(
            .not_initialised,
            "the library is not initialised",
            .{},
        );
        if (abi.isCancelled()) c.reject(.cancelled, "cancelled", .{});
        return c;
    }

    pub fn end(_: *Call) void {
        state.mutex.unlock();
    }

    pub fn reject(c: *Call, status: Status, comptime fmt: []const u8, args: anytype) void {
        if (c.status != .ok) return;
        c.status = abi.fail(status, "{s}: " ++ fmt, .{c.op} ++ args);
    }

    /// Calls the backend if nothing was rejected.
    pub fn run(c: *Call, comptime op: []const u8, args: anytype) Status {
        c.checkOverlaps();
        if (c.status != .ok) return c.status;
        const status = @field(state.ops(), op)(args);
        if (status == .ok and abi.isCancelled()) c.reject(.cancelled, "cancelled", .{});
        return if (status != .ok) status else c.status;
    }

    // ---------------------------------------------------------------------------------------------

    /// A tensor that is only read.
    pub fn in(c: *Call, comptime name: []const u8, handle: u32) Operand {
        const t = c.resolve(name, handle) orelse return .{ .name = name, .d = nothing };
        if (!t.storage.?.on_device) c.reject(
            .bad_argument,
            name ++ " lies in a mapped file: copy it to the device first",
            .{},
        );
        return c.add(name, t.desc);
    }

    /// As `in`, with 0 for none.
    pub fn maybe(c: *Call, comptime name: []const u8, handle: u32) ?Operand {
        return if (handle == 0) null else c.in(name, handle);
    }

    /// A tensor that is written; it may be the very same view as one of `aliases`.
    pub fn out(
        c: *Call,
        comptime name: []const u8,
        handle: u32,
        comptime aliases: []const []const u8,
    ) Operand {
        const o = c.in(name, handle);
        if (c.status != .ok) return o;
        if (c.resolve(name, handle).?.storage.?.isReadOnly()) {
            c.reject(.bad_argument, name ++ " lies in a mapped file, which is read-only", .{});
        }
        if (overlap.withItself(o.d)) {
            c.reject(.bad_argument, name ++ " {f} has elements that share memory", .{shape(o.d)});
        }
        c.outputs[c.output_count] = .{ .index = c.operand_count - 1, .aliases = aliases };
        c.output_count += 1;
        return o;
    }

    /// For copy alone: a source that may lie in a mapped file. Null after a failure.
    pub fn resolve(c: *Call, comptime name: []const u8, handle: u32) ?*const tensor.Tensor {
        if (c.status != .ok) return null;
        return tensor.get(handle) orelse {
            c.reject(.bad_handle, name ++ " is no live tensor ({s})", .{tensor.explain(handle)});
            return null;
        };
    }

    pub fn add(c: *Call, name: []const u8, d: Desc) Operand {
        const o: Operand = .{ .name = name, .d = d };
        c.operands[c.operand_count] = o;
        c.operand_count += 1;
        return o;
    }

    fn checkOverlaps(c: *Call) void {
        if (c.status != .ok) return;
        for (c.outputs[0..c.output_count]) |written| {
            const a = c.operands[written.index];
            for (c.operands[0..c.operand_count], 0..) |b, i| {
                if (i == written.index or overlap.areApart(a.d, b.d)) continue;
                if (overlap.areSame(a.d, b.d) and isAmong(b.name, written.aliases)) continue;
                c.reject(.bad_argument, "{s} overlaps {s} in memory", .{ a.name, b.name });
            }
        }
    }

    fn isAmong(name: []const u8, list: []const []const u8) bool {
        return for (list) |x| {
            if (std.mem.eql(u8, x, name)) break true;
        } else false;
    }

    // ---------------------------------------------------------------------------------------------

    pub fn rank(c: *Call, o: Operand, want: u32) void {
        if (o.d.rank != want) {
            c.reject(.bad_shape, "{s} is {f}, want {d} dimensions", .{ o.name, shape(o.d), want });
        }
    }

    pub fn dims(c: *Call, o: Operand, want: []const u32) void {
        if (o.d.rank != want.len or !std.mem.eql(u32, o.d.dims[0..o.d.rank], want)) {
            c.reject(
                .bad_shape,
                "{s} is {f}, want {f}",
                .{ o.name, shape(o.d), List{ .items = want } },
            );
        }
    }

    pub fn sameDims(c: *Call, a: Operand, b: Operand) void {
        const same = a.d.rank == b.d.rank and
            std.mem.eql(u32, a.d.dims[0..a.d.rank], b.d.dims[0..b.d.rank]);
        if (!same) c.reject(.bad_shape, "{s} is {f} but {s} is {f}", .{
            a.name, shape(a.d), b.name, shape(b.d),
        });
    }

    pub fn dtype(c: *Call, o: Operand, want: Dtype) void {
        if (o.d.dtype != want) c.reject(
            .bad_dtype,
            "{s} is {t}, want {t}",
            .{ o.name, o.d.dtype, want },
        );
    }

    pub fn sameDtype(c: *Call, a: Operand, b: Operand) void {
        if (a.d.dtype != b.d.dtype) c.reject(.bad_dtype, "{s} is {t} but {s} is {t}", .{
            a.name, a.d.dtype, b.name, b.d.dtype,
        });
    }

    pub fn float(c: *Call, o: Operand) void {
        switch (o.d.dtype) {
            .f32, .bf16, .f16 => {},
            else => c.reject(.bad_dtype, "{s} is {t}, want a float type", .{ o.name, o.d.dtype }),
        }
    }

    /// Innermost stride 1, everything else free.
    pub fn rows(c: *Call, o: Operand) void {
        const last = o.d.rank -| 1;
        if (o.d.dims[last] > 1 and o.d.strides[last] != 1) {
            c.reject(.bad_shape, "{s} {f} must have innermost stride 1", .{ o.name, shape(o.d) });
        }
    }

    pub fn contiguous(c: *Call, o: Operand) void {
        if (!o.d.isContiguous()) {
            c.reject(.bad_shape, "{s} {f} must be contiguous", .{ o.name, shape(o.d) });
        }
    }

    pub fn notEmpty(c: *Call, o: Operand) void {
        if (o.d.count() == 0) c.reject(.bad_shape, "{s} {f} is empty", .{ o.name, shape(o.d) });
    }

    /// A float parameter of n numbers in a row; dimensions of 1 around them are dropped.
    pub fn vector(c: *Call, o: Operand, n: u32) Desc {
        c.float(o);
        var d = o.d;
        const last = d.rank -| 1;
        for (d.dims[0..last]) |x| {
            if (x != 1) c.reject(.bad_shape, "{s} is {f}, want [{d}]", .{ o.name, shape(o.d), n });
        }
        if (d.dims[last] != n) {
            c.reject(.bad_shape, "{s} is {f}, want [{d}]", .{ o.name, shape(o.d), n });
        }
        c.rows(o);
        d.rank = 1;
        d.dims = @splat(1);
        d.dims[0] = n;
        d.strides = @splat(0);
        d.strides[0] = 1;
        return d;
    }

    pub fn maybeVector(c: *Call, o: ?Operand, n: u32) ?Desc {
        return if (o) |x| c.vector(x, n) else null;
    }

    pub fn finite(c: *Call, comptime name: []const u8, value: f64) void {
        if (!std.math.isFinite(value)) c.reject(.bad_argument, name ++ " is not finite", .{});
    }

    pub fn eps(c: *Call, value: f32) void {
        if (!(value >= 0 and value < 1)) c.reject(
            .bad_argument,
            "eps is {e}, want 0 ≤ eps < 1",
            .{value},
        );
    }

    /// A number as a tag of enum E.
    pub fn tag(c: *Call, comptime E: type, comptime name: []const u8, value: u32) E {
        return std.enums.fromInt(E, value) orelse {
            c.reject(.bad_argument, name ++ " {d} is unknown", .{value});
            return @enumFromInt(0);
        };
    }
};

const nothing: Desc = .{
    .ptr = 0,
    .dtype = .f32,
    .rank = 1,
    .dims = @splat(1),
    .strides = @splat(1),
};

const Shape = struct {
    d: Desc,
    pub fn format(s: Shape, w: *std.Io.Writer) std.Io.Writer.Error!void {
        try w.print("{t} {f}", .{ s.d.dtype, List{ .items = s.d.dims[0..s.d.rank] } });
        if (s.d.isContiguous()) return;
        try w.print(" with strides {f}", .{List{ .items = s.d.strides[0..s.d.rank] }});
    }
};

const List = shapes.List;

/// A tensor's dtype and dims for a text, printed with {f}.
pub fn shape(d: Desc) Shape {
    return .{ .d = d };
}
