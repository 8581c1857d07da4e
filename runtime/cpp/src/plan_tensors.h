#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "plan.h"
#include "plan_fields.h"
#include "safetensors.h"

namespace offbeat {

/// The tensors that a plan names, each checked where it is used: dtype, shape, finite numbers.
class PlanTensors {
 public:
  PlanTensors(const SafetensorsFile& file, Problem& problem) : file_(file), problem_(problem), is_used_(file.tensors().size()) {}

  /// The F32 tensor [size] that the field `key` names.
  Vector vector(Fields& fields, std::string_view key, std::size_t size);
  /// The F32 tensor [n_rows, n_columns] that the field names, row by row.
  Vector rows(Fields& fields, std::string_view key, std::size_t n_rows, std::size_t n_columns);
  /// The F32 tensor [] that the field names.
  float scalar(Fields& fields, std::string_view key);
  /// The weight matrix [n_rows, n_columns] that the field names: F32, F16, BF16, or I8 with an F32 tensor `NAME.scale` [n_rows].
  Matrix matrix(Fields& fields, std::string_view key, std::size_t n_rows, std::size_t n_columns);

  /// To be called in the end: a tensor that nothing used is a problem.
  void refuse_unused();

 private:
  const Tensor* find(Fields& fields, std::string_view name, const std::vector<std::size_t>& shape);
  Vector floats(Fields& fields, const std::string& name, const std::vector<std::size_t>& shape);
  void check_finite(Fields& fields, const Tensor& tensor);

  const SafetensorsFile& file_;
  Problem& problem_;
  std::vector<bool> is_used_;
};

}  // namespace offbeat
