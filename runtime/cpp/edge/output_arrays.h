#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/result.h"
#include "offbeat/session.h"

namespace offbeat::edge {

/// One output of a model: its name, and its shape without the axis of windows.
struct OutputSpec {
  std::string name;
  std::vector<std::size_t> shape;

  [[nodiscard]] bool is_decision() const noexcept { return name == "is_anomaly"; }
  [[nodiscard]] std::size_t n_values() const noexcept;
};

/// The outputs that a model gives for windows of `n_steps`, in the order of docs/format.md.
std::vector<OutputSpec> available_outputs(const Session& session, std::size_t n_steps);

/// Those of these names, in the order of the names; an error names the one that the model does not have.
Result<std::vector<OutputSpec>> chosen_outputs(std::span<const OutputSpec> available, std::span<const std::string_view> names);

/// Memory for some outputs of up to so many windows.
class OutputArrays {
 public:
  OutputArrays(std::vector<OutputSpec> specs, std::size_t max_windows);

  [[nodiscard]] const std::vector<OutputSpec>& specs() const noexcept { return specs_; }
  /// Where the results of window `first` and of those behind it go.
  [[nodiscard]] Outputs from(std::size_t first) noexcept;
  /// The values of an output, all windows one after the other; a decision is 0 or 1.
  [[nodiscard]] float value(std::size_t output, std::size_t index) const noexcept;

 private:
  std::vector<OutputSpec> specs_;
  std::vector<std::unique_ptr<float[]>> values_;  // by output; null for the decision
  std::unique_ptr<bool[]> decisions_;
};

}  // namespace offbeat::edge
