#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "model.h"
#include "output_arrays.h"
#include "streams.h"

namespace offbeat::edge {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Flag flags[] = {{"batch"}, {"steps"}, {"seconds"}, {"isa"}, {"precision"}, {"threads"}};
constexpr std::size_t max_batch = 1 << 20;
constexpr std::size_t min_calls = 5;
constexpr std::size_t max_calls = 1'000'000;

struct BenchOptions {
  SessionOptions session;
  std::vector<std::size_t> batches{1, 16, 512};
  std::size_t n_steps = 0;
  std::size_t seconds = 1;  // of measuring, for each batch size
};

Result<BenchOptions> bench_options(const Arguments& arguments) {
  BenchOptions options;
  Result<SessionOptions> session = session_options(arguments);
  if (!session) return session.error();
  options.session = session.value();
  const Result<std::size_t> steps = arguments.count("steps", 0), seconds = arguments.count("seconds", 1);
  if (!steps) return steps.error();
  if (!seconds) return seconds.error();
  options.n_steps = steps.value();
  options.seconds = seconds.value();
  const std::optional<std::string_view> batches = arguments.value("batch");
  if (!batches) return options;
  const Result<std::vector<std::string_view>> words = comma_separated("batch", *batches);
  if (!words) return words.error();
  options.batches.clear();
  for (const std::string_view word : words.value()) {
    const std::size_t batch = whole_number(word).value_or(0);
    if (batch == 0 || batch > max_batch) return Error{"--batch is '" + std::string(*batches) + "'; expected numbers from 1 to " + std::to_string(max_batch)};
    options.batches.push_back(batch);
  }
  return options;
}

// Windows around the normalisation, the same in every run; raw noise where nothing is known of it.
std::vector<float> random_windows(const Model& model, std::size_t n_rows) {
  const std::size_t n_features = model.session.shape().n_features;
  std::mt19937 generator(0);
  std::vector<float> values(n_rows * n_features);
  for (std::size_t i = 0; i < values.size(); ++i) {
    // Uniform in [−1.7, 1.7]: unit variance.
    const float normalised = (static_cast<float>(generator() >> 8) * 0x1p-23F - 1.0F) * 1.7F;
    values[i] = model.manifest ? model.manifest->mean[i % n_features] + model.manifest->scale[i % n_features] * normalised : normalised;
  }
  return values;
}

// Seconds of each call of score, scores out, sorted.
std::vector<double> timed_calls(const Session& session, const std::vector<float>& windows, std::size_t batch, std::size_t n_steps,
                                Workspace& workspace, double seconds) {
  std::vector<float> scores(batch);
  const Outputs outputs{.anomaly_score = scores.data()};
  std::vector<double> durations;
  const Clock::time_point begin = Clock::now();
  Clock::time_point before = begin;
  do {
    // It was scored once already: this cannot fail.
    (void)session.score(windows.data(), batch, n_steps, outputs, workspace);
    const Clock::time_point after = Clock::now();
    durations.push_back(std::chrono::duration<double>(after - before).count());
    before = Clock::now();
  } while (durations.size() < max_calls && (durations.size() < min_calls || std::chrono::duration<double>(before - begin).count() < seconds));
  std::sort(durations.begin(), durations.end());
  return durations;
}

void write_number(TextWriter& text, std::string_view key, double number) {
  // Six digits: more would be noise.
  std::array<char, 32> digits;
  std::snprintf(digits.data(), digits.size(), "%.6g", number);
  text.add(", \"" + std::string(key) + "\": " + digits.data());
}

void write_batch(TextWriter& text, std::size_t batch, const std::vector<double>& durations) {
  const auto quantile = [&](double part) { return durations[static_cast<std::size_t>(part * static_cast<double>(durations.size() - 1))]; };
  text.add("{\"batch\": " + std::to_string(batch) + ", \"n_calls\": " + std::to_string(durations.size()));
  write_number(text, "min_us", durations.front() * 1e6);
  write_number(text, "median_us", quantile(0.5) * 1e6);
  write_number(text, "p99_us", quantile(0.99) * 1e6);
  write_number(text, "windows_per_s", static_cast<double>(batch) / quantile(0.5));
  text.add("}");
}

ExitCode run(const Model& model, const BenchOptions& options) {
  const Result<std::size_t> n_steps = model.n_steps(options.n_steps);
  if (!n_steps) return fail(ExitCode::usage, n_steps.error().message);
  Result<Workspace> workspace = model.session.workspace(n_steps.value());
  if (!workspace) return fail(ExitCode::model, workspace.error().message);
  TextWriter text(STDOUT_FILENO);
  text.add("{\"isa\": \"" + std::string(model.session.isa()) + "\", \"precision\": \"" + std::string(precision_name(model.session.precision())) +
           "\", \"n_threads\": " + std::to_string(options.session.n_threads) + ", \"n_steps\": " + std::to_string(n_steps.value()) + ", \"batches\": [");
  const std::size_t largest = *std::max_element(options.batches.begin(), options.batches.end());
  const std::vector<float> windows = random_windows(model, largest * n_steps.value());
  for (std::size_t i = 0; i < options.batches.size(); ++i) {
    // The first call touches memory that the others find in the cache.
    const Status status = model.session.score(windows.data(), options.batches[i], n_steps.value(), {}, workspace.value());
    if (status != Status::ok) return fail(ExitCode::usage, describe(status));
    text.add(i == 0 ? "" : ", ");
    write_batch(text, options.batches[i],
                timed_calls(model.session, windows, options.batches[i], n_steps.value(), workspace.value(), static_cast<double>(options.seconds)));
  }
  text.add("]}\n");
  text.flush();
  return text.has_failed() ? fail(ExitCode::io, "standard output: " + text.problem()) : ExitCode::ok;
}

}  // namespace

ExitCode bench(std::span<char* const> words) {
  const Result<Arguments> arguments = Arguments::parse(words, flags);
  if (!arguments) return fail(ExitCode::usage, arguments.error().message);
  if (arguments.value().positional().size() != 1) return fail(ExitCode::usage, "bench takes one model: offbeat-edge bench MODEL");
  const Result<BenchOptions> options = bench_options(arguments.value());
  if (!options) return fail(ExitCode::usage, options.error().message);
  const Result<Model> model = open_model(arguments.value().positional().front(), options.value().session);
  return model ? run(model.value(), options.value()) : fail(ExitCode::model, model.error().message);
}

}  // namespace offbeat::edge
