#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/result.h"
#include "plan.h"

namespace offbeat {

/// A tensor as it lies in the file, row-major, little-endian, aligned to its element.
struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;
};

/// "[2, 32]".
std::string describe_shape(std::span<const std::size_t> shape);

/// The name that safetensors has for it: "F32", "F16", "BF16", "I8".
std::string_view dtype_name(DType dtype) noexcept;
std::size_t dtype_bytes(DType dtype) noexcept;

/// A safetensors file, header checked in full: every byte behind the header belongs to exactly one tensor.
class SafetensorsFile {
 public:
  static constexpr std::size_t max_bytes = std::size_t{1} << 31;

  /// Checks the header. The tensors point into `content`, which must begin at a multiple of 4 bytes and outlive this.
  static Result<SafetensorsFile> parse(std::span<const std::byte> content);

  /// The tensor of that name; null where there is none.
  [[nodiscard]] const Tensor* find(std::string_view name) const noexcept;
  [[nodiscard]] std::span<const Tensor> tensors() const noexcept { return tensors_; }
  /// The layer plan as JSON text.
  [[nodiscard]] const std::string& plan() const noexcept { return plan_; }

 private:
  std::vector<Tensor> tensors_;  // sorted by name
  std::string plan_;
};

}  // namespace offbeat
