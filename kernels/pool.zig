//! The thread pool of the cpu ops. `parallelFor(n, ctx, work)` calls work(ctx, index, worker) once
//! for every index; which thread takes which index is open, so results may only depend on the
//! index. Idle threads sleep on a futex. Not reentrant: a parallelFor inside a task runs in that
//! task's thread, as worker 0 of nothing: don't.

const std = @import("std");
const sys = @import("sys.zig");
const abi = @import("abi.zig");
const linkage = @import("linkage.zig");

pub const threads_max = 256;
/// Independent scratch buffers. An op that calls another op's code uses a slot the other doesn't.
pub const scratch_slots = 4;

/// Runs work for indices 0..n on all threads and returns when all are done. `worker` < threads()
/// tells threads apart, for a thread's own part of a scratch buffer. `work` takes (ctx, index) or
/// (ctx, index, worker). After fp_cancel no further index is started; the library then reports
/// `cancelled`, so ops need not look.
pub fn parallelFor(n: usize, ctx: anytype, comptime work: anytype) void {
    const Ctx = @TypeOf(ctx);
    const takes_worker = @typeInfo(@TypeOf(work)).@"fn".params.len == 3;
    const Shim = struct {
        fn task(erased: *const anyopaque, index: usize, worker: usize) callconv(.c) void {
            const c: *const Ctx = @ptrCast(@alignCast(erased));
            if (takes_worker) work(c.*, index, worker) else work(c.*, index);
        }
    };
    if (n == 0) return;
    const held = ctx;
    linkage.run(n, @ptrCast(&held), &Shim.task);
}

/// Splits 0..total into ranges of `grain` (the last may be shorter) and runs work(ctx, from, to)
/// for each. The split depends on total and grain alone, never on the number of threads.
pub fn parallelRange(total: usize, grain: usize, ctx: anytype, comptime work: anytype) void {
    const Ctx = @TypeOf(ctx);
    const Range = struct {
        total: usize,
        grain: usize,
        ctx: Ctx,
        fn one(r: @This(), index: usize) void {
            const from = index * r.grain;
            work(r.ctx, from, @min(from + r.grain, r.total));
        }
    };
    std.debug.assert(grain > 0);
    const n = std.math.divCeil(usize, total, grain) catch unreachable;
    parallelFor(n, Range{ .total = total, .grain = grain, .ctx = ctx }, Range.one);
}

/// Threads a parallelFor may use, the calling one included.
pub fn threads() usize {
    return linkage.threads();
}

/// Working memory for the running op, 64-byte aligned, kept between ops, contents undefined. Ask
/// before parallelFor, for all workers together; asking the same slot again takes the earlier
/// memory away. On null return abi.fail's status of `noScratch`.
pub fn scratch(slot: u32, bytes: usize) ?[*]align(64) u8 {
    return linkage.scratch(slot, bytes);
}

pub fn noScratch(comptime op: []const u8, bytes: usize) abi.Status {
    return abi.fail(.out_of_memory, op ++ ": no {d} bytes of working memory", .{bytes});
}

// -------------------------------------------------------------------------------------------------

