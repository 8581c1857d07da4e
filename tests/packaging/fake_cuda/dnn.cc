// libcudnn.so.9, as far as ONNX Runtime calls it for these models: recurrent layers, and sums over an axis.
#include <algorithm>
#include <cstdint>

#include "device.h"

using fake_cuda::enqueue;
using fake_cuda::note;

namespace {
constexpr int kFmaMath = 3;  // CUDNN_FMA_MATH: no TF32
constexpr int kDimensions = 8;

struct Handle {
  void* stream = nullptr;
};
struct Tensor {
  int type = 0, n_dimensions = 0, sizes[kDimensions] = {}, strides[kDimensions] = {};
};
struct Layer {
  std::int64_t input = 0, hidden = 0;
  bool is_bidirectional = false;
};
struct Other {};

void set_packed(Tensor& tensor, int rows, int columns) {
  tensor = {.n_dimensions = 3, .sizes = {1, rows, columns}, .strides = {rows * columns, columns, 1}};
}

template <typename Type>
int made(void** place) {
  return *place = new Type, 0;
}
template <typename Type>
int deleted(void* place) {
  return delete static_cast<Type*>(place), 0;
}
}  // namespace

API std::size_t cudnnGetVersion() { return 92800; }
API const char* cudnnGetErrorString(int) { return "refused by the stand-in"; }
API int cudnnCreate(void** handle) { return made<Handle>(handle); }
API int cudnnDestroy(void* handle) { return deleted<Handle>(handle); }
API int cudnnSetStream(void* handle, void* stream) { return static_cast<Handle*>(handle)->stream = stream, 0; }
API int cudnnGetStream(void* handle, void** stream) { return *stream = static_cast<Handle*>(handle)->stream, 0; }

API int cudnnCreateTensorDescriptor(void** made_here) { return made<Tensor>(made_here); }
API int cudnnDestroyTensorDescriptor(void* tensor) { return deleted<Tensor>(tensor); }
API int cudnnSetTensorNdDescriptor(void* place, int type, int n, const int* sizes, const int* strides) {
  auto& tensor = *static_cast<Tensor*>(place);
  tensor = {.type = type, .n_dimensions = n};
  std::copy_n(sizes, n, tensor.sizes);
  std::copy_n(strides, n, tensor.strides);
  return 0;
}
API int cudnnGetTensorNdDescriptor(void* place, int n_wanted, int* type, int* n, int* sizes, int* strides) {
  const auto& tensor = *static_cast<Tensor*>(place);
  *type = tensor.type;
  *n = tensor.n_dimensions;
  std::copy_n(tensor.sizes, n_wanted, sizes);
  std::copy_n(tensor.strides, n_wanted, strides);
  return 0;
}
API int cudnnCreateFilterDescriptor(void** place) { return made<Other>(place); }
API int cudnnDestroyFilterDescriptor(void* place) { return deleted<Other>(place); }
API int cudnnSetFilterNdDescriptor(void*, int, int, int, const int*) { return 0; }
API int cudnnCreateDropoutDescriptor(void** place) { return made<Other>(place); }
API int cudnnDestroyDropoutDescriptor(void* place) { return deleted<Other>(place); }
API int cudnnDropoutGetStatesSize(void*, std::size_t* n_bytes) { return *n_bytes = 1024, 0; }
API int cudnnSetDropoutDescriptor(void*, void*, float, void*, std::size_t, unsigned long long) { return 0; }

API int cudnnCreateRNNDataDescriptor(void** place) { return made<Other>(place); }
API int cudnnDestroyRNNDataDescriptor(void* place) { return deleted<Other>(place); }
API int cudnnSetRNNDataDescriptor(void*, int, int, int, int, int, const int*, void*) { return 0; }
API int cudnnCreateRNNDescriptor(void** place) { return made<Layer>(place); }
API int cudnnDestroyRNNDescriptor(void* place) { return deleted<Layer>(place); }
API int cudnnSetRNNDescriptor_v8(void* place, int, int, int, int directions, int, int, int, int math, int input,
                                 int hidden, int, int, void*, unsigned) {
  *static_cast<Layer*>(place) = {input, hidden, directions != 0};
  if (math != kFmaMath) note("!! recurrent layers may round to TF32");
  return 0;
}
API int cudnnGetRNNTempSpaceSizes(void*, void*, int, void*, std::size_t* workspace, std::size_t* reserved) {
  *workspace = std::size_t{1} << 20;
  *reserved = 0;
  return 0;
}
// An LSTM has four matrices for its input and four for its state, each with a bias, which lie behind all matrices here.
API int cudnnGetRNNWeightParams(void*, void* place, int direction, std::size_t n_bytes, const void* space, int number,
                                void* matrix, void** matrix_address, void* bias, void** bias_address) {
  const auto& layer = *static_cast<Layer*>(place);
  const auto hidden = layer.hidden, input = layer.input, of_direction = 4 * hidden * (input + hidden);
  const auto of_input = std::min(number, 4) * hidden * input, of_state = std::max(number - 4, 0) * hidden * hidden;
  auto* const first = static_cast<float*>(const_cast<void*>(space));
  *matrix_address = first + direction * of_direction + of_input + of_state;
  float* const bias_at = first + (layer.is_bidirectional ? 2 : 1) * of_direction + (8 * direction + number) * hidden;
  *bias_address = bias_at;
  if (reinterpret_cast<char*>(bias_at + hidden) > reinterpret_cast<char*>(first) + n_bytes)
    note("!! weights lie outside of their space");
  set_packed(*static_cast<Tensor*>(matrix), hidden, number < 4 ? input : hidden);
  set_packed(*static_cast<Tensor*>(bias), hidden, 1);
  return 0;
}
API int cudnnRNNForward(void* handle, ...) { return enqueue(static_cast<Handle*>(handle)->stream, "cudnnRNNForward"); }

API int cudnnCreateReduceTensorDescriptor(void** place) { return made<Other>(place); }
API int cudnnDestroyReduceTensorDescriptor(void* place) { return deleted<Other>(place); }
API int cudnnSetReduceTensorDescriptor(void*, int, int, int, int, int) { return 0; }
API int cudnnGetReductionIndicesSize(void*, void*, void*, void*, std::size_t* n_bytes) { return *n_bytes = 256, 0; }
API int cudnnGetReductionWorkspaceSize(void*, void*, void*, void*, std::size_t* n_bytes) { return *n_bytes = 256, 0; }
API int cudnnReduceTensor(void* handle, ...) { return enqueue(static_cast<Handle*>(handle)->stream, "cudnnReduceTensor"); }
