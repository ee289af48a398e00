// Rows of a table by id.
//   table [V, C]    ids [n] i32    out [n, C]    a bad id raises a flag instead of being read
#include "device.cuh"

struct EmbedArgs {
  Rows out, table;
  u64 ids;
  u64 bad;  // i32: 1 + the row of a bad id, or 0
  u32 rows, cols, vocabulary, pad;
};
constexpr u32 kEmbedThreads = 128;

FP_KERNEL(embed_kernel, EmbedArgs, kEmbedThreads, 4) {
  const u32 row = block_x();
  const i32 id = load<i32>(reinterpret_cast<const i32*>(args.ids) + row);
  if (id < 0 || static_cast<u32>(id) >= args.vocabulary) {
    if (thread_x() == 0) store(reinterpret_cast<i32*>(args.bad), static_cast<i32>(row + 1));
    return;
  }
  const u64 from = static_cast<u64>(id) * args.table.stride, to = row * args.out.stride;
  for (u32 c = thread_x(); c < args.cols; c += kEmbedThreads) {
    store_any(args.out.ptr, args.out.dtype, to + c,
              load_any(args.table.ptr, args.table.dtype, from + c));
  }
}
