#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "engine_layout.h"
#include "engine_pack.h"
#include "engine_program.h"
#include "offbeat/session.h"
#include "plan.h"

namespace offbeat {

inline std::size_t padded(std::size_t size, std::size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

/// Rows of few numbers lie side by side; wider ones are whole vectors.
inline std::size_t row_stride(std::size_t size) { return size <= kernels::n_narrow ? size : padded(size, kernels::row_alignment); }

inline bool is_16_bit(kernels::Format format) { return format == kernels::Format::bf16 || format == kernels::Format::f16; }

/// What a kernel can apply in passing: softmax, which needs whole rows, is none.
kernels::Unary unary_of(Activation activation);

/// Turns the layers of one plan into operations, one after the other; used once.
class Compiler {
 public:
  Compiler(const Plan& plan, const kernels::Kernels& kernels, Precision precision);

  std::unique_ptr<const Program> compile();

 private:
  using Format = kernels::Format;
  using Packed = kernels::Packed;
  using Unary = kernels::Unary;

  struct Affine {
    std::vector<float> factor;
    std::vector<float> offset;
  };
  enum class Need { sequence, last, nothing };

  /// Whether windows go in as rows of all their steps and come out as such: nothing needs them step by step then.
  [[nodiscard]] bool is_flattened() const;

  // Values and operations, and layers that move or change numbers: engine_compile.cpp
  Value vector(std::size_t size, Steps steps, std::size_t n_draws = 1);
  Value strided(std::size_t size, std::size_t stride, Steps steps, std::size_t n_draws = 1);
  /// A value like another in everything but its size, kept as often.
  Value like(const Value& in, std::size_t size);
  Value like(const Value& in, std::size_t size, std::size_t stride);
  static Extent extent(const Value& value);
  void add(Operation operation, std::initializer_list<Value> reads, std::initializer_list<Value> writes);
  void add_buffers(Operation operation, std::vector<std::size_t> reads, std::vector<std::size_t> writes);
  Value materialised(const Value& in);
  const float* constant(std::span<const float> numbers, std::size_t n_padded);
  /// Numbers of the features as the kernel of the normalisation takes them, with a number behind those of a row.
  const float* of_features(std::span<const float> numbers, float behind);
  void add_judgement();
  Value apply_layers(std::span<const Layer> layers, Value value);
  /// Applies the layer at index, and those behind it that were fused into it; gives their number.
  std::size_t apply(std::span<const Layer> layers, std::size_t index, Value& value);
  Value apply_simple(const Layer& layer, const Value& value);
  Value last_step(Value value);
  Value repeated(const RepeatLayer& repeat, Value value);
  Value flattened(const Value& in);
  Value unflattened(const UnflattenLayer& layer, const Value& in);
  Value sum(const Value& a, const Value& b);
  Value activated(Activation activation, const Value& in);

  // Linear layers, with the batch normalisation and the activation behind them: engine_compile_linear.cpp
  /// (x − mean) / √(variance + epsilon) · weight + bias as x · factor + offset.
  static Affine affine(const BatchNormLayer& norm);
  Value normalised(const BatchNormLayer& norm, const Value& in);
  Format format_of(const Matrix& matrix) const;
  std::size_t apply_linear(const LinearLayer& linear, std::span<const Layer> behind, Value& value);
  Value multiplied(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in);
  void add_narrow(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in,
                  const Value& out);
  Packed pack_counted(const Matrix& matrix, std::span<const PackedRow> rows, Format format);
  Value drawn(const GaussianDrawsLayer& draws, const Value& in);
  Value wide(const Matrix& weight, Vector bias, const Value& in);
  void apply_dense_state(const DenseStateLayer& dense);

  // Lstm layers: engine_compile_lstm.cpp
  /// What the layers behind an lstm take of its steps.
  static Need need_of(std::span<const Layer> behind);
  State new_state(std::size_t size);
  Value apply_lstm(const LstmLayer& layer, std::span<const Layer> behind, const Value& in);
  Value apply_bidirectional(const BidirectionalLstmLayer& layer, const Value& in);
  LstmOp direction(const LstmWeights& weights, std::size_t hidden_size, const Value& in);
  const float* lstm_bias(const LstmWeights& weights, std::span<const PackedRow> rows);
  void add_lstm(const LstmOp& op);
  /// Makes it part of the group that the operation before it is, or becomes; false where that is none for it.
  bool join_group(const LstmOp& op);
  bool can_be_grouped(const LstmOp& op) const;
  /// Whether a head takes what this layer gives: it must not cost the head the layers behind.
  bool is_kept(const LstmOp& op) const;

  const Plan& plan_;
  std::size_t n_lanes_;
  bool takes_groups_;
  Precision precision_;
  std::unique_ptr<Program> program_;
  std::vector<State> states_;
  std::vector<Value> kept_;
  Layout layout_;
};

}  // namespace offbeat
