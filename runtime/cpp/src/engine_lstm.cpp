#include "engine_lstm.h"

#include <algorithm>

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

void compute_gates(const Frame& frame, const LstmOp& op, const float* x, std::size_t n_rows, float* gates) noexcept {
  multiply(frame, LinearArgs{.x = x,
                                  .x_stride = op.in.stride,
                                  .n_rows = n_rows,
                                  .weight = op.weight_input,
                                  .bias = op.bias,
                                  .factor = nullptr,
                                  .unary = kernels::Unary::none,
                                  .out = gates,
                                  .out_stride = gates_width(frame, op),
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

void copy_rows(const Frame& frame, const float* from, std::size_t from_row, std::size_t size, const Value& to, std::size_t column) noexcept {
  for (std::size_t sequence = 0; sequence < frame.n; ++sequence) {
    float* row = frame.row(to, 0, 0, sequence) + column;
    std::copy_n(from + sequence * from_row, size, row);
    end_row(row, size, to.stride - column);
  }
}

}  // namespace

LstmRun::LstmRun(const Frame& frame, const LstmOp& op, float* gates) noexcept
    : frame_(frame), op_(op), gates_(gates), n_steps_(op.steps.count(frame.time)), args_(common_args(frame, op, n_steps_)) {
  begin_cells(frame, op, args_);
  args_.gates = op.bias;
  if (op.input == LstmInput::constant) {
    compute_gates(frame, op, frame.data(op.in), frame.n, gates);
    args_.gates = gates;
    args_.gates_row = gates_width(frame, op);
  }
  is_ahead_ = op.input == LstmInput::sequence && !(op.is_fused && (frame.n >= n_rows_fused || op.weight_input.n_inputs <= n_inputs_fused));
}

LstmArgs LstmRun::take(std::size_t n) noexcept {
  LstmArgs args = args_;
  args.n_steps = n;
  if (op_.input == LstmInput::sequence) add_input(args, n);
  // The next part goes on from the state that this one leaves.
  const std::ptrdiff_t last = signed_size(n - 1);
  args_.h_before = args.h + (args.is_ring ? last % 2 : last) * args.h_step;
  args_.h_before_row = args.h_row;
  if (!args.is_ring) {
    args_.h += signed_size(n) * args.h_step;
  } else if (n % 2 == 1) {  // it writes the other half
    args_.h += args.h_step;
    args_.h_step = -args.h_step;
  }
  n_taken_ += n;
  return args;
}

void LstmRun::add_input(LstmArgs& args, std::size_t n) const noexcept {
  const std::ptrdiff_t direction = op_.is_backward ? -1 : 1;
  const std::size_t step = frame_.n * op_.in.stride;
  if (!is_ahead_) {
    args.x = frame_.data(op_.in) + (op_.is_backward ? n_steps_ - 1 - n_taken_ : n_taken_) * step;
    args.x_row = op_.in.stride;
    args.x_step = signed_size(step) * direction;
    return;
  }
  const std::size_t width = gates_width(frame_, op_);
  const std::size_t first_step = op_.is_backward ? n_steps_ - n_taken_ - n : n_taken_;
  compute_gates(frame_, op_, frame_.data(op_.in) + first_step * step, n * frame_.n, gates_);
  args.gates = gates_ + (op_.is_backward ? (n - 1) * frame_.n * width : 0);
  args.gates_row = width;
  args.gates_step = signed_size(frame_.n * width) * direction;
}

void LstmRun::finish() const noexcept {
  if (!op_.keeps_sequence && !op_.out.is_zero) copy_rows(frame_, args_.h_before, args_.h_row, op_.hidden_size, op_.out, 0);
  if (!op_.has_final) return;
  copy_rows(frame_, args_.h_before, args_.h_row, op_.hidden_size, op_.final_state.h, op_.final_column);
  copy_rows(frame_, args_.c, args_.c_row, op_.hidden_size, op_.final_state.c, op_.final_column);
}

void run_lstm(const Frame& frame, const LstmOp& op) noexcept {
  LstmRun run(frame, op, frame.gates);
  const std::size_t n_at_once = run.is_ahead() ? std::max<std::size_t>(1, n_rows_ahead / frame.n) : run.n_left();
  while (run.n_left() > 0) run_kernel(frame, run.take(std::min(n_at_once, run.n_left())));
  run.finish();
}

}  // namespace offbeat
