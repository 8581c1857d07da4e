#include "engine_run.h"

#include <algorithm>
#include <cmath>

#include "engine_frame.h"

namespace offbeat {
namespace {

constexpr std::size_t alignment = 64;
/// Floats behind each buffer that a kernel may read, or write, beyond its last row.
constexpr std::size_t n_spare = 16;

// Sequences in a tile: whole register tiles for every instruction set, and enough that a layer's weights, once brought near, serve many.
// Where steps follow each other a small tile's states stay near for the next one; where none do, nothing is read but once.
constexpr std::size_t n_small_tile = 24;
constexpr std::size_t n_large_tile = kernels::quantised_rows;
constexpr std::size_t n_large_weight_bytes = std::size_t{96} << 10;
constexpr std::size_t min_tile = 6;
/// What the scratch of a tile may take before tiles become smaller.
constexpr std::size_t max_tile_bytes = std::size_t{48} << 20;

void run(const Frame& frame, const NormaliseOp& op) noexcept {
  frame.kernels.normalise({.windows = frame.windows,
                           .n_rows = frame.n,
                           .n_steps = op.out.steps.count(frame.time),
                           .n_features = op.out.size,
                           .mean = frame.program.mean,
                           .scale = frame.program.scale,
                           .out = frame.data(op.out),
                           .out_stride = op.out.stride});
}

void run(const Frame& frame, const LinearOp& op) noexcept {
  multiply(frame, {.x = frame.data(op.in),
                        .x_stride = op.in.stride,
                        .n_rows = frame.n_rows(op.in),
                        .weight = op.weight,
                        .bias = op.bias,
                        .factor = op.factor,
                        .unary = op.unary,
                        .out = frame.data(op.out),
                        .out_stride = op.out.stride,
                        .quantised = frame.quantised});
}

void run(const Frame& frame, const NarrowOp& op) noexcept {
  frame.kernels.narrow({.x = frame.data(op.in),
                        .x_stride = op.in.stride,
                        .n_rows = frame.n_rows(op.in),
                        .n_inputs = op.in.size,
                        .n_outputs = op.out.size,
                        .weight = op.weight,
                        .weight_stride = op.weight_stride,
                        .bias = op.bias,
                        .unary = op.unary,
                        .out = frame.data(op.out),
                        .out_stride = op.out.stride});
}

void run(const Frame& frame, const LstmOp& op) noexcept { run_lstm(frame, op); }

void run(const Frame& frame, const LstmGroupOp& group) noexcept { run_lstm_group(frame, group); }

/// Calls body(draw, step, sequence) for every row of a value.
template <class Body>
void for_each_row(const Frame& frame, const Value& value, Body body) noexcept {
  const std::size_t n_steps = value.n_kept_steps(frame.time);
  for (std::size_t draw = 0; draw < value.n_draws; ++draw) {
    for (std::size_t step = 0; step < n_steps; ++step) {
      for (std::size_t sequence = 0; sequence < frame.n; ++sequence) body(draw, step, sequence);
    }
  }
}

void run(const Frame& frame, const LastStepOp& op) noexcept {
  const std::size_t last = op.in.steps.count(frame.time) - 1;
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t, std::size_t sequence) {
    std::copy_n(frame.row(op.in, draw, last, sequence), op.out.stride, frame.row(op.out, draw, 0, sequence));
  });
}

void run(const Frame& frame, const MaterialiseOp& op) noexcept {
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t step, std::size_t sequence) {
    float* to = frame.row(op.out, draw, step, sequence);
    if (!op.in.is_zero) copy_row(frame.row(op.in, draw, step, sequence), op.out.size, to);
    end_row(to, op.in.is_zero ? 0 : op.out.size, op.out.stride);
  });
}

void run(const Frame& frame, const FlattenOp& op) noexcept {
  const std::size_t n_steps = op.in.n_kept_steps(frame.time);
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t, std::size_t sequence) {
    float* to = frame.row(op.out, draw, 0, sequence);
    for (std::size_t step = 0; step < n_steps; ++step) copy_row(frame.row(op.in, draw, step, sequence), op.in.size, to + step * op.in.size);
    end_row(to, op.out.size, op.out.stride);
  });
}

void run(const Frame& frame, const UnflattenOp& op) noexcept {
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t step, std::size_t sequence) {
    float* to = frame.row(op.out, draw, step, sequence);
    copy_row(frame.row(op.in, draw, 0, sequence) + step * op.out.size, op.out.size, to);
    end_row(to, op.out.size, op.out.stride);
  });
}

void run(const Frame& frame, const AddOp& op) noexcept {
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t step, std::size_t sequence) {
    const float* a = frame.row(op.a, draw, step, sequence);
    const float* b = frame.row(op.b, draw, step, sequence);
    float* to = frame.row(op.out, draw, step, sequence);
    for (std::size_t i = 0; i < op.out.size; ++i) to[i] = a[i] + b[i];
    end_row(to, op.out.size, op.out.stride);
  });
}

void run(const Frame& frame, const UnaryOp& op) noexcept {
  const std::size_t n_elements = frame.n_rows(op.in) * op.in.stride;
  std::copy_n(frame.data(op.in), n_elements, frame.data(op.out));
  frame.kernels.unary(frame.data(op.out), n_elements, op.unary);
}

void run(const Frame& frame, const AffineOp& op) noexcept {
  frame.kernels.multiply_add({.a = frame.data(op.in),
                              .a_row = op.in.stride,
                              .b = op.factor,
                              .b_row = 0,
                              .c = op.offset,
                              .c_row = 0,
                              .n_rows = frame.n_rows(op.out),
                              .size = op.out.size,
                              .out = frame.data(op.out),
                              .out_row = op.out.stride});
}

