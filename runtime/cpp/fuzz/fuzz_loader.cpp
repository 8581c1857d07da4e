// The loader under hostile files: whatever the bytes, Session::load says what is wrong or gives a session that scores.
//
// Built by clang with -fsanitize=fuzzer-no-link among the sanitizers this is a libFuzzer target; elsewhere plain_driver.cpp calls it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "offbeat/session.h"

namespace {

constexpr std::size_t max_steps = 4;
// A plan of a few hundred bytes may ask for this much and more, and be right: it is loaded, but not run.
constexpr std::size_t max_values = 1 << 16;

// Scores one window with every output, so that what was loaded is read to its end.
void score(const offbeat::Session& session) {
  const offbeat::ModelShape& shape = session.shape();
  const std::size_t time = !shape.has_time ? 1 : shape.is_time_dynamic ? max_steps : shape.n_steps;
  if (time > max_values || shape.n_features > max_values / time || shape.n_classes > max_values) return;
  offbeat::Result<offbeat::Workspace> workspace = session.workspace(time);
  if (!workspace) return;
  const std::size_t n_values = time * shape.n_features;
  std::vector<float> window(n_values, 0.5F), feature_error(shape.n_features), step_error(time), reconstruction(n_values), forecast(n_values);
  std::vector<float> class_probability(shape.n_classes + 1);
  float error = 0, score = 0, error_std = 0;
  bool is_anomaly = false;
  offbeat::Outputs outputs{&error, &score, &is_anomaly, feature_error.data(), nullptr, reconstruction.data(), nullptr, nullptr, nullptr};
  if (shape.has_time) outputs.step_error = step_error.data();
  if (shape.has_error_std) outputs.error_std = &error_std;
  if (shape.n_classes > 0) outputs.class_probability = class_probability.data();
  if (shape.has_forecast) outputs.forecast = forecast.data();
  if (session.score(window.data(), 1, time, outputs, workspace.value()) != offbeat::Status::ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const offbeat::Result<offbeat::Session> session = offbeat::Session::load(std::as_bytes(std::span(data, size)), "fuzz", {.isa = "baseline"});
  if (session) {
    score(session.value());
  } else if (session.error().message.empty()) {
    std::abort();
  }
  return 0;
}
