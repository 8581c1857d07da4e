// libcuda.so.1, as far as offbeat and ONNX Runtime call it.
#include <cstdint>
#include <cstring>

#include "device.h"

using namespace fake_cuda;

namespace {
constexpr int kOutOfMemory = 2;

template <typename Address>
int allocated(Address* address, std::size_t n_bytes, Place place) {
  if (const int error = refuse_while_capturing("an allocation")) return error;
  void* const found = allocate(n_bytes, place);
  *address = (Address)found;
  return found ? 0 : kOutOfMemory;
}

int freed(void* address, Place place) {
  const int error = refuse_while_capturing("a release");
  return error ? error : release(address, place);
}

int copied(void* to, const void* from, std::size_t n_bytes, void* stream) {
  if (!is_known(to, n_bytes) || !is_known(from, n_bytes)) note("!! a copy outside of what was allocated");
  return enqueue(stream, "our copy", [=] { std::memcpy(to, from, n_bytes); });
}
}  // namespace

API int cuInit(unsigned) { return 0; }
API int cuDriverGetVersion(int* version) { return *version = 13000, 0; }
API int cuDeviceGetCount(int* count) { return *count = 1, 0; }
API int cuDeviceGet(int* device, int) { return *device = 0, 0; }
API int cuDevicePrimaryCtxRetain(void** context, int) { return *context = context, 0; }
API int cuCtxSetCurrent(void*) { return 0; }
API int cuGetErrorString(int, const char** text) { return *text = "refused by the stand-in", 0; }
API int cuStreamCreate(void** stream, unsigned) { return *stream = create_stream(), 0; }
API int cuStreamSynchronize(void* stream) { return wait_for(stream); }
API int cuStreamDestroy_v2(void* stream) { return destroy_stream(stream); }
API int cuMemAlloc_v2(std::uint64_t* address, std::size_t n_bytes) { return allocated(address, n_bytes, Place::kDevice); }
API int cuMemHostAlloc(void** address, std::size_t n_bytes, unsigned) { return allocated(address, n_bytes, Place::kHost); }
API int cuMemFree_v2(std::uint64_t address) { return freed((void*)address, Place::kDevice); }
API int cuMemFreeHost(void* address) { return freed(address, Place::kHost); }
API int cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t n_bytes, void* stream) {
  return copied((void*)to, from, n_bytes, stream);
}
API int cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t n_bytes, void* stream) {
  return copied(to, (const void*)from, n_bytes, stream);
}
