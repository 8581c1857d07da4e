#include <algorithm>
#include <cmath>
#include <limits>

#include "engine_frame.h"

namespace offbeat {
namespace {

/// The sums of a tile's errors: where they lie, and what they are divided by.
struct Sums {
  float* data;
  std::size_t stride;
  std::size_t n_steps;
  std::size_t n_draws;
  float divisor;
};

/// Whether rows of both lie alike, so that all of a step can be summed at once.
bool lie_alike(const Program& program) noexcept { return program.n_flat_steps == 0 && program.normalised.stride == program.reconstruction.stride; }

/// e, element by element, summed over the steps of one draw.
void sum_steps(const Frame& frame, const Sums& sums, std::size_t draw) noexcept {
  const Program& program = frame.program;
  const Value& n = program.normalised;
  const Value& r = program.reconstruction;
  kernels::ErrorArgs args{};
  args.n_step = program.n_flat_steps > 0 ? program.n_features : frame.n * n.stride;
  args.r_step = program.n_flat_steps > 0 ? program.n_features : r.n_kept_steps(frame.time) == 1 ? 0 : frame.n * r.stride;
  args.n_steps = sums.n_steps;
  args.is_absolute = program.error == ErrorKind::sum_absolute;
  if (lie_alike(program)) {
    args.n = frame.data(n);
    args.r = frame.row(r, draw, 0, 0);
    args.n_elements = frame.n * n.stride;
    args.sums = sums.data;
    frame.kernels.error(args);
    return;
  }
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    args.n = frame.row(n, 0, 0, sequence);
    args.r = frame.row(r, draw, 0, sequence);
    args.n_elements = program.n_features;
    args.sums = sums.data + sequence * sums.stride;
    frame.kernels.error(args);
  }
}

/// A share of an error or its spread, as the kernel that judges does it with errors.
float infinite_where_undefined(float error) noexcept { return std::isnan(error) ? std::numeric_limits<float>::infinity() : error; }

/// Each sequence's error. `keeps_sums`: the sums over the steps are wanted too.
void total(const Frame& frame, const Sums& sums, std::size_t draw, bool keeps_sums, float* errors) noexcept {
  const Program& program = frame.program;
  kernels::TotalArgs args{};
  args.n = sums.data;
  args.is_absolute = program.error == ErrorKind::sum_absolute;
  args.stride = sums.stride;
  args.n_rows = frame.n;
  args.n_features = program.n_features;
  args.divisor = sums.divisor;
  args.out = errors;
  const bool is_one_pass = sums.n_steps == 1 && !keeps_sums && lie_alike(program) && program.n_features > kernels::n_narrow;
  if (is_one_pass) {
    args.n = frame.data(program.normalised);
    args.r = frame.row(program.reconstruction, draw, 0, 0);
  } else {
    sum_steps(frame, sums, draw);
  }
  frame.kernels.totals(args);
}

template <class T>
T* from_row(T* output, std::size_t row) noexcept {
  return output == nullptr ? nullptr : output + row;
}

void write_errors(const Frame& frame, float* errors, std::size_t first, const Outputs& outputs) noexcept {
  frame.kernels.judge({.errors = errors,
                       .n_rows = frame.n,
                       .threshold = frame.program.threshold,
                       .error = from_row(outputs.reconstruction_error, first),
                       .score = from_row(outputs.anomaly_score, first),
                       .is_anomaly = from_row(outputs.is_anomaly, first)});
}

void add_feature_errors(const Frame& frame, const Sums& sums, std::size_t draw, std::size_t first, float* out) noexcept {
  const std::size_t n_features = frame.program.n_features;
  const float divisor = sums.divisor * static_cast<float>(sums.n_draws);
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    for (std::size_t feature = 0; feature < n_features; ++feature) {
      float& total = out[(first + sequence) * n_features + feature];
      total = (draw == 0 ? 0.0f : total) + infinite_where_undefined(sums.data[sequence * sums.stride + feature] / divisor);
    }
  }
}

/// The spread of each sequence's draws around its mean.
void write_spreads(const Frame& frame, const Sums& sums, const float* means, const float* draw_errors, float* out) noexcept {
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    float variance = 0;
    for (std::size_t draw = 0; draw < sums.n_draws; ++draw) {
      const float difference = draw_errors[draw * frame.n + sequence] - means[sequence];
      variance += difference * difference;
    }
    out[sequence] = infinite_where_undefined(std::sqrt(variance / static_cast<float>(sums.n_draws)));
  }
}

