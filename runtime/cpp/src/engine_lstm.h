#pragma once

#include <cstddef>

#include "engine_frame.h"

namespace offbeat {

/// Floats of the gates of one step of one sequence.
inline std::size_t gates_width(const Frame& frame, const LstmOp& op) noexcept { return op.weight_hidden.n_vectors * frame.kernels.n_lanes; }

inline void run_kernel(const Frame& frame, const kernels::LstmArgs& args) noexcept {
  (args.weight_hidden.format == kernels::Format::i8 ? frame.kernels.bytes.lstm : frame.kernels.lstm)(args);
}

/// A layer on its way through the steps of a tile.
class LstmRun {
 public:
  /// Input products that are computed ahead are written to `gates`.
  LstmRun(const Frame& frame, const LstmOp& op, float* gates) noexcept;

  [[nodiscard]] std::size_t n_taken() const noexcept { return n_taken_; }
  [[nodiscard]] std::size_t n_left() const noexcept { return n_steps_ - n_taken_; }
  /// Whether input products are computed ahead, not multiplied in passing.
  [[nodiscard]] bool is_ahead() const noexcept { return is_ahead_; }

  /// The arguments of the n steps behind those that were taken; their inputs must be there.
  kernels::LstmArgs take(std::size_t n) noexcept;
  /// Writes what is wanted of the state behind the last step; all were taken and run.
  void finish() const noexcept;

 private:
  void add_input(kernels::LstmArgs& args, std::size_t n) const noexcept;

  const Frame& frame_;
  const LstmOp& op_;
  float* gates_;
  std::size_t n_steps_;
  kernels::LstmArgs args_;
  bool is_ahead_ = false;
  std::size_t n_taken_ = 0;
};

}  // namespace offbeat
