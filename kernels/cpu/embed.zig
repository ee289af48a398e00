//! embed: rows of a table picked by id, cast to the output's dtype. Ids are checked before anything is written.

const std = @import("std");
const abi = @import("../abi.zig");
const backend = @import("../backend.zig");
const pool = @import("../pool.zig");
const simd = @import("simd.zig");
const work = @import("work.zig");
const Status = backend.Status;
const lanes = simd.lanes;

pub fn embed(args: *const backend.Embed) Status {
    const rows = args.table.dims[0];
    const ids = args.ids.host(i32)[0..args.ids.dims[0]];
    for (ids, 0..) |id, i| {
        if (id >= 0 and id < rows) continue;
        return abi.fail(
            .bad_argument,
            "embed: id {d} at {d} is outside the table of {d} rows",
            .{ id, i, rows },
        );
    }
    switch (args.table.dtype) {
        inline .f32, .bf16, .f16 => |from| switch (args.out.dtype) {
            inline .f32, .bf16, .f16 => |to| gather(simd.Elem(to), simd.Elem(from), args),
            else => unreachable,
        },
        else => unreachable,
    }
    return .ok;
}

fn gather(comptime O: type, comptime I: type, args: *const backend.Embed) void {
    const columns: usize = args.table.dims[1];
    pool.parallelRange(args.ids.dims[0], work.rowGrain(columns), args, struct {
        fn some(a: *const backend.Embed, from: usize, to: usize) void {
            const n: usize = a.table.dims[1];
            for (from..to) |i| {
                const id: usize = @intCast(a.ids.host(i32)[i]);
                const row = a.table.host(I) + id * a.table.strides[0]; // table[id, :]
                const out = a.out.host(O) + i * a.out.strides[0]; // out[i, :]
                var c: usize = 0;
                while (c + lanes <= n) : (c += lanes) simd.store(O, out + c, simd.load(I, row + c));
                while (c < n) : (c += 1) out[c] = simd.fromF32(O, simd.toF32(I, row[c]));
            }
        }
    }.some);
}

// ------------------------------------------------------------------------------------------ tests

const testing = std.testing;
const cases = @import("cases.zig");

test "embed picks rows and casts them" {
    inline for (.{ f32, simd.Bf16, f16 }) |I| inline for (.{ f32, simd.Bf16 }) |O| {
        var table: cases.Case(I) = try .init(&.{ 11, 37 }, 2);
        defer table.deinit();
        var r = cases.Random.init(3);
        table.fillRandom(&r, 2);
        var ids = [_]i32{ 10, 0, 3, 3, 7 };
        var out: cases.Case(O) = try .init(&.{ 5, 37 }, 4);
        defer out.deinit();

        _ = embed(&.{ .out = out.desc, .table = table.desc, .ids = cases.vector(i32, &ids) });

        for (0..out.count()) |i| {
            const from = @as(usize, @intCast(ids[i / 37])) * 37 + i % 37;
            try testing.expectEqual(simd.toF32(O, simd.fromF32(O, table.get(from))), out.get(i));
        }
        try out.expectGapsUntouched();
    };
}

test "an id outside the table is refused" {
    var table: [6]f32 = @splat(1);
    var out: [4]f32 = @splat(7);
    for ([_]i32{ -1, 3 }) |id| {
        var ids = [_]i32{ 0, id };

        const status = embed(&.{
            .out = cases.dense(f32, &out, &.{ 2, 2 }),
            .table = cases.dense(f32, &table, &.{ 3, 2 }),
            .ids = cases.vector(i32, &ids),
        });

        try testing.expectEqual(Status.bad_argument, status);
        try testing.expectEqual(7, out[0]);
    }
}
