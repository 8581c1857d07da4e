// libcublas.so.13 and libcublasLt.so.13, as far as ONNX Runtime calls them for these models.
#include "device.h"

using fake_cuda::enqueue;
using fake_cuda::note;

namespace {
constexpr int kTf32 = 3;  // CUBLAS_TF32_TENSOR_OP_MATH

struct Handle {
  void* stream = nullptr;
  int math_mode = 0;
};

int computed(void* handle, const char* name) {
  const auto* const found = static_cast<Handle*>(handle);
  if ((found->math_mode & 15) == kTf32) note("!! products are rounded to TF32");
  return enqueue(found->stream, name);
}
}  // namespace

API int cublasCreate_v2(void** handle) { return *handle = new Handle, 0; }
API int cublasDestroy_v2(void* handle) { return delete static_cast<Handle*>(handle), 0; }
API int cublasSetStream_v2(void* handle, void* stream) { return static_cast<Handle*>(handle)->stream = stream, 0; }
API int cublasGetMathMode(void* handle, int* mode) { return *mode = static_cast<Handle*>(handle)->math_mode, 0; }
API int cublasSetMathMode(void* handle, int mode) { return static_cast<Handle*>(handle)->math_mode = mode, 0; }
API int cublasSgeam(void* handle, ...) { return computed(handle, "cublasSgeam"); }
API int cublasSgemm_v2(void* handle, ...) { return computed(handle, "cublasSgemm"); }
API int cublasSgemmBatched(void* handle, ...) { return computed(handle, "cublasSgemmBatched"); }
API int cublasSgemmStridedBatched(void* handle, ...) { return computed(handle, "cublasSgemmStridedBatched"); }
API int cublasGemmEx(void* handle, ...) { return computed(handle, "cublasGemmEx"); }
API int cublasLtCreate(void** handle) { return *handle = new Handle, 0; }
API int cublasLtDestroy(void* handle) { return delete static_cast<Handle*>(handle), 0; }
