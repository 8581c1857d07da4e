#include "golden.h"

#include <algorithm>
#include <cmath>

#include "tolerance.h"

namespace offbeat::edge {

namespace {

constexpr std::string_view window_name = "window";
// Two divisions in float32, of numbers up to 1.
constexpr double score_rounding = 1e-5;

Error refusal(std::string_view where, const std::string& what) { return Error{std::string(where) + ": " + what}; }

// Takes the array of that name out of the archive's arrays; the shape is checked, without and with the axis of windows.
Result<NamedArray> take(std::vector<NamedArray>& arrays, std::string_view name, std::vector<std::size_t> shape, bool is_bool,
                        std::string_view where) {
  const auto found = std::find_if(arrays.begin(), arrays.end(), [&](const NamedArray& array) { return array.name == name; });
  if (found == arrays.end()) return refusal(where, "holds no " + std::string(name));
  NamedArray array = std::move(*found);
  arrays.erase(found);
  const NamedArray expected{.name = {}, .is_bool = is_bool, .shape = std::move(shape), .values = {}, .flags = {}};
  if (array.is_bool != is_bool || array.shape != expected.shape) {
    return refusal(where, std::string(name) + " is " + array.describe() + "; expected " + expected.describe());
  }
  const bool is_finite = std::all_of(array.values.begin(), array.values.end(), [](float value) { return std::isfinite(value); });
  if (!is_finite) return refusal(where, std::string(name) + " holds NaN or infinity");
  return array;
}

// The number of windows, or 0 where there is no such array, or one that is empty.
std::size_t n_golden_windows(std::span<const NamedArray> arrays) noexcept {
  for (const NamedArray& array : arrays) {
    if (array.name == window_name && !array.shape.empty()) return array.shape.front();
  }
  return 0;
}

// Takes the manifest's outputs out of the archive's arrays, in the shapes that the session gives them.
Result<bool> take_outputs(std::vector<NamedArray>& arrays, const Manifest& manifest, const Session& session, Golden& golden,
                          std::string_view where) {
  const std::vector<std::string_view> names(manifest.outputs.begin(), manifest.outputs.end());
  for (const std::string_view name : {"reconstruction_error", "anomaly_score", "is_anomaly"}) {
    if (std::find(names.begin(), names.end(), name) == names.end()) return refusal(where, "no output " + std::string(name));
  }
  Result<std::vector<OutputSpec>> specs = chosen_outputs(available_outputs(session, golden.n_steps), names);
  if (!specs) return refusal(where, specs.error().message);
  golden.specs = std::move(specs).value();
  for (const OutputSpec& spec : golden.specs) {
    std::vector<std::size_t> shape{golden.n_windows};
    shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
    Result<NamedArray> output = take(arrays, spec.name, std::move(shape), spec.is_decision(), where);
    if (!output) return output.error();
    golden.outputs.push_back(std::move(output).value());
  }
  return true;
}

const NamedArray& output_named(const Golden& golden, std::string_view name) noexcept {
  const auto found = std::find_if(golden.outputs.begin(), golden.outputs.end(), [&](const NamedArray& array) { return array.name == name; });
  return *found;
}

// Scores and decisions must follow from the errors and the manifest's threshold: one must not contradict the other.
std::string threshold_problem(const Golden& golden, const Manifest& manifest) {
  const NamedArray &errors = output_named(golden, "reconstruction_error"), &scores = output_named(golden, "anomaly_score");
  const NamedArray& decisions = output_named(golden, "is_anomaly");
  const double threshold = static_cast<double>(manifest.threshold);
  for (std::size_t row = 0; row < golden.n_windows; ++row) {
    const double error = static_cast<double>(errors.values[row]);
    const double score = std::clamp(error / (2 * threshold), 0.0, 1.0);
    const bool is_near = std::abs(error - threshold) <= manifest.parity_bound * std::max(1.0, error);
    const bool is_same_decision = is_near || (decisions.flags[row] != 0) == (error > threshold);
    if (std::abs(static_cast<double>(scores.values[row]) - score) > score_rounding || !is_same_decision) {
      return "score and decision of window " + std::to_string(row) + " do not follow from the manifest's threshold " + std::to_string(threshold);
    }
  }
  return {};
}

// Keeps, for each output, the larger deviation of the windows from `first` on.
void compare(const Golden& golden, const Tolerance& tolerance, const OutputArrays& seen, std::vector<Deviation>& worst) {
  for (std::size_t output = 0; output < golden.specs.size(); ++output) {
    const std::size_t n_values = golden.specs[output].n_values();
    for (std::size_t i = 0; i < n_values * golden.n_windows; ++i) {
      const double deviation = tolerance.deviation(output, i, seen.value(output, i));
      if (deviation > worst[output].largest) worst[output] = {golden.specs[output].name, deviation, i / n_values};
    }
  }
}

}  // namespace

Result<Golden> read_golden(std::span<const std::byte> archive, const Manifest& manifest, const Session& session, std::string_view where) {
  Result<std::vector<NamedArray>> read = read_npz(archive, where);
  if (!read) return read.error();
  std::vector<NamedArray>& arrays = read.value();
  Golden golden;
  golden.n_windows = n_golden_windows(arrays);
  golden.n_steps = manifest.window_length;
  if (golden.n_windows == 0) return refusal(where, "holds no windows");
  std::vector<std::size_t> shape{golden.n_windows};
  if (manifest.has_time) shape.push_back(golden.n_steps);
  shape.push_back(manifest.feature_names.size());
  Result<NamedArray> window = take(arrays, window_name, std::move(shape), false, where);
  if (!window) return window.error();
  golden.window = std::move(window).value();
  if (const Result<bool> taken = take_outputs(arrays, manifest, session, golden, where); !taken) return taken.error();
  if (!arrays.empty()) return refusal(where, "holds " + arrays.front().name + ", which is no output of the manifest");
  if (std::string problem = threshold_problem(golden, manifest); !problem.empty()) return refusal(where, problem);
  return golden;
}

Result<std::vector<Deviation>> replay(const Golden& golden, const Manifest& manifest, const Session& session) {
  Result<Workspace> workspace = session.workspace(golden.n_steps);
  if (!workspace) return workspace.error();
  OutputArrays seen(golden.specs, golden.n_windows);
  const Tolerance tolerance(golden, manifest);
  std::vector<Deviation> worst(golden.specs.size());
  for (std::size_t i = 0; i < worst.size(); ++i) worst[i].output = golden.specs[i].name;
  const std::size_t window_size = golden.window.values.size() / golden.n_windows;
  for (const std::size_t batch : {golden.n_windows, std::size_t{1}}) {
    for (std::size_t row = 0; row < golden.n_windows; row += batch) {
      const float* windows = golden.window.values.data() + row * window_size;
      const Status status = session.score(windows, batch, golden.n_steps, seen.from(row), workspace.value());
      if (status != Status::ok) return Error{"the golden windows are not scored: " + std::string(describe(status))};
    }
    compare(golden, tolerance, seen, worst);
  }
  return worst;
}

bool is_within(std::span<const Deviation> deviations) noexcept {
  return std::all_of(deviations.begin(), deviations.end(), [](const Deviation& deviation) { return deviation.largest <= 1; });
}

}  // namespace offbeat::edge
