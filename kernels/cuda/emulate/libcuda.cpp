// A libcuda for tests: the driver's functions that the cuda backend calls, with one device whose
// memory is the host's and whose kernels are emulated. Asynchronous copies land at the next
// synchronisation, so that a missing one shows.
#include <stdlib.h>
#include <string.h>

#include "hopper.h"

extern "C" const void* fp_emu_kernel(const char* name);
extern "C" u32 fp_emu_args_size(const void* kernel);
extern "C" u32 fp_emu_launch(const void* kernel, const u32* grid, u32 threads, u32 shared,
                             const void* args, u32 args_size, u32 workers, char* text,
                             u32 text_max);
extern "C" void fp_emu_ranges(const emu::Range* list, u32 count);

#define FP_CU extern "C" __attribute__((visibility("default"))) int

namespace {

enum : int { kOk = 0, kInvalid = 1, kNoMemory = 2, kNotFound = 500, kIllegalAddress = 700 };
constexpr u32 kRangesMax = 1 << 16;
constexpr u64 kBytes = 4ull << 30;

emu::Range ranges[kRangesMax];
u32 ranges_len;
u64 used;
int current_context;  // its address is the context
bool is_current;
char fault[1024];

struct Copy {
  void* dst;
  void* bytes;
  u64 count;
};
Copy copies[64];
u32 copies_len;

// Kernels that may use more shared memory than every kernel may, and how much.
emu::Range raised[1 << 12];
u32 raised_len;

bool may_use(const void* kernel, u32 shared) {
  if (shared <= 48 << 10) return true;
  for (u32 i = 0; i < raised_len; i++)
    if (raised[i].from == reinterpret_cast<u64>(kernel) && raised[i].bytes >= shared) return true;
  return false;
}

// Queued copies from the device land when somebody waits.
void land() {
  for (u32 i = 0; i < copies_len; i++) {
    memcpy(copies[i].dst, copies[i].bytes, copies[i].count);
    free(copies[i].bytes);
  }
  copies_len = 0;
}

bool is_inside(u64 p, u64 bytes) {
  for (u32 i = 0; i < ranges_len; i++)
    if (p - ranges[i].from < ranges[i].bytes && ranges[i].bytes - (p - ranges[i].from) >= bytes)
      return true;
  return false;
}

}  // namespace

FP_CU cuInit(u32 flags) { return flags == 0 ? kOk : kInvalid; }
FP_CU cuDriverGetVersion(int* v) { return *v = 13000, kOk; }
FP_CU cuGetErrorName(int e, const char** name) {
  *name = e == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : e == kNoMemory     ? "CUDA_ERROR_OUT_OF_MEMORY"
                               : "CUDA_ERROR";
  return kOk;
}
FP_CU cuGetErrorString(int e, const char** words) {
  *words = e == kIllegalAddress ? fault : "refused by the emulated driver";
  return kOk;
}
FP_CU cuDeviceGetCount(int* n) {
  // As the driver does, this one shows no device when it is told to show none.
  const char* visible = getenv("CUDA_VISIBLE_DEVICES");
  *n = visible && *visible == 0 ? 0 : 1;
  return kOk;
}
FP_CU cuDeviceGet(int* device, int index) { return *device = index, index == 0 ? kOk : kInvalid; }
FP_CU cuDeviceGetName(char* name, int length, int) {
  strncpy(name, "Emulated GPU", static_cast<u64>(length));
  return kOk;
}
FP_CU cuDeviceTotalMem_v2(u64* bytes, int) { return *bytes = kBytes, kOk; }
FP_CU cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75   ? 9
           : attribute == 76 ? 0
           : attribute == 16 ? 132
           : attribute == 97 ? 227 << 10
                             : -1;
  return *value < 0 ? kInvalid : kOk;
}
FP_CU cuDevicePrimaryCtxRetain(void** context, int) { return *context = &current_context, kOk; }
FP_CU cuDevicePrimaryCtxRelease_v2(int) { return is_current = false, kOk; }
FP_CU cuCtxSetCurrent(void* context) {
  if (context != &current_context) return kInvalid;
  is_current = true;
  return kOk;
}
FP_CU cuMemGetInfo_v2(u64* left, u64* all) { return *left = kBytes - used, *all = kBytes, kOk; }

