#pragma once

#include <cstddef>
#include <memory>

#include "offbeat/result.h"
#include "offbeat/session.h"
#include "plan.h"

namespace offbeat {

/// A plan compiled for one instruction set and precision: weights packed, constants folded, scratch laid out.
class Engine {
 public:
  /// Compiles a validated plan. The plan's tensors are only read here; the file may be unmapped afterwards.
  static Result<std::unique_ptr<const Engine>> compile(const Plan& plan, const SessionOptions& options);

  virtual ~Engine() = default;

  /// Bytes of scratch (64-byte aligned by the caller) that one scoring thread needs for windows of up to `time` steps.
  [[nodiscard]] virtual std::size_t n_workspace_bytes(std::size_t time) const noexcept = 0;

  /// Whether none of the values is NaN or infinite.
  [[nodiscard]] virtual bool all_finite(const float* values, std::size_t n_values) const noexcept = 0;

  /// Scores n windows; inputs have been checked against the model's shape.
  virtual void score(const float* windows, std::size_t n, std::size_t time, const Outputs& outputs, std::byte* workspace) const noexcept = 0;

  [[nodiscard]] virtual std::string_view isa() const noexcept = 0;
  /// Of most weights, never `stored`.
  [[nodiscard]] virtual Precision precision() const noexcept = 0;
};

}  // namespace offbeat
