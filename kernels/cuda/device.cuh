// The one door between kernels and the machine: a .cu file includes this and nothing else of a device.
// Compiled by nvcc the wrappers are PTX (ptx.cuh); compiled by a host compiler they are an emulation
// (emulate/host.h) in which a block's threads are fibres. Both offer the same names and meanings.
//   shared memory: one dynamic array per block, addressed by byte offset (u32); there is no other
//   global memory: raw pointers, reached only through load / store / copy_async16
//   collectives (sync_*, shuffle*, vote_*, ldmatrix*, mma*): all lanes of a warp, converged
#pragma once

#include "types.cuh"

#if defined(__CUDACC__)
#include "ptx.cuh"
#else
#include "emulate/host.h"
#endif

#include "numeric.cuh"

#include "hopper.cuh"
