#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

#include "offbeat/session.h"

namespace offbeat_python {

/// The axes behind the batch.
enum class Axes { row, feature, step, window, cls };

struct OutputKind {
  std::string_view name;
  Axes axes;
  float* offbeat::Outputs::*floats;  // null for is_anomaly
};

inline constexpr OutputKind output_kinds[] = {
    {"reconstruction_error", Axes::row, &offbeat::Outputs::reconstruction_error},
    {"anomaly_score", Axes::row, &offbeat::Outputs::anomaly_score},
    {"is_anomaly", Axes::row, nullptr},
    {"feature_error", Axes::feature, &offbeat::Outputs::feature_error},
    {"step_error", Axes::step, &offbeat::Outputs::step_error},
    {"reconstruction", Axes::window, &offbeat::Outputs::reconstruction},
    {"error_std", Axes::row, &offbeat::Outputs::error_std},
    {"class_probability", Axes::cls, &offbeat::Outputs::class_probability},
    {"forecast", Axes::window, &offbeat::Outputs::forecast},
};
inline constexpr std::size_t n_output_kinds = std::size(output_kinds);

/// Whether a model of that shape gives the output.
inline bool has_output(const offbeat::ModelShape& shape, std::string_view name) {
  if (name == "step_error") return shape.has_time;
  if (name == "error_std") return shape.has_error_std;
  if (name == "class_probability") return shape.n_classes > 0;
  if (name == "forecast") return shape.has_forecast;
  return true;
}

}  // namespace offbeat_python
