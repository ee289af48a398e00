//! Root of the kernel tests: every file with a test block is reachable from here. Paths stay inside kernels/.

test {
    _ = @import("abi.zig");
    _ = @import("pool.zig");
    _ = @import("cpu/cpu.zig");
}
