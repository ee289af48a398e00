//! Which backend runs, behind the one lock that every exported function but the cancel flag takes.
//! An op holds the lock until it is done or queued, so calls from several threads follow each
//! other.

const std = @import("std");
const api = @import("backend.zig");
const abi = @import("abi.zig");
const arena = @import("arena.zig");
const backends = @import("backends.zig");
const files = @import("files.zig");
const sys = @import("sys.zig");
const tensor = @import("tensor.zig");
const Status = api.Status;

pub var mutex: sys.Mutex = .{};
var running: ?*const api.Backend = null;
var running_ops: *const api.Ops = undefined;

pub fn current() ?*const api.Backend {
    return running;
}

pub fn ops() *const api.Ops {
    return running_ops;
}

pub fn start(kind: u32, config: api.Config) Status {
    if (kind >= backends.list.len) {
        return abi.fail(
            .bad_argument,
            "init: backend {d} is none of 0 cpu, 1 cuda, 2 emulated",
            .{kind},
        );
    }
    const next = backends.list[kind] orelse return abi.fail(
        .unsupported,
        "init: this library was built without the {s} backend",
        .{backends.names[kind]},
    );
    if (running != null and tensor.liveCount() > 0) {
        return abi.fail(
            .bad_argument,
            "init: {d} tensors of the running backend live",
            .{tensor.liveCount()},
        );
    }
    stop();
    const status = next.start(config);
    if (status != .ok) return status;
    running = next;
    running_ops = next.ops();
    arena.start(&next.memory, config.budget);
    return .ok;
}

/// Frees every tensor and file and stops the backend.
pub fn stop() void {
    const backend = running orelse return;
    _ = backend.memory.sync();
    tensor.freeAll();
    files.closeAll();
    arena.stop();
    backend.stop();
    running = null;
}
