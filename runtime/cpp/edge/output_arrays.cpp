#include "output_arrays.h"

#include <algorithm>
#include <utility>

namespace offbeat::edge {

namespace {

// Where Session::score takes an output of that name.
struct Place {
  std::string_view name;
  float* Outputs::*values;
};

constexpr Place places[] = {{"reconstruction_error", &Outputs::reconstruction_error},
                            {"anomaly_score", &Outputs::anomaly_score},
                            {"feature_error", &Outputs::feature_error},
                            {"step_error", &Outputs::step_error},
                            {"reconstruction", &Outputs::reconstruction},
                            {"error_std", &Outputs::error_std},
                            {"class_probability", &Outputs::class_probability},
                            {"forecast", &Outputs::forecast}};

}  // namespace

std::size_t OutputSpec::n_values() const noexcept {
  std::size_t n = 1;
  for (const std::size_t size : shape) n *= size;
  return n;
}

std::vector<OutputSpec> available_outputs(const Session& session, std::size_t n_steps) {
  const ModelShape& shape = session.shape();
  const std::size_t n_features = shape.n_features, n_output_steps = session.n_output_steps(n_steps);
  std::vector<OutputSpec> specs{{"reconstruction_error", {}}, {"anomaly_score", {}}, {"is_anomaly", {}}, {"feature_error", {n_features}}};
  if (shape.has_time) {
    specs.push_back({"step_error", {n_output_steps}});
    specs.push_back({"reconstruction", {n_output_steps, n_features}});
  } else {
    specs.push_back({"reconstruction", {n_features}});
  }
  if (shape.has_error_std) specs.push_back({"error_std", {}});
  if (shape.n_classes > 0) specs.push_back({"class_probability", {shape.n_classes}});
  if (shape.has_forecast) specs.push_back({"forecast", {n_steps, n_features}});
  return specs;
}

Result<std::vector<OutputSpec>> chosen_outputs(std::span<const OutputSpec> available, std::span<const std::string_view> names) {
  std::vector<OutputSpec> chosen;
  for (const std::string_view name : names) {
    const auto found = std::find_if(available.begin(), available.end(), [&](const OutputSpec& spec) { return spec.name == name; });
    if (found == available.end()) {
      std::string message = "this model gives no output '" + std::string(name) + "'; it gives";
      for (const OutputSpec& spec : available) message += " " + spec.name;
      return Error{message};
    }
    const bool is_twice = std::any_of(chosen.begin(), chosen.end(), [&](const OutputSpec& spec) { return spec.name == name; });
    if (is_twice) return Error{"output '" + std::string(name) + "' is asked for twice"};
    chosen.push_back(*found);
  }
  return chosen;
}

OutputArrays::OutputArrays(std::vector<OutputSpec> specs, std::size_t max_windows) : specs_(std::move(specs)) {
  for (const OutputSpec& spec : specs_) {
    values_.push_back(spec.is_decision() ? nullptr : std::make_unique<float[]>(spec.n_values() * max_windows));
    if (spec.is_decision()) decisions_ = std::make_unique<bool[]>(max_windows);
  }
}

Outputs OutputArrays::from(std::size_t first) noexcept {
  Outputs outputs;
  if (decisions_) outputs.is_anomaly = decisions_.get() + first;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    for (const Place& place : places) {
      if (place.name == specs_[i].name) outputs.*place.values = values_[i].get() + first * specs_[i].n_values();
    }
  }
  return outputs;
}

float OutputArrays::value(std::size_t output, std::size_t index) const noexcept {
  return values_[output] ? values_[output][index] : static_cast<float>(decisions_[index]);
}

}  // namespace offbeat::edge
