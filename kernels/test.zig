//! Root of the kernel tests: every file with a test block is reachable from here. Paths stay inside
//! kernels/.

test {
    _ = @import("abi.zig");
    _ = @import("pool.zig");
    _ = @import("arena.zig");
    _ = @import("files.zig");
    _ = @import("shape.zig");
    _ = @import("tensor.zig");
    _ = @import("api/overlap.zig");
    _ = @import("api/list.zig");
    _ = @import("cpu/cpu.zig");
    _ = @import("cpu/dispatch.zig");
    _ = @import("cpu/backend.zig");
}
