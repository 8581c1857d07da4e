#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "expect.h"
#include "offbeat/session.h"

/// The models of the golden folders, for tests that need one of each kind.
namespace offbeat_test {

inline const char* const model_names[] = {"repeat", "repeat-classifier", "repeat-forecast", "state", "stacked", "flexible", "tabular", "variational"};
inline constexpr std::size_t trained_steps = 12;

inline offbeat::Session load_model(const std::string& name, const offbeat::SessionOptions& options = {}) {
  offbeat::Result<offbeat::Session> session = offbeat::Session::load((std::string(GOLDEN_FOLDERS) + "/" + name + "/1/model.safetensors").c_str(), options);
  if (!session) {
    expect(false, session.error().message);
    std::exit(exit_code());
  }
  return std::move(session).value();
}

/// Rows a window has in a test.
inline std::size_t steps_of(const offbeat::Session& session) { return session.shape().has_time ? trained_steps : 1; }

inline std::vector<float> random_rows(std::size_t n_values) {
  std::mt19937 generator(7);
  std::vector<float> values(n_values);
  for (float& value : values) value = static_cast<float>(generator() % 2000) / 100.0F - 10.0F;
  return values;
}

/// Memory for every output of n windows, those that the model has.
struct AllOutputs {
  AllOutputs(const offbeat::Session& session, std::size_t n, std::size_t time) {
    const offbeat::ModelShape& shape = session.shape();
    // A plain array: the vector of bool has no addresses.
    decisions = std::make_unique<bool[]>(n);
    const auto room = [&](std::size_t n_values) {
      values.emplace_back(n_values);
      return values.back().data();
    };
    values.reserve(8);
    places.reconstruction_error = room(n);
    places.anomaly_score = room(n);
    places.is_anomaly = decisions.get();
    places.feature_error = room(n * shape.n_features);
    places.reconstruction = room(n * session.n_output_steps(time) * shape.n_features);
    if (shape.has_time) places.step_error = room(n * session.n_output_steps(time));
    if (shape.has_error_std) places.error_std = room(n);
    if (shape.n_classes > 0) places.class_probability = room(n * shape.n_classes);
    if (shape.has_forecast) places.forecast = room(n * time * shape.n_features);
  }

  std::vector<std::vector<float>> values;
  std::unique_ptr<bool[]> decisions;
  offbeat::Outputs places;
};

}  // namespace offbeat_test
