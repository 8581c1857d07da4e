#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

/// A layer plan as docs/format.md describes it, resolved and validated: every name is an index, every shape has been checked,
/// every number is finite. Sizes and steps are at most `max_size`.
namespace offbeat {

enum class DType : std::uint8_t { f32, f16, bf16, i8 };

/// A weight matrix [n_rows, n_columns], row-major, as it lies in the file. An i8 matrix stands for q · row_scale[row].
struct Matrix {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  std::size_t n_rows = 0;
  std::size_t n_columns = 0;
  std::span<const float> row_scale{};  ///< [n_rows] for i8, else empty
};

using Vector = std::span<const float>;

/// Of any axis: large for a model, and small enough that the product of two, in bytes, fits into 64 bits by far.
inline constexpr std::size_t max_size = std::size_t{1} << 24;
/// Steps that a vector is repeated for at most, where a layer behind needs all of them, however short the window.
inline constexpr std::size_t max_repeats = std::size_t{1} << 16;

enum class Activation : std::uint8_t { linear, relu, sigmoid, tanh, softmax };
enum class ErrorKind : std::uint8_t { mean_squared, sum_squared, sum_absolute };

inline constexpr std::size_t no_slot = static_cast<std::size_t>(-1);

/// Gates in the order i, f, g, o: weight_input [4 H, input_size], weight_hidden [4 H, H], biases [4 H].
struct LstmWeights {
  Matrix weight_input;
  Matrix weight_hidden;
  Vector bias_input;
  Vector bias_hidden;
};

struct LstmLayer {
  std::size_t input_size;
  std::size_t hidden_size;
  LstmWeights weights;
  std::size_t initial_state = no_slot;
  std::size_t final_state = no_slot;
};

struct BidirectionalLstmLayer {
  std::size_t input_size;
  std::size_t hidden_size;
  LstmWeights forward;
  LstmWeights backward;
  std::size_t final_state = no_slot;
};

struct LastStepLayer {};

struct HiddenStateLayer {
  std::size_t state;
};

struct DenseStateLayer {
  std::size_t state;
  std::size_t final_state;
  Activation activation;
  Matrix weight_hidden;
  Matrix weight_cell;
  Vector bias_hidden;
  Vector bias_cell;
};

struct RepeatLayer {
  std::optional<std::size_t> n_repeats;  ///< absent: as many steps as the window has
  bool is_cut = false;                   ///< nobody sees the steps beyond the window's, which need not be computed
};

struct ZerosLayer {
  std::size_t size;
};

struct LinearLayer {
  Matrix weight;
  Vector bias;
};

struct BatchNormLayer {
  Vector mean;
  Vector variance;
  Vector weight;
  Vector bias;
  float epsilon;
};

struct ActivationLayer {
  Activation activation;
};

struct KeepLayer {
  std::size_t value;
};

struct GaussianDrawsLayer {
  Matrix weight_mean;
  Matrix weight_log_variance;
  Vector bias_mean;
  Vector bias_log_variance;
  float limit;
  Vector noise;  ///< [n_draws, output_size]
  std::size_t n_draws;
};

struct FlattenLayer {};

struct UnflattenLayer {
  std::size_t n_steps;
};

struct AddLayer {
  std::size_t value;
};

using LayerKind = std::variant<LstmLayer, BidirectionalLstmLayer, LastStepLayer, HiddenStateLayer, DenseStateLayer, RepeatLayer, ZerosLayer,
                 LinearLayer, BatchNormLayer, ActivationLayer, KeepLayer, GaussianDrawsLayer, FlattenLayer, UnflattenLayer,
                 AddLayer>;

/// The shape of the value behind a layer: [draw,] batch[, time], size.
struct ValueShape {
  bool has_draws = false;
  bool has_time = false;
  std::optional<std::size_t> n_steps{};  ///< where it is another number than the window's steps
  std::size_t size = 0;

  bool operator==(const ValueShape&) const = default;
};

struct Layer {
  LayerKind kind;
  ValueShape output;
};

enum class HeadOutput : std::uint8_t { class_probability, forecast };

struct Head {
  HeadOutput output;
  std::size_t value;  ///< slot of the kept value that the layers begin with
  std::vector<Layer> layers;
  std::size_t size;  ///< classes, or features
};

struct Plan {
  std::size_t n_features = 0;
  bool has_time = false;
  std::optional<std::size_t> n_steps{};  ///< where windows must have exactly this many steps
  Vector mean;                           ///< [n_features]
  Vector scale;                          ///< [n_features]
  std::vector<Layer> layers;
  std::vector<Head> heads;
  ErrorKind error = ErrorKind::mean_squared;
  float threshold = 0;
  std::vector<std::size_t> state_sizes;  ///< size of h and of c, by state slot
  std::vector<ValueShape> value_shapes;  ///< by value slot
};

}  // namespace offbeat
