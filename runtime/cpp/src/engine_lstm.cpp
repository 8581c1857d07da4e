#include <algorithm>

#include "engine_frame.h"

namespace offbeat {
namespace {

using kernels::LinearArgs;
using kernels::LstmArgs;

/// Fewer sequences than this leave most of a tile's rows empty: their input products are then computed ahead, over steps instead.
constexpr std::size_t n_rows_fused = 6;
/// Inputs so few that multiplying them in the same pass costs less than keeping their products.
constexpr std::size_t n_inputs_fused = 4;
/// Rows of gates that are computed ahead at a time.
constexpr std::size_t n_rows_ahead = 48;

std::ptrdiff_t signed_size(std::size_t size) { return static_cast<std::ptrdiff_t>(size); }

void run_kernel(const Frame& frame, const LstmArgs& args) noexcept {
  (args.weight_hidden.format == kernels::Format::i8 ? frame.kernels.bytes.lstm : frame.kernels.lstm)(args);
}

void compute_gates(const Frame& frame, const LstmOp& op, const float* x, std::size_t n_rows) noexcept {
  multiply(frame, LinearArgs{.x = x,
                                  .x_stride = op.in.stride,
                                  .n_rows = n_rows,
                                  .weight = op.weight_input,
                                  .bias = op.bias,
                                  .unary = kernels::Unary::none,
                                  .out = frame.gates,
                                  .out_stride = op.weight_hidden.n_vectors * frame.kernels.n_lanes,
                                  .quantised = frame.quantised});
}

/// The arguments that no part of the run changes. Steps run backwards in a backward direction.
LstmArgs common_args(const Frame& frame, const LstmOp& op, std::size_t n_steps) noexcept {
  LstmArgs args{};
  args.n_rows = frame.n;
  args.weight_input = op.weight_input;
  args.weight_hidden = op.weight_hidden;
  args.c = frame.buffer(op.c);
  args.c_row = (op.hidden_size + kernels::row_alignment - 1) / kernels::row_alignment * kernels::row_alignment;
  args.quantised = frame.quantised;
  if (op.keeps_sequence) {
    args.h_row = op.out.stride;
    args.h_step = signed_size(frame.n * op.out.stride) * (op.is_backward ? -1 : 1);
    args.h = frame.data(op.out) + (op.is_backward ? (n_steps - 1) * frame.n * op.out.stride : 0) + op.out_column;
  } else {
    args.is_ring = true;
    args.h_row = args.c_row;
    args.h_step = signed_size(frame.n * args.c_row);
    args.h = frame.buffer(op.ring);
  }
  return args;
}

void begin_cells(const Frame& frame, const LstmOp& op, LstmArgs& args) noexcept {
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    float* c = args.c + sequence * args.c_row;
    if (op.has_initial) std::copy_n(frame.row(op.initial.c, 0, 0, sequence), op.hidden_size, c);
    end_row(c, op.has_initial ? op.hidden_size : 0, args.c_row);
  }
  args.h_before = op.has_initial ? frame.data(op.initial.h) : nullptr;
  args.h_before_row = op.initial.h.stride;
}

/// Input products ahead, as many steps at a time as there is room for, each part going on from the state of the one before.
void run_ahead(const Frame& frame, const LstmOp& op, LstmArgs args, std::size_t n_steps) noexcept {
  const std::size_t width = op.weight_hidden.n_vectors * frame.kernels.n_lanes;
  std::size_t n_at_once = std::max<std::size_t>(1, n_rows_ahead / frame.n);
  if (args.is_ring && n_at_once > 1) n_at_once -= n_at_once % 2;  // so that each part begins with the same half of the ring
  for (std::size_t begin = 0; begin < n_steps; begin += n_at_once) {
    const std::size_t n = std::min(n_at_once, n_steps - begin);
    const std::size_t first_step = op.is_backward ? n_steps - begin - n : begin;
    compute_gates(frame, op, frame.data(op.in) + first_step * frame.n * op.in.stride, n * frame.n);
    args.n_steps = n;
    args.gates = frame.gates + (op.is_backward ? (n - 1) * frame.n * width : 0);
    args.gates_row = width;
    args.gates_step = signed_size(frame.n * width) * (op.is_backward ? -1 : 1);
    run_kernel(frame, args);
    const std::ptrdiff_t last = signed_size(n - 1);
    args.h_before = args.h + (args.is_ring ? last % 2 : last) * args.h_step;
    args.h_before_row = args.h_row;
    if (!args.is_ring) {
      args.h += signed_size(n) * args.h_step;
    } else if (n % 2 == 1) {  // the next part writes the other half
      args.h += args.h_step;
      args.h_step = -args.h_step;
    }
  }
}

/// h after the last step.
const float* run_steps(const Frame& frame, const LstmOp& op, LstmArgs args, std::size_t n_steps) noexcept {
  const std::ptrdiff_t last = signed_size(n_steps - 1);
  const float* h_last = args.h + (args.is_ring ? last % 2 : last) * args.h_step;
  args.n_steps = n_steps;
  args.gates = op.bias;
  if (op.input == LstmInput::constant) {
    compute_gates(frame, op, frame.data(op.in), frame.n);
    args.gates = frame.gates;
    args.gates_row = op.weight_hidden.n_vectors * frame.kernels.n_lanes;
  } else if (op.input == LstmInput::sequence) {
    const bool is_fused = op.is_fused && (frame.n >= n_rows_fused || op.weight_input.n_inputs <= n_inputs_fused);
    if (!is_fused) {
      run_ahead(frame, op, args, n_steps);
      return h_last;
    }
    const std::size_t step = frame.n * op.in.stride;
    args.x = frame.data(op.in) + (op.is_backward ? (n_steps - 1) * step : 0);
    args.x_row = op.in.stride;
    args.x_step = signed_size(step) * (op.is_backward ? -1 : 1);
  }
  run_kernel(frame, args);
  return h_last;
}

void copy_rows(const Frame& frame, const float* from, std::size_t from_row, std::size_t size, const Value& to, std::size_t column) noexcept {
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    float* row = frame.row(to, 0, 0, sequence) + column;
    std::copy_n(from + sequence * from_row, size, row);
    end_row(row, size, to.stride - column);
  }
}

}  // namespace

void run_lstm(const Frame& frame, const LstmOp& op) noexcept {
  const std::size_t n_steps = op.steps.count(frame.time);
  LstmArgs args = common_args(frame, op, n_steps);
  begin_cells(frame, op, args);
  const float* h_last = run_steps(frame, op, args, n_steps);
  if (!op.keeps_sequence && !op.out.is_zero) copy_rows(frame, h_last, args.h_row, op.hidden_size, op.out, 0);
  if (op.has_final) {
    copy_rows(frame, h_last, args.h_row, op.hidden_size, op.final_state.h, op.final_column);
    copy_rows(frame, args.c, args.c_row, op.hidden_size, op.final_state.c, op.final_column);
  }
}

}  // namespace offbeat
