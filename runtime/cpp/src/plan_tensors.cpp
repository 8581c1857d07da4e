#include "plan_tensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace offbeat {
namespace {

template <class T>
std::span<const T> elements(const Tensor& tensor) {
  static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");
  // The data are aligned to their elements: the file's reader has seen to that.
  return {reinterpret_cast<const T*>(tensor.data.data()), tensor.data.size() / sizeof(T)};
}

// Whether a number of that width has an exponent of all ones: NaN or infinity.
template <class Bits>
bool all_finite(const Tensor& tensor, Bits exponent) {
  // Read by value: a float may be looked at as bytes, not as an integer.
  const std::byte* data = tensor.data.data();
  for (std::size_t at = 0; at < tensor.data.size(); at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, data + at, sizeof(Bits));
    if ((bits & exponent) == exponent) return false;
  }
  return true;
}

bool is_finite(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32:
      return all_finite<std::uint32_t>(tensor, 0x7F800000);
    case DType::f16:
      return all_finite<std::uint16_t>(tensor, 0x7C00);
    case DType::bf16:
      return all_finite<std::uint16_t>(tensor, 0x7F80);
    case DType::i8:
      break;
  }
  return true;
}

std::string in_quotes(std::string_view name) {
  std::string text(1, '\'');
  text += name;
  text += '\'';
  return text;
}

}  // namespace

Vector PlanTensors::vector(Fields& fields, std::string_view key, std::size_t size) { return floats(fields, fields.text(key), {size}); }

Vector PlanTensors::rows(Fields& fields, std::string_view key, std::size_t n_rows, std::size_t n_columns) {
  return floats(fields, fields.text(key), {n_rows, n_columns});
}

float PlanTensors::scalar(Fields& fields, std::string_view key) {
  const Vector value = floats(fields, fields.text(key), {});
  return value.empty() ? 0 : value.front();
}

Matrix PlanTensors::matrix(Fields& fields, std::string_view key, std::size_t n_rows, std::size_t n_columns) {
  const std::string name = fields.text(key);
  const Tensor* tensor = find(fields, name, {n_rows, n_columns});
  if (tensor == nullptr) return {};
  check_finite(fields, *tensor);
  Matrix matrix{tensor->data.data(), tensor->dtype, n_rows, n_columns};
  if (tensor->dtype == DType::i8) {
    const std::span<const std::int8_t> weights = elements<std::int8_t>(*tensor);
    if (std::find(weights.begin(), weights.end(), std::int8_t{-128}) != weights.end()) {
      fields.wrong("tensor " + in_quotes(name) + " holds -128; expected -127 to 127");
    }
    matrix.row_scale = floats(fields, name + ".scale", {n_rows});
    if (std::any_of(matrix.row_scale.begin(), matrix.row_scale.end(), [](float scale) { return scale < 0; })) {
      fields.wrong("tensor " + in_quotes(name + ".scale") + " holds a number below 0");
    }
  }
  return matrix;
}

void PlanTensors::refuse_unused() {
  for (std::size_t index = 0; index < is_used_.size(); ++index) {
    if (!is_used_[index]) problem_.note("plan", "nothing uses the tensor " + in_quotes(file_.tensors()[index].name));
  }
}

const Tensor* PlanTensors::find(Fields& fields, std::string_view name, const std::vector<std::size_t>& shape) {
  if (!problem_.none()) return nullptr;
  const Tensor* tensor = file_.find(name);
  if (tensor == nullptr) {
    fields.wrong("there is no tensor " + in_quotes(name));
    return nullptr;
  }
  is_used_[static_cast<std::size_t>(tensor - file_.tensors().data())] = true;
  if (tensor->shape != shape) {
    fields.wrong("tensor " + in_quotes(name) + " has shape " + describe_shape(tensor->shape) + "; expected " + describe_shape(shape));
    return nullptr;
  }
  return tensor;
}

Vector PlanTensors::floats(Fields& fields, const std::string& name, const std::vector<std::size_t>& shape) {
  const Tensor* tensor = find(fields, name, shape);
  if (tensor == nullptr) return {};
  if (tensor->dtype != DType::f32) {
    fields.wrong("tensor " + in_quotes(name) + " is " + std::string(dtype_name(tensor->dtype)) + "; expected F32");
    return {};
  }
  check_finite(fields, *tensor);
  return elements<float>(*tensor);
}

void PlanTensors::check_finite(Fields& fields, const Tensor& tensor) {
  if (!is_finite(tensor)) fields.wrong("tensor " + in_quotes(tensor.name) + " holds NaN or infinity");
}

}  // namespace offbeat