FP_CU cuMemAlloc_v2(u64* out, u64 bytes) {
  if (!is_current) return kInvalid;
  if (used + bytes > kBytes || ranges_len == kRangesMax) return kNoMemory;
  void* p = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!p) return kNoMemory;
  memset(p, 0xff, bytes);
  *out = reinterpret_cast<u64>(p);
  ranges[ranges_len++] = {*out, bytes};
  used += bytes;
  return kOk;
}
FP_CU cuMemFree_v2(u64 p) {
  for (u32 i = 0; i < ranges_len; i++) {
    if (ranges[i].from != p) continue;
    used -= ranges[i].bytes;
    ranges[i] = ranges[--ranges_len];
    free(reinterpret_cast<void*>(p));
    return kOk;
  }
  return kInvalid;
}
FP_CU cuMemHostAlloc(void** out, u64 bytes, u32) {
  return (*out = malloc(bytes)) ? kOk : kNoMemory;
}
FP_CU cuMemFreeHost(void* p) { return free(p), kOk; }
FP_CU cuMemcpyHtoDAsync_v2(u64 dst, const void* src, u64 bytes, void* stream) {
  if (!stream || !is_inside(dst, bytes)) return kInvalid;
  memcpy(reinterpret_cast<void*>(dst), src, bytes);
  return kOk;
}
FP_CU cuMemcpyDtoHAsync_v2(void* dst, u64 src, u64 bytes, void* stream) {
  if (!stream || !is_inside(src, bytes) || copies_len == 64) return kInvalid;
  void* held = malloc(bytes);
  memcpy(held, reinterpret_cast<void*>(src), bytes);
  copies[copies_len++] = {dst, held, bytes};
  return kOk;
}

FP_CU cuStreamCreate(void** stream, u32) { return *stream = malloc(1), kOk; }
FP_CU cuStreamDestroy_v2(void* stream) { return free(stream), kOk; }
FP_CU cuStreamSynchronize(void* stream) {
  if (!stream) return kInvalid;
  land();
  return fault[0] ? kIllegalAddress : kOk;
}
FP_CU cuEventCreate(void** event, u32) { return *event = malloc(1), kOk; }
FP_CU cuEventDestroy_v2(void* event) { return free(event), kOk; }
FP_CU cuEventRecord(void* event, void* stream) { return event && stream ? kOk : kInvalid; }
FP_CU cuEventSynchronize(void* event) { return event ? kOk : kInvalid; }

FP_CU cuTensorMapEncodeTiled(emu::Map* map, int dtype, u32 rank, u64 p, const u64* dims,
                             const u64* strides, const u32* box, const u32* element_strides,
                             int interleave, int swizzle, int promotion, int fill) {
  if ((dtype != 6 && dtype != 9) || rank < 2 || rank > 3 || p % 16 != 0 || interleave != 0 ||
      swizzle != 3 || promotion < 0 || promotion > 3 || fill != 0)
    return kInvalid;
  *map = {emu::kMapMagic, p, {1, 1, 1}, {0, 0}, {1, 1, 1}, rank};
  for (u32 i = 0; i < rank; i++) {
    if (dims[i] == 0 || dims[i] > 1ull << 32 || box[i] == 0 || box[i] > 256 ||
        element_strides[i] != 1)
      return kInvalid;
    map->dims[i] = dims[i];
    map->box[i] = box[i];
    if (i == 0) continue;
    if (strides[i - 1] == 0 || strides[i - 1] % 16 != 0 || strides[i - 1] >= 1ull << 40)
      return kInvalid;
    map->strides[i - 1] = strides[i - 1];
  }
  return box[0] * 2 <= 128 ? kOk : kInvalid;
}

// The emulator knows its kernels by name; the code that is loaded only has to be there.
FP_CU cuModuleLoadData(void** module, const void* code) {
  *module = const_cast<void*>(code);
  return code ? kOk : kInvalid;
}
FP_CU cuModuleUnload(void* module) { return module ? kOk : kInvalid; }
FP_CU cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = const_cast<void*>(fp_emu_kernel(name));
  return module && *function ? kOk : kNotFound;
}
FP_CU cuFuncSetAttribute(void* function, int attribute, int value) {
  if (!function || attribute != 8 || value > 227 << 10 || raised_len == 1 << 12) return kInvalid;
  if (may_use(function, static_cast<u32>(value))) return kOk;
  raised[raised_len++] = {reinterpret_cast<u64>(function), static_cast<u64>(value)};
  return kOk;
}
FP_CU cuLaunchKernel(void* function, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared,
                     void* stream, void** params, void** extra) {
  if (!function || !stream || !params || extra || by != 1 || bz != 1) return kInvalid;
  if (!may_use(function, shared)) return kInvalid;
  const u32 grid[3] = {gx, gy, gz};
  fp_emu_ranges(ranges, ranges_len);
  const u32 n = fp_emu_launch(function, grid, bx, shared, params[0], fp_emu_args_size(function), 2,
                              fault, sizeof fault - 1);
  fault[n] = 0;
  return kOk;
}
