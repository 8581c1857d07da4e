#include "tolerance.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace offbeat::edge {

namespace {

// Rounding to float32 in raw units: two units in the last place.
constexpr double raw_rounding = 2.0 * std::numeric_limits<float>::epsilon();
// A recurrent layer carries its rounding from step to step.
constexpr double recurrent_amplification = 100;

bool is_raw(std::string_view output) noexcept { return output == "reconstruction" || output == "forecast"; }

bool is_share_of_error(std::string_view output) noexcept {
  return output == "reconstruction_error" || output == "feature_error" || output == "step_error" || output == "error_std";
}

}  // namespace

Tolerance::Tolerance(const Golden& golden, const Manifest& manifest) : golden_(&golden), manifest_(&manifest), magnitudes_(golden.specs.size()) {
  for (std::size_t i = 0; i < golden.specs.size(); ++i) {
    if (golden.specs[i].name == "reconstruction_error") error_output_ = i;
    if (!is_raw(golden.specs[i].name)) continue;
    for (std::size_t row = 0; row < golden.n_windows; ++row) {
      magnitudes_[i].push_back(std::max({1.0, largest_normalised(golden.window, row), largest_normalised(golden.outputs[i], row)}));
    }
  }
}

double Tolerance::deviation(std::size_t output, std::size_t index, float seen) const noexcept {
  const NamedArray& golden = golden_->outputs[output];
  if (golden.is_bool) {
    const double near = manifest_->parity_bound * std::max(1.0, error(index));
    const bool may_differ = std::abs(error(index) - static_cast<double>(manifest_->threshold)) <= near;
    return (seen != 0) == (golden.flags[index] != 0) || may_differ ? 0 : std::numeric_limits<double>::infinity();
  }
  const float expected = golden.values[index];
  if (seen == expected) return 0;
  const double difference = std::abs(static_cast<double>(seen) - static_cast<double>(expected));
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return difference / allowed(output, index, static_cast<double>(expected));
}

double Tolerance::allowed(std::size_t output, std::size_t index, double golden) const noexcept {
  const double bound = manifest_->parity_bound;
  const OutputSpec& spec = golden_->specs[output];
  const std::size_t row = index / spec.n_values();
  if (is_share_of_error(spec.name)) return bound * std::max(1.0, error(row));
  if (spec.name == "anomaly_score") return bound * std::max(1.0, 0.5 / static_cast<double>(manifest_->threshold));
  if (!is_raw(spec.name)) return bound * std::max(1.0, std::abs(golden));
  const double scale = static_cast<double>(manifest_->scale[index % manifest_->scale.size()]);
  const double by_layers = bound * scale * magnitudes_[output][row] * (manifest_->has_time ? recurrent_amplification : 1.0);
  return std::max(by_layers, raw_rounding * std::abs(golden));
}

double Tolerance::error(std::size_t window) const noexcept { return static_cast<double>(golden_->outputs[error_output_].values[window]); }

double Tolerance::largest_normalised(const NamedArray& array, std::size_t window) const noexcept {
  const std::size_t n_features = manifest_->scale.size(), n_values = array.values.size() / golden_->n_windows;
  double largest = 0;
  for (std::size_t i = 0; i < n_values; ++i) {
    const double mean = static_cast<double>(manifest_->mean[i % n_features]), scale = static_cast<double>(manifest_->scale[i % n_features]);
    largest = std::max(largest, std::abs((static_cast<double>(array.values[window * n_values + i]) - mean) / scale));
  }
  return largest;
}

}  // namespace offbeat::edge
