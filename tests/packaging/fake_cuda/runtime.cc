// libcudart.so.13, as far as ONNX Runtime calls it for these models. Structures are NVIDIA's.
#include <driver_types.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "device.h"

using namespace fake_cuda;

namespace {
constexpr std::size_t kMemory = std::size_t{80} << 30;
constexpr int kMajor = 9;  // of an H100, as all of this
constexpr int kProcessors = 132;
thread_local int last_error = 0;

struct Launch {
  unsigned grid[3], block[3];
  std::size_t shared;
  void* stream;
};
thread_local std::vector<Launch> launches;

std::map<const void*, const char*>& kernels() {
  static auto* const made = new std::map<const void*, const char*>;
  return *made;
}

int told(int error) {
  if (error) last_error = error;
  return error;
}

int allocated(void** address, std::size_t n_bytes, Place place) {
  if (const int error = refuse_while_capturing("an allocation")) return told(error);
  *address = allocate(n_bytes, place);
  return told(*address ? 0 : cudaErrorMemoryAllocation);
}

int freed(void* address, Place place) {
  const int error = refuse_while_capturing("a release");
  return told(error ? error : release(address, place));
}

int launched(const void* kernel, void* stream) {
  const auto found = kernels().find(kernel);
  return told(enqueue(stream, std::string("kernel ") + (found == kernels().end() ? "?" : found->second)));
}
}  // namespace

struct Dimensions {
  unsigned x, y, z;
};

API int cudaGetDeviceCount(int* count) { return *count = 1, 0; }
API int cudaGetDevice(int* device) { return *device = 0, 0; }
API int cudaSetDevice(int) { return 0; }
API int cudaDriverGetVersion(int* version) { return *version = 13000, 0; }
API int cudaRuntimeGetVersion(int* version) { return *version = 13000, 0; }
API int cudaGetLastError() {
  const int error = last_error;
  last_error = 0;
  return error;
}
API int cudaPeekAtLastError() { return last_error; }
API const char* cudaGetErrorName(int) { return "refused"; }
API const char* cudaGetErrorString(int) { return "refused by the stand-in"; }

API int cudaGetDeviceProperties(cudaDeviceProp* found, int) {
  *found = {};
  std::strcpy(found->name, "stand-in");
  found->totalGlobalMem = kMemory;
  found->major = kMajor;
  found->multiProcessorCount = kProcessors;
  found->warpSize = 32;
  found->maxThreadsPerBlock = 1024;
  found->maxThreadsPerMultiProcessor = 2048;
  found->sharedMemPerBlock = 49152;
  found->sharedMemPerBlockOptin = 232448;
  found->sharedMemPerMultiprocessor = 233472;
  found->regsPerBlock = found->regsPerMultiprocessor = 65536;
  for (int axis = 0; axis < 3; ++axis) {
    found->maxThreadsDim[axis] = 1024;
    found->maxGridSize[axis] = 65535;
  }
  return 0;
}
API int cudaDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: return *value = kMajor, 0;
    case cudaDevAttrComputeCapabilityMinor: return *value = 0, 0;
    case cudaDevAttrMultiProcessorCount: return *value = kProcessors, 0;
    case cudaDevAttrMaxThreadsPerBlock: return *value = 1024, 0;
    default: return *value = 1, 0;
  }
}
API int cudaDeviceSynchronize() { return told(refuse_while_capturing("a wait for the device")); }

API int cudaMemGetInfo(std::size_t* free, std::size_t* total) { return *free = *total = kMemory, 0; }
API int cudaMalloc(void** address, std::size_t n_bytes) { return allocated(address, n_bytes, Place::kDevice); }
API int cudaMallocHost(void** address, std::size_t n_bytes) { return allocated(address, n_bytes, Place::kHost); }
API int cudaHostAlloc(void** address, std::size_t n_bytes, unsigned) { return allocated(address, n_bytes, Place::kHost); }
API int cudaFree(void* address) { return freed(address, Place::kDevice); }
API int cudaFreeHost(void* address) { return freed(address, Place::kHost); }
API int cudaPointerGetAttributes(cudaPointerAttributes* found, const void* address) {
  *found = {};
  Place place{};
  if (find_place(address, place)) found->type = place == Place::kDevice ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
  found->devicePointer = found->hostPointer = const_cast<void*>(address);
  return 0;
}
API int cudaMemcpy(void* to, const void* from, std::size_t n_bytes, int) {
  if (const int error = refuse_while_capturing("a copy that is waited for")) return told(error);
  std::memcpy(to, from, n_bytes);
  return 0;
}
API int cudaMemcpyAsync(void* to, const void* from, std::size_t n_bytes, int kind, void* stream) {
  const void* const host = kind == cudaMemcpyHostToDevice ? from : kind == cudaMemcpyDeviceToHost ? to : nullptr;
  if (host && is_capturing(stream) && !is_known(host, n_bytes)) note("!! a graph would copy from or to unpinned memory");
  return told(enqueue(stream, "copy", [=] {
    const void* const device = kind == cudaMemcpyDeviceToHost ? from : to;
    if (!is_known(device, n_bytes)) note("!! a copy to or from memory of the device that is not there");
    std::memcpy(to, from, n_bytes);
  }));
}
API int cudaMemset(void* address, int value, std::size_t n_bytes) {
  if (const int error = refuse_while_capturing("a fill that is waited for")) return told(error);
  std::memset(address, value, n_bytes);
  return 0;
}
API int cudaMemsetAsync(void* address, int value, std::size_t n_bytes, void* stream) {
  return told(enqueue(stream, "fill", [=] { std::memset(address, value, n_bytes); }));
}