void judge_draws(const Frame& frame, const Sums& sums, std::size_t first, const Outputs& outputs) noexcept {
  float* means = frame.buffer(frame.program.errors);
  float* draw_errors = means + frame.n;
  for (std::size_t draw = 0; draw < sums.n_draws; ++draw) {
    total(frame, sums, draw, outputs.feature_error != nullptr, draw_errors + draw * frame.n);
    if (outputs.feature_error != nullptr) add_feature_errors(frame, sums, draw, first, outputs.feature_error);
  }
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    float mean = 0;
    for (std::size_t draw = 0; draw < sums.n_draws; ++draw) mean += draw_errors[draw * frame.n + sequence];
    means[sequence] = mean / static_cast<float>(sums.n_draws);
  }
  if (outputs.error_std != nullptr) write_spreads(frame, sums, means, draw_errors, outputs.error_std + first);
  write_errors(frame, means, first, outputs);
}

void judge_errors(const Frame& frame, const Sums& sums, std::size_t first, const Outputs& outputs) noexcept {
  if (frame.program.has_draws) return judge_draws(frame, sums, first, outputs);
  float* errors = frame.buffer(frame.program.errors);
  total(frame, sums, 0, outputs.feature_error != nullptr, errors);
  write_errors(frame, errors, first, outputs);
  if (outputs.feature_error != nullptr) add_feature_errors(frame, sums, 0, first, outputs.feature_error);
}

float step_error(const Frame& frame, const Sums& sums, std::size_t step, std::size_t sequence) noexcept {
  const Program& program = frame.program;
  const float* n = frame.features(program.normalised, 0, step, sequence);
  float total = 0;
  for (std::size_t draw = 0; draw < sums.n_draws; ++draw) {
    const float* r = frame.features(program.reconstruction, draw, step, sequence);
    for (std::size_t feature = 0; feature < program.n_features; ++feature) {
      const float difference = n[feature] - r[feature];
      total += program.error == ErrorKind::sum_absolute ? std::fabs(difference) : difference * difference;
    }
  }
  return infinite_where_undefined(total / (sums.divisor * static_cast<float>(sums.n_draws)));
}

void write_reconstruction(const Frame& frame, const Sums& sums, std::size_t step, std::size_t sequence, float* out) noexcept {
  const Program& program = frame.program;
  for (std::size_t feature = 0; feature < program.n_features; ++feature) {
    float total = 0;
    for (std::size_t draw = 0; draw < sums.n_draws; ++draw) total += frame.features(program.reconstruction, draw, step, sequence)[feature];
    out[feature] = total / static_cast<float>(sums.n_draws) * program.scale[feature] + program.mean[feature];
  }
}

}  // namespace

void judge(const Frame& frame, std::size_t first, const Outputs& outputs) noexcept {
  const Program& program = frame.program;
  const Value& r = program.reconstruction;
  Sums sums{};
  sums.data = frame.buffer(program.sums);
  // The fast way sums rows as they lie; wide rows and the slow way have a row of whole vectors each.
  sums.stride = lie_alike(program) ? r.stride : (program.n_features + kernels::row_alignment - 1) / kernels::row_alignment * kernels::row_alignment;
  sums.n_steps = program.n_flat_steps > 0 ? program.n_flat_steps : std::min(program.normalised.steps.count(frame.time), r.steps.count(frame.time));
  sums.n_draws = r.n_draws;
  sums.divisor = program.error == ErrorKind::mean_squared ? static_cast<float>(sums.n_steps * program.n_features) : 1.0f;
  if (outputs.reconstruction_error != nullptr || outputs.anomaly_score != nullptr || outputs.is_anomaly != nullptr ||
      outputs.feature_error != nullptr || outputs.error_std != nullptr) {
    judge_errors(frame, sums, first, outputs);
  }
  if (outputs.step_error == nullptr && outputs.reconstruction == nullptr) return;
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    for (std::size_t step = 0; step < sums.n_steps; ++step) {
      const std::size_t row = (first + sequence) * sums.n_steps + step;
      if (outputs.step_error != nullptr) outputs.step_error[row] = step_error(frame, sums, step, sequence);
      if (outputs.reconstruction != nullptr) write_reconstruction(frame, sums, step, sequence, outputs.reconstruction + row * program.n_features);
    }
  }
}

void write_head(const Frame& frame, const HeadValue& head, std::size_t first, const Outputs& outputs) noexcept {
  const bool is_forecast = head.output == HeadOutput::forecast;
  float* out = is_forecast ? outputs.forecast : outputs.class_probability;
  const std::size_t n_steps = head.value.steps.count(frame.time);
  const std::size_t size = head.value.size;
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    for (std::size_t step = 0; step < n_steps; ++step) {
      const float* from = frame.row(head.value, 0, step, sequence);
      float* to = out + ((first + sequence) * n_steps + step) * size;
      for (std::size_t i = 0; i < size; ++i) to[i] = is_forecast ? from[i] * frame.program.scale[i] + frame.program.mean[i] : from[i];
    }
  }
}

}  // namespace offbeat