void run(const Frame& frame, const SoftmaxOp& op) noexcept {
  for_each_row(frame, op.out, [&](std::size_t draw, std::size_t step, std::size_t sequence) {
    const float* from = frame.row(op.in, draw, step, sequence);
    float* to = frame.row(op.out, draw, step, sequence);
    const float largest = *std::max_element(from, from + op.out.size);
    float total = 0;
    for (std::size_t i = 0; i < op.out.size; ++i) total += to[i] = std::exp(from[i] - largest);
    for (std::size_t i = 0; i < op.out.size; ++i) to[i] /= total;
    end_row(to, op.out.size, op.out.stride);
  });
}

void run(const Frame& frame, const DrawsOp& op) noexcept {
  float* spread = frame.data(op.log_variance);
  const std::size_t n_elements = frame.n * op.log_variance.stride;
  for (std::size_t i = 0; i < n_elements; ++i) spread[i] = std::clamp(spread[i], -op.limit, op.limit);
  frame.kernels.exp_half(spread, n_elements);
  for (std::size_t draw = 0; draw < op.out.n_draws; ++draw) {
    frame.kernels.multiply_add({.a = spread,
                                .a_row = op.log_variance.stride,
                                .b = op.noise + draw * op.out.size,
                                .b_row = 0,
                                .c = frame.data(op.mean),
                                .c_row = op.mean.stride,
                                .n_rows = frame.n,
                                .size = op.out.size,
                                .out = frame.row(op.out, draw, 0, 0),
                                .out_row = op.out.stride});
  }
}

std::size_t aligned(std::size_t n_bytes) { return (n_bytes + alignment - 1) / alignment * alignment; }

std::size_t floats_per_sequence(const Program& program, std::size_t time) noexcept {
  std::size_t n = 0;
  for (const Extent& slot : program.slots) n += slot.floats(time);
  return n;
}

std::size_t max_tile(const Program& program) noexcept {
  return program.n_weight_bytes > n_large_weight_bytes || !program.has_lstm ? n_large_tile : n_small_tile;
}

/// Scratch whatever the number of sequences: the slots' addresses, gates computed ahead, and quantised rows.
std::size_t n_fixed_bytes(const Program& program) noexcept {
  return aligned(program.slots.size() * sizeof(float*)) + aligned((n_large_tile * program.gate_width + n_spare) * sizeof(float)) +
         aligned(program.quantised_bytes);
}

/// Which operations the outputs that were asked for need.
std::uint32_t wanted(const Program& program, const Outputs& outputs) noexcept {
  std::uint32_t bits = 0;
  if (outputs.reconstruction_error != nullptr || outputs.anomaly_score != nullptr || outputs.is_anomaly != nullptr ||
      outputs.feature_error != nullptr || outputs.step_error != nullptr || outputs.reconstruction != nullptr || outputs.error_std != nullptr) {
    bits = 1;
  }
  for (std::size_t head = 0; head < program.heads.size(); ++head) {
    const bool is_forecast = program.heads[head].output == HeadOutput::forecast;
    if ((is_forecast ? outputs.forecast : outputs.class_probability) != nullptr) bits |= std::uint32_t{2} << head;
  }
  return bits;
}

}  // namespace

std::size_t tile_size(const Program& program, std::size_t time) noexcept {
  const std::size_t per_sequence = std::max<std::size_t>(1, floats_per_sequence(program, time) * sizeof(float));
  const std::size_t fitting = max_tile_bytes / per_sequence / min_tile * min_tile;
  return std::clamp(fitting, min_tile, max_tile(program));
}

std::size_t n_scratch_bytes(const Program& program, std::size_t time) noexcept {
  const std::size_t per_sequence = floats_per_sequence(program, time) * sizeof(float);
  // Of fewer steps a tile may be larger, but never in bytes than this.
  const std::size_t largest = std::min(std::max(max_tile_bytes, min_tile * per_sequence), max_tile(program) * per_sequence);
  return aligned(n_fixed_bytes(program) + largest + program.slots.size() * (n_spare * sizeof(float) + alignment));
}

void score_tile(const Program& program, const kernels::Kernels& kernels, const float* windows, std::size_t first, std::size_t n,
                std::size_t time, const Outputs& outputs, std::byte* scratch) noexcept {
  auto* slots = reinterpret_cast<float**>(scratch);
  scratch += aligned(program.slots.size() * sizeof(float*));
  auto* gates = reinterpret_cast<float*>(scratch);
  scratch += aligned((n_large_tile * program.gate_width + n_spare) * sizeof(float));
  std::byte* quantised = scratch;
  scratch += aligned(program.quantised_bytes);
  for (std::size_t slot = 0; slot < program.slots.size(); ++slot) {
    slots[slot] = reinterpret_cast<float*>(scratch);
    scratch += aligned((program.slots[slot].floats(time) * n + n_spare) * sizeof(float));
  }
  const std::size_t window_size = program.normalised.steps.count(time) * program.normalised.size;
  const Frame frame{program, kernels, windows + first * window_size, n, time, slots, gates, quantised};
  const std::uint32_t bits = wanted(program, outputs);
  for (const Step& step : program.steps) {
    if ((step.needed_by & bits) == 0) continue;
    std::visit([&](const auto& operation) { run(frame, operation); }, step.operation);
  }
  if ((bits & 1) != 0) judge(frame, first, outputs);
  for (std::size_t head = 0; head < program.heads.size(); ++head) {
    if ((bits & (std::uint32_t{2} << head)) != 0) write_head(frame, program.heads[head], first, outputs);
  }
}

}  // namespace offbeat
