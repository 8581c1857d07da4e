// Linear layers: packed, with the batch normalisation and the activation behind them taken in.
#include <algorithm>
#include <cmath>

#include "engine_compiler.h"

namespace offbeat {

using kernels::n_narrow;
using kernels::row_alignment;

Compiler::Affine Compiler::affine(const BatchNormLayer& norm) {
  Affine result{std::vector<float>(norm.mean.size()), std::vector<float>(norm.mean.size())};
  for (std::size_t i = 0; i < norm.mean.size(); ++i) {
    const double factor = norm.weight[i] / std::sqrt(static_cast<double>(norm.variance[i]) + static_cast<double>(norm.epsilon));
    result.factor[i] = static_cast<float>(factor);
    result.offset[i] = static_cast<float>(norm.bias[i] - norm.mean[i] * factor);
  }
  return result;
}

Value Compiler::normalised(const BatchNormLayer& norm, const Value& in) {
  const Value value = in.is_zero ? materialised(in) : in;
  const Affine numbers = affine(norm);
  const Value out = like(value, value.size);
  add(AffineOp{value, out, constant(numbers.factor, 0), constant(numbers.offset, 0)}, {value}, {out});
  return out;
}

kernels::Format Compiler::format_of(const Matrix& matrix) const {
  return packed_format(matrix, precision_);
}

std::size_t Compiler::apply_linear(const LinearLayer& linear, std::span<const Layer> behind, Value& value) {
  std::size_t n_taken = 1;
  std::vector<float> factors;
  std::vector<float> bias(linear.bias.begin(), linear.bias.end());
  if (n_taken <= behind.size()) {
    if (const auto* norm = std::get_if<BatchNormLayer>(&behind[n_taken - 1].kind)) {
      const Affine numbers = affine(*norm);
      factors = numbers.factor;
      for (std::size_t row = 0; row < bias.size(); ++row) bias[row] = bias[row] * numbers.factor[row] + numbers.offset[row];
      ++n_taken;
    }
  }
  Unary unary = Unary::none;
  if (n_taken <= behind.size()) {
    if (const auto* activation = std::get_if<ActivationLayer>(&behind[n_taken - 1].kind)) {
      unary = unary_of(activation->activation);
      if (unary != Unary::none) ++n_taken;
    }
  }
  value = multiplied(linear.weight, factors, bias, unary, value);
  return n_taken;
}

Value Compiler::multiplied(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in) {
  const Value value = in.is_zero ? materialised(in) : in;
  const Value out = like(value, weight.n_rows);
  if (weight.n_rows <= n_narrow) {
    add_narrow(weight, factors, bias, unary, value, out);
    return out;
  }
  const Format format = format_of(weight);
  const bool takes_factors = !is_16_bit(format);
  const Packed packed = pack_counted(weight, linear_rows(weight.n_rows, takes_factors ? factors : std::span<const float>{}, n_lanes_), format);
  const std::size_t n_padded = packed.n_vectors * n_lanes_;
  const float* scale = takes_factors || factors.empty() ? nullptr : constant(factors, n_padded);
  add(LinearOp{value, out, packed, constant(bias, n_padded), scale, unary}, {value}, {out});
  return out;
}

void Compiler::add_narrow(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in,
                const Value& out) {
  const std::size_t stride = padded(weight.n_columns, row_alignment);
  auto* numbers = program_->constants.allocate_array<float>(weight.n_rows * stride);
  for (std::size_t row = 0; row < weight.n_rows; ++row) {
    const float factor = factors.empty() ? 1.0f : factors[row];
    for (std::size_t column = 0; column < weight.n_columns; ++column) numbers[row * stride + column] = element(weight, row, column) * factor;
  }
  add(NarrowOp{in, out, numbers, stride, constant(bias, 0), unary}, {in}, {out});
}

kernels::Packed Compiler::pack_counted(const Matrix& matrix, std::span<const PackedRow> rows, Format format) {
  const Packed packed = pack(matrix, rows, format, n_lanes_, program_->constants);
  const std::size_t width = format == Format::f32 ? 4 : format == Format::i8 ? 1 : 2;
  program_->n_weight_bytes = std::max(program_->n_weight_bytes, rows.size() * matrix.n_columns * width);
  if (format == Format::i8) program_->quantised_bytes = std::max(program_->quantised_bytes, kernels::n_quantised_bytes(matrix.n_columns));
  return packed;
}

Value Compiler::drawn(const GaussianDrawsLayer& draws, const Value& in) {
  const Value value = in.is_zero ? materialised(in) : in;
  const Value mean = wide(draws.weight_mean, draws.bias_mean, value);
  const Value log_variance = wide(draws.weight_log_variance, draws.bias_log_variance, value);
  Value out = strided(mean.size, row_stride(mean.size), {}, draws.n_draws);
  add(DrawsOp{mean, log_variance, out, draws.limit, constant(draws.noise, 0)}, {mean, log_variance}, {out});
  return out;
}

Value Compiler::wide(const Matrix& weight, Vector bias, const Value& in) {
  return multiplied(weight, {}, bias, Unary::none, in);
}

void Compiler::apply_dense_state(const DenseStateLayer& dense) {
  const State& state = states_[dense.state];
  const Unary unary = unary_of(dense.activation);
  const Value h = multiplied(dense.weight_hidden, {}, dense.bias_hidden, unary, state.h);
  const Value c = multiplied(dense.weight_cell, {}, dense.bias_cell, unary, state.c);
  states_[dense.final_state] = {h, c};
}

}  // namespace offbeat
