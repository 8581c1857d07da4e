// Lstm layers of one sequence whose steps are taken in turn: the second layer's first steps need only the first layer's first steps.
#include <algorithm>
#include <array>
#include <optional>

#include "engine_lstm.h"

namespace offbeat {
namespace {

/// Steps that a layer takes at a time, and so is ahead of the next one. More of them leave fewer for two layers at once, fewer of them
/// bring the weights of the input products, which the first-level cache cannot keep beside those of two layers, near more often.
constexpr std::size_t n_steps_at_once = 24;
static_assert(LstmGroupOp::n_most * n_steps_at_once <= kernels::quantised_rows, "rows of gates that the scratch has");

/// The layers of a group while they run.
class GroupRun {
 public:
  GroupRun(const Frame& frame, const LstmGroupOp& group) noexcept : frame_(frame), group_(group) {}

  void run() noexcept {
    while (const Choice choice = choose()) {
      LstmRun& first = *runs_[choice.first];
      const kernels::LstmArgs args = first.take(choice.n_steps);
      if (choice.second) {
        LstmRun& second = *runs_[*choice.second];
        frame_.kernels.lstm_two(args, second.take(choice.n_steps));
        if (second.n_left() == 0) second.finish();
      } else {
        run_kernel(frame_, args);
      }
      if (first.n_left() == 0) first.finish();
    }
  }

 private:
  struct Choice {
    std::size_t first = 0;
    std::optional<std::size_t> second;
    std::size_t n_steps = 0;

    explicit operator bool() const noexcept { return n_steps > 0; }
  };

  /// The first layer that can go on, with the next one that can.
  Choice choose() noexcept {
    Choice choice;
    for (std::size_t layer = 0; layer < group_.layers.size(); ++layer) {
      const std::size_t n_ready = ready_steps(layer);
      if (n_ready == 0) continue;
      if (choice.n_steps > 0) {
        choice.second = layer;
        choice.n_steps = std::min(choice.n_steps, n_ready);
        break;
      }
      choice.first = layer;
      choice.n_steps = n_ready;
    }
    return choice;
  }

  /// Steps that a layer can take now, whatever the others do.
  std::size_t ready_steps(std::size_t index) noexcept {
    const LstmGroupOp::Layer& layer = group_.layers[index];
    if (!runs_[index]) {
      const bool waits_for_all = layer.input_from && layer.op.input == LstmInput::constant && !is_finished(*layer.input_from);
      if (waits_for_all || (layer.initial_from && !is_finished(*layer.initial_from))) return 0;
      runs_[index].emplace(frame_, layer.op, frame_.gates + index * n_steps_at_once * gates_width(frame_, layer.op));
    }
    const LstmRun& run = *runs_[index];
    std::size_t n_ready = std::min(n_steps_at_once, run.n_left());
    if (layer.input_from && layer.op.input == LstmInput::sequence) {
      const auto& input = runs_[*layer.input_from];
      n_ready = std::min(n_ready, (input ? input->n_taken() : 0) - run.n_taken());
    }
    return n_ready;
  }

  [[nodiscard]] bool is_finished(std::size_t index) const noexcept { return runs_[index] && runs_[index]->n_left() == 0; }

  const Frame& frame_;
  const LstmGroupOp& group_;
  std::array<std::optional<LstmRun>, LstmGroupOp::n_most> runs_;
};

}  // namespace

void run_lstm_group(const Frame& frame, const LstmGroupOp& group) noexcept {
  if (frame.n == 1) {
    GroupRun(frame, group).run();
  } else {  // tiles of several rows have enough to do
    for (const LstmGroupOp::Layer& layer : group.layers) run_lstm(frame, layer.op);
  }
}

}  // namespace offbeat
