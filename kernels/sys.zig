//! The few things asked of the operating system directly: futex, a lock made of it, signal-free
//! threads. Linux only.

const std = @import("std");
const linux = std.os.linux;

pub const Word = std.atomic.Value(u32);

/// Sleeps while the word holds `expected`. May wake early: callers check their condition again.
pub fn futexWait(word: *const Word, expected: u32) void {
    _ = linux.futex_4arg(&word.raw, .{ .cmd = .WAIT, .private = true }, expected, null);
}

pub fn futexWake(word: *const Word, count: u32) void {
    _ = linux.futex_3arg(&word.raw, .{ .cmd = .WAKE, .private = true }, count);
}

/// 0 free, 1 held, 2 held and somebody sleeps.
pub const Mutex = struct {
    state: Word = .init(0),

    pub fn lock(m: *Mutex) void {
        if (m.state.cmpxchgStrong(0, 1, .acquire, .monotonic) == null) return;
        while (m.state.swap(2, .acquire) != 0) futexWait(&m.state, 2);
    }

    pub fn unlock(m: *Mutex) void {
        if (m.state.swap(0, .release) == 2) futexWake(&m.state, 1);
    }
};

/// Starts a thread that receives no signals: those belong to the host program's own threads.
pub fn spawn(comptime function: anytype, args: anytype) std.Thread.SpawnError!std.Thread {
    const all = linux.sigfillset();
    var old: linux.sigset_t = undefined;
    _ = linux.sigprocmask(linux.SIG.SETMASK, &all, &old);
    defer _ = linux.sigprocmask(linux.SIG.SETMASK, &old, null);
    return std.Thread.spawn(.{ .stack_size = 4 << 20 }, function, args);
}

/// Cores this process may run on, at least 1.
pub fn cpuCount() u32 {
    return @intCast(std.Thread.getCpuCount() catch 1);
}
