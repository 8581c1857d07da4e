#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "kernels/kernels.h"
#include "plan.h"

/// A plan as the engine runs it: operations on buffers that hold a tile of sequences.
///
/// Every value of a tile of n sequences is an array [draw, step, sequence, size], its rows `stride` floats apart; a value that does
/// not change over the steps keeps one of them.
namespace offbeat {

/// How many steps a value has: one where it has no time, the window's, or a fixed number, cut to the window's where the others are not
/// needed.
struct Steps {
  bool is_window = false;
  std::size_t n_fixed = 1;
  bool is_cut = false;

  [[nodiscard]] std::size_t count(std::size_t time) const noexcept { return is_window || (is_cut && time < n_fixed) ? time : n_fixed; }
  /// Whether there are never more of them than the window has.
  [[nodiscard]] bool is_within_window() const noexcept { return is_window || is_cut; }
};

struct Value {
  std::size_t buffer = 0;
  std::size_t size = 0;
  std::size_t stride = 0;
  std::size_t n_draws = 1;
  Steps steps{};            ///< of the value
  bool is_repeated = false; ///< one step is kept and stands for all
  bool is_zero = false;     ///< nothing is kept
  bool is_last_only = false;///< only the last step is kept: what follows is last_step

  [[nodiscard]] std::size_t n_kept_steps(std::size_t time) const noexcept {
    return is_repeated || is_last_only ? 1 : steps.count(time);
  }
};

/// Floats of scratch for each sequence of a tile.
struct Extent {
  std::size_t per_step = 0;
  std::size_t constant = 0;

  [[nodiscard]] std::size_t floats(std::size_t time) const noexcept { return per_step * time + constant; }
};

struct NormaliseOp {
  Value out;
};

struct LinearOp {
  Value in;
  Value out;
  kernels::Packed weight;
  const float* bias;
  const float* factor;  ///< of 16-bit weights, or null
  kernels::Unary unary;
};

struct NarrowOp {
  Value in;
  Value out;
  const float* weight;
  std::size_t weight_stride;
  const float* bias;
  kernels::Unary unary;
};

/// h and c of every sequence, [sequence, size].
struct State {
  Value h;
  Value c;
};

enum class LstmInput : std::uint8_t { none, constant, sequence };

struct LstmOp {
  LstmInput input;
  Value in;
  kernels::Packed weight_input;
  kernels::Packed weight_hidden;
  const float* bias;
  std::size_t hidden_size;
  Steps steps;
  bool is_backward;
  bool is_fused;        ///< weight_input is of a format that can be multiplied in the same pass as weight_hidden
  bool has_initial;
  State initial;
  std::size_t c;        ///< buffer of the cells
  bool keeps_sequence;
  Value out;            ///< the sequence, or the last step, or (is_zero) nothing
  std::size_t out_column;
  std::size_t ring;     ///< buffer of two steps, where the sequence is not kept
  bool has_final;
  State final_state;
  std::size_t final_column;
};

/// Layers one after the other in the plan, the steps of two of which can be taken in turn as soon as what they need is there.
struct LstmGroupOp {
  static constexpr std::size_t n_most = 4;

  struct Layer {
    LstmOp op;
    std::optional<std::size_t> input_from;    ///< the layer of the group whose sequence it reads
    std::optional<std::size_t> initial_from;  ///< the layer of the group in whose final state it begins
  };
  std::vector<Layer> layers;
};

struct LastStepOp {
  Value in;
  Value out;
};

/// Writes out a value that is repeated or zero.
struct MaterialiseOp {
  Value in;
  Value out;
};

struct FlattenOp {
  Value in;
  Value out;
};

struct UnflattenOp {
  Value in;
  Value out;
};

struct AddOp {
  Value a;
  Value b;
  Value out;
};

struct UnaryOp {
  Value in;
  Value out;
  kernels::Unary unary;
};

/// out = in · factor + offset, element by element of a row.
struct AffineOp {
  Value in;
  Value out;
  const float* factor;
  const float* offset;
};

struct SoftmaxOp {
  Value in;
  Value out;
};

/// out[draw] = mean + e^(clip(log variance) / 2) · noise[draw].
struct DrawsOp {
  Value mean;
  Value log_variance;  ///< overwritten
  Value out;
  float limit;
  const float* noise;
};

using Operation = std::variant<NormaliseOp, LinearOp, NarrowOp, LstmOp, LstmGroupOp, LastStepOp, MaterialiseOp, FlattenOp, UnflattenOp, AddOp, UnaryOp,
                               AffineOp, SoftmaxOp, DrawsOp>;

struct Step {
  Operation operation;
  std::uint32_t needed_by = 0;  ///< bit 0: the reconstruction; bit 1 + i: head i
};

struct HeadValue {
  HeadOutput output;
  Value value;
};

/// Constants: packed weights, biases, noise. Each is aligned to 64 bytes and keeps its address.
class Constants {
 public:
  std::byte* allocate(std::size_t n_bytes);
  template <class T>
  T* allocate_array(std::size_t n) {
    return reinterpret_cast<T*>(allocate(n * sizeof(T)));
  }

 private:
  struct Free {
    void operator()(std::byte* data) const noexcept;
  };
  std::vector<std::unique_ptr<std::byte[], Free>> blocks_;
};

struct Program {
  Constants constants;
  std::vector<Step> steps;
  std::vector<Extent> slots;               ///< scratch, shared by buffers that do not live at the same time
  std::vector<std::size_t> slot_of_buffer;
  Value normalised;
  Value reconstruction;
  std::vector<HeadValue> heads;
  std::size_t sums = 0;                    ///< buffer of the error's sums, [sequence, feature]
  std::size_t errors = 0;                  ///< buffer of the errors, [sequence], and behind them the draws', [draw, sequence]
  std::size_t n_features = 0;
  std::size_t n_flat_steps = 0;            ///< where windows and their reconstructions are kept as rows of all their steps side by side
  const float* mean = nullptr;
  const float* scale = nullptr;
  ErrorKind error = ErrorKind::mean_squared;
  float threshold = 0;
  bool has_draws = false;
  bool has_lstm = false;
  std::size_t gate_width = 0;              ///< floats of a row of gates that are computed ahead, the widest
  std::size_t quantised_bytes = 0;         ///< scratch of the i8 kernels
  std::size_t n_weight_bytes = 0;          ///< of the largest layer
};

}  // namespace offbeat
