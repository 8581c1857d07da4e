#pragma once

#include <cstddef>
#include <cstring>

#include "engine_program.h"
#include "offbeat/session.h"

namespace offbeat {

/// The scratch of one tile of n sequences while it is scored.
struct Frame {
  const Program& program;
  const kernels::Kernels& kernels;
  const float* windows;  ///< of this tile, [sequence, step, feature]
  std::size_t n;
  std::size_t time;
  float* const* slots;
  float* gates;
  std::byte* quantised;

  [[nodiscard]] float* buffer(std::size_t index) const noexcept { return slots[program.slot_of_buffer[index]]; }
  [[nodiscard]] float* data(const Value& value) const noexcept { return buffer(value.buffer); }

  [[nodiscard]] std::size_t n_rows(const Value& value) const noexcept { return value.n_draws * value.n_kept_steps(time) * n; }

  /// The numbers of one sequence at one step of one draw; a value without draws or time is the same at all.
  [[nodiscard]] float* row(const Value& value, std::size_t draw, std::size_t step, std::size_t sequence) const noexcept {
    const std::size_t n_kept = value.n_kept_steps(time);
    const std::size_t outer = (value.n_draws == 1 ? 0 : draw) * n_kept + (n_kept == 1 ? 0 : step);
    return data(value) + (outer * n + sequence) * value.stride;
  }
  /// The features of one step of the normalised window or of its reconstruction.
  [[nodiscard]] float* features(const Value& value, std::size_t draw, std::size_t step, std::size_t sequence) const noexcept {
    if (program.n_flat_steps == 0) return row(value, draw, step, sequence);
    return row(value, draw, 0, sequence) + step * program.n_features;
  }
};

/// Rows are whole vectors: what is behind their numbers must be finite, since it is multiplied by zero.
inline void end_row(float* row, std::size_t size, std::size_t stride) noexcept {
  for (std::size_t i = size; i < stride; ++i) row[i] = 0;
}

/// Copies a row's numbers, in whole vectors where rows are: what is behind them in either is then read, and written over.
inline void copy_row(const float* from, std::size_t size, float* to) noexcept {
  if (size <= kernels::n_narrow) {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
    return;
  }
  // A size that is known: rows of few vectors are not worth a call.
  for (std::size_t at = 0; at < size; at += kernels::row_alignment) std::memcpy(to + at, from + at, kernels::row_alignment * sizeof(float));
}

/// A linear layer by the kernel of its weights' format.
inline void multiply(const Frame& frame, const kernels::LinearArgs& args) noexcept {
  (args.weight.format == kernels::Format::i8 ? frame.kernels.bytes.linear : frame.kernels.linear)(args);
}

void run_lstm(const Frame& frame, const LstmOp& op) noexcept;

void run_lstm_group(const Frame& frame, const LstmGroupOp& group) noexcept;

/// Errors, scores, decisions and reconstruction of a tile, into rows [first, first + n) of the outputs.
void judge(const Frame& frame, std::size_t first, const Outputs& outputs) noexcept;

/// A head's output, likewise.
void write_head(const Frame& frame, const HeadValue& head, std::size_t first, const Outputs& outputs) noexcept;

}  // namespace offbeat