API int cudaStreamCreate(void** stream) { return *stream = create_stream(), 0; }
API int cudaStreamCreateWithFlags(void** stream, unsigned) { return *stream = create_stream(), 0; }
API int cudaStreamDestroy(void* stream) { return told(destroy_stream(stream)); }
API int cudaStreamSynchronize(void* stream) { return told(wait_for(stream)); }
API int cudaStreamWaitEvent(void* stream, void*, unsigned) { return told(enqueue(stream, "event")); }
API int cudaStreamIsCapturing(void* stream, int* status) { return *status = is_capturing(stream), 0; }
API int cudaStreamBeginCapture(void* stream, int) { return told(begin_capture(stream)); }
API int cudaStreamEndCapture(void* stream, void** graph) { return told(end_capture(stream, graph)); }
API int cudaGraphInstantiate(void** made, void* graph, unsigned long long) { return *made = copy_graph(graph), 0; }
API int cudaGraphDestroy(void* graph) { return delete_graph(graph), 0; }
API int cudaGraphExecDestroy(void* graph) { return delete_graph(graph), 0; }
API int cudaGraphLaunch(void* graph, void* stream) { return told(launch_graph(graph, stream)); }
API int cudaLaunchHostFunc(void* stream, void (*function)(void*), void* argument) {
  return told(enqueue(stream, "host function", [=] { function(argument); }));
}

API int cudaEventCreate(void** event) { return *event = new char, 0; }
API int cudaEventCreateWithFlags(void** event, unsigned) { return *event = new char, 0; }
API int cudaEventDestroy(void* event) { return delete static_cast<char*>(event), 0; }
API int cudaEventRecord(void*, void* stream) { return told(enqueue(stream, "event")); }
API int cudaEventSynchronize(void*) { return told(refuse_while_capturing("a wait for an event")); }

API void** __cudaRegisterFatBinary(void*) {
  static void* registered[1];
  return registered;
}
API void __cudaRegisterFatBinaryEnd(void**) {}
API void __cudaUnregisterFatBinary(void**) {}
API void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}
API void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*, void*, void*, int*) {
  kernels()[host] = name;
}
API int __cudaGetKernel(const void** kernel, const void* host) { return *kernel = host, 0; }
API unsigned __cudaPushCallConfiguration(Dimensions grid, Dimensions block, std::size_t shared, void* stream) {
  launches.push_back({{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, stream});
  return 0;
}
API int __cudaPopCallConfiguration(Dimensions* grid, Dimensions* block, std::size_t* shared, void** stream) {
  const Launch last = launches.back();
  launches.pop_back();
  *grid = {last.grid[0], last.grid[1], last.grid[2]};
  *block = {last.block[0], last.block[1], last.block[2]};
  *shared = last.shared;
  *stream = last.stream;
  return 0;
}
API int cudaLaunchKernel(const void* kernel, Dimensions, Dimensions, void**, std::size_t, void* stream) {
  return launched(kernel, stream);
}
API int __cudaLaunchKernel(const void* kernel, Dimensions, Dimensions, void**, std::size_t, void* stream) {
  return launched(kernel, stream);
}
API int cudaFuncGetAttributes(cudaFuncAttributes* found, const void*) {
  *found = {};
  found->maxThreadsPerBlock = 1024;
  return 0;
}
API int cudaFuncSetAttribute(const void*, int, int) { return 0; }
API int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* count, const void*, int, std::size_t, unsigned) {
  return *count = 1, 0;
}