/// The library's side. Not for ops.
pub const library = struct {
    const Job = struct { n: usize, ctx: *const anyopaque, task: linkage.Task };
    const open_bit: u32 = 1 << 31;
    /// Pauses before a thread sleeps: about as long as one wake-up takes.
    const pauses_max = 1000;

    var workers: [threads_max - 1]std.Thread = undefined;
    var worker_count: usize = 0;
    var stopping: bool = false;

    var job: Job = undefined;
    var next: std.atomic.Value(usize) = .init(0);
    /// Changes with every job; workers sleep on it.
    var generation: sys.Word = .init(0);
    /// Workers inside the job, and whether it may still be entered. The caller sleeps on it.
    var gate: sys.Word = .init(0);
    var sleepers: sys.Word = .init(0);
    threadlocal var inside = false;

    const Scratch = struct { memory: []align(64) u8 = &.{} };
    var scratches: [scratch_slots]Scratch = @splat(.{});

    pub fn threads() usize {
        return worker_count + 1;
    }

    /// Sets the number of threads, the calling one included; 0 means all cores. Between ops only.
    pub fn resize(count: u32) error{ThreadStart}!void {
        const want = std.math.clamp(if (count == 0) sys.cpuCount() else count, 1, threads_max) - 1;
        if (want == worker_count) return;
        stop();
        while (worker_count < want) {
            const seen = generation.load(.monotonic);
            workers[worker_count] = sys.spawn(serve, .{ worker_count + 1, seen }) catch {
                stop();
                return error.ThreadStart;
            };
            worker_count += 1;
        }
    }

    pub fn stop() void {
        stopping = true;
        _ = generation.fetchAdd(1, .release);
        sys.futexWake(&generation, threads_max);
        for (workers[0..worker_count]) |t| t.join();
        worker_count = 0;
        stopping = false;
    }

    pub fn run(n: usize, ctx: *const anyopaque, task: linkage.Task) void {
        if (n == 1 or worker_count == 0 or inside) {
            for (0..n) |i| {
                if (abi.library.isCancelled()) return;
                task(ctx, i, 0);
            }
            return;
        }
        job = .{ .n = n, .ctx = ctx, .task = task };
        next.store(0, .monotonic);
        gate.store(open_bit, .release);
        _ = generation.fetchAdd(1, .seq_cst);
        if (sleepers.load(.seq_cst) != 0) sys.futexWake(
            &generation,
            @intCast(@min(n - 1, worker_count)),
        );
        inside = true;
        drain(0);
        inside = false;
        var held = gate.fetchAnd(~open_bit, .acq_rel) & ~open_bit;
        var pauses: u32 = 0;
        while (held != 0) : (held = gate.load(.acquire)) {
            if (pauses < pauses_max) {
                pauses += 1;
                std.atomic.spinLoopHint();
            } else sys.futexWait(&gate, held);
        }
    }

    fn drain(worker: usize) void {
        const current = job;
        while (!abi.library.isCancelled()) {
            const i = next.fetchAdd(1, .monotonic);
            if (i >= current.n) return;
            current.task(current.ctx, i, worker);
        }
    }

    fn serve(worker: usize, first_seen: u32) void {
        inside = true;
        var seen = first_seen;
        while (true) {
            seen = awaitJob(seen);
            if (@atomicLoad(bool, &stopping, .acquire)) return;
            if (!enter()) continue;
            drain(worker);
            // The last one out of a closed job wakes the caller.
            if (gate.fetchSub(1, .acq_rel) == 1) sys.futexWake(&gate, 1);
        }
    }

    fn awaitJob(seen: u32) u32 {
        for (0..pauses_max) |_| {
            const now = generation.load(.acquire);
            if (now != seen) return now;
            std.atomic.spinLoopHint();
        }
        _ = sleepers.fetchAdd(1, .seq_cst);
        defer _ = sleepers.fetchSub(1, .seq_cst);
        while (true) {
            const now = generation.load(.seq_cst);
            if (now != seen) return now;
            sys.futexWait(&generation, seen);
        }
    }

    fn enter() bool {
        var g = gate.load(.acquire);
        while (g & open_bit != 0) {
            g = gate.cmpxchgWeak(g, g + 1, .acquire, .monotonic) orelse return true;
        }
        return false;
    }

    pub fn scratch(slot: u32, bytes: usize) ?[*]align(64) u8 {
        const s = &scratches[slot];
        if (s.memory.len < bytes) {
            const grown = std.mem.alignForward(usize, @max(bytes, 64 << 10), 64 << 10);
            std.heap.c_allocator.free(s.memory);
            s.memory = &.{};
            s.memory = std.heap.c_allocator.alignedAlloc(u8, .@"64", grown) catch return null;
        }
        return s.memory.ptr;
    }

    pub fn scratchBytes() u64 {
        var sum: u64 = 0;
        for (scratches) |s| sum += s.memory.len;
        return sum;
    }

    pub fn freeScratch() void {
        for (&scratches) |*s| {
            std.heap.c_allocator.free(s.memory);
            s.memory = &.{};
        }
    }
};

test "parallelFor runs every index once, on any number of threads" {
    const Sum = struct {
        hits: []std.atomic.Value(u32),
        fn add(s: @This(), i: usize) void {
            _ = s.hits[i].fetchAdd(1, .monotonic);
        }
    };
    var hits: [1000]std.atomic.Value(u32) = @splat(.init(0));
    defer library.stop();
    for ([_]u32{ 1, 2, 5 }, 1..) |count, round| {
        try library.resize(count);
        try std.testing.expectEqual(count, threads());
        for (0..200) |_| parallelFor(hits.len, Sum{ .hits = &hits }, Sum.add);
        for (&hits) |*h| try std.testing.expectEqual(200 * round, h.load(.monotonic));
    }
}

test "parallelRange covers the range in pieces of the grain" {
    const Mark = struct {
        seen: []u8,
        fn mark(m: @This(), from: usize, to: usize) void {
            std.debug.assert(to - from <= 7);
            for (m.seen[from..to]) |*x| x.* += 1;
        }
    };
    var seen: [100]u8 = @splat(0);
    try library.resize(3);
    defer library.stop();
    parallelRange(seen.len, 7, Mark{ .seen = &seen }, Mark.mark);
    for (seen) |x| try std.testing.expectEqual(1, x);
}

test "a cancelled parallelFor starts no further index" {
    const Never = struct {
        fn work(_: @This(), _: usize) void {
            unreachable;
        }
    };
    abi.library.setCancel(true);
    defer abi.library.setCancel(false);
    parallelFor(10, Never{}, Never.work);
}

test "scratch keeps its memory and grows" {
    defer library.freeScratch();
    const a = scratch(0, 100).?;
    try std.testing.expectEqual(a, scratch(0, 50).?);
    _ = scratch(0, 1 << 20).?;
    try std.testing.expect(library.scratchBytes() >= 1 << 20);
}
