#include "engine_compile.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "engine_layout.h"
#include "engine_pack.h"

namespace offbeat {
namespace {

using kernels::Format;
using kernels::n_narrow;
using kernels::Packed;
using kernels::row_alignment;
using kernels::Unary;

std::size_t padded(std::size_t size, std::size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

/// Rows of few numbers lie side by side; wider ones are whole vectors.
std::size_t row_stride(std::size_t size) { return size <= n_narrow ? size : padded(size, row_alignment); }

bool is_16_bit(Format format) { return format == Format::bf16 || format == Format::f16; }

Unary unary_of(Activation activation) {
  switch (activation) {
    case Activation::relu: return Unary::relu;
    case Activation::sigmoid: return Unary::sigmoid;
    case Activation::tanh: return Unary::tanh;
    case Activation::linear:
    case Activation::softmax: break;
  }
  return Unary::none;
}

class Compiler {
 public:
  Compiler(const Plan& plan, const kernels::Kernels& kernels, Precision precision)
      : plan_(plan), n_lanes_(kernels.n_lanes), precision_(precision), program_(std::make_unique<Program>()),
        states_(plan.state_sizes.size()), kept_(plan.value_shapes.size()) {}

  std::unique_ptr<const Program> compile() {
    add_judgement();
    Value value = vector(plan_.n_features, {.is_window = plan_.has_time, .n_fixed = 1});
    program_->normalised = value;
    add(NormaliseOp{value}, {}, {value});
    program_->reconstruction = apply_layers(plan_.layers, value);
    if (program_->reconstruction.is_zero) program_->reconstruction = materialised(program_->reconstruction);
    for (const Head& head : plan_.heads) {
      const Value output = apply_layers(head.layers, kept_[head.value]);
      program_->heads.push_back({head.output, output.is_zero ? materialised(output) : output});
    }
    layout_.finish(*program_);
    return std::move(program_);
  }

 private:
  // Values and operations

  Value vector(std::size_t size, Steps steps, std::size_t n_draws = 1) { return strided(size, row_stride(size), steps, n_draws); }

  Value strided(std::size_t size, std::size_t stride, Steps steps, std::size_t n_draws = 1) {
    Value value{.size = size, .stride = stride, .n_draws = n_draws, .steps = steps};
    value.buffer = layout_.add_buffer(extent(value));
    return value;
  }

  /// A value like another in everything but its size, kept as often.
  Value like(const Value& in, std::size_t size) { return like(in, size, row_stride(size)); }

  Value like(const Value& in, std::size_t size, std::size_t stride) {
    Value value = in;
    value.size = size;
    value.stride = stride;
    value.buffer = layout_.add_buffer(extent(value));
    return value;
  }

  static Extent extent(const Value& value) {
    const std::size_t row = value.stride * value.n_draws;
    if (value.is_repeated || value.is_last_only) return {0, row};
    return value.steps.is_window ? Extent{row, 0} : Extent{0, row * value.steps.n_fixed};
  }

  void add(Operation operation, std::initializer_list<Value> reads, std::initializer_list<Value> writes) {
    std::vector<std::size_t> read_buffers;
    std::vector<std::size_t> written_buffers;
    for (const Value& value : reads) {
      if (!value.is_zero) read_buffers.push_back(value.buffer);
    }
    for (const Value& value : writes) {
      if (!value.is_zero) written_buffers.push_back(value.buffer);
    }
    add_buffers(std::move(operation), std::move(read_buffers), std::move(written_buffers));
  }

  void add_buffers(Operation operation, std::vector<std::size_t> reads, std::vector<std::size_t> writes) {
    program_->steps.push_back({std::move(operation)});
    layout_.add_operation(std::move(reads), std::move(writes));
  }

  Value materialised(const Value& in) {
    if (!in.is_zero && !in.is_repeated) return in;
    const Value out = strided(in.size, row_stride(in.size), in.steps, in.n_draws);
    add(MaterialiseOp{in, out}, {in}, {out});
    return out;
  }

  const float* constant(std::span<const float> numbers, std::size_t n_padded) {
    auto* data = program_->constants.allocate_array<float>(std::max(n_padded, numbers.size()));
    std::copy(numbers.begin(), numbers.end(), data);
    return data;
  }

  void add_judgement() {
    program_->n_features = plan_.n_features;
    program_->mean = constant(plan_.mean, 0);
    program_->scale = constant(plan_.scale, 0);
    program_->error = plan_.error;
    program_->threshold = plan_.threshold;
    program_->sums = layout_.add_lasting_buffer({0, padded(plan_.n_features, row_alignment)});
    std::size_t n_draws = 0;
    for (const Layer& layer : plan_.layers) {
      if (const auto* draws = std::get_if<GaussianDrawsLayer>(&layer.kind)) n_draws = std::max(n_draws, draws->n_draws);
    }
    program_->draw_errors = layout_.add_lasting_buffer({0, n_draws});
    program_->has_draws = n_draws > 0;
  }

  // Layers

  Value apply_layers(std::span<const Layer> layers, Value value) {
    for (std::size_t index = 0; index < layers.size();) {
      const std::size_t n_taken = apply(layers, index, value);
      index += n_taken;
    }
    return value;
  }

  /// Applies the layer at index, and those behind it that were fused into it; gives their number.
  std::size_t apply(std::span<const Layer> layers, std::size_t index, Value& value) {
    const Layer& layer = layers[index];
    if (const auto* linear = std::get_if<LinearLayer>(&layer.kind)) return apply_linear(*linear, layers.subspan(index + 1), value);
    if (const auto* lstm = std::get_if<LstmLayer>(&layer.kind)) {
      value = apply_lstm(*lstm, layers.subspan(index + 1), value);
    } else if (const auto* both = std::get_if<BidirectionalLstmLayer>(&layer.kind)) {
      value = apply_bidirectional(*both, value);
    } else if (const auto* dense = std::get_if<DenseStateLayer>(&layer.kind)) {
      apply_dense_state(*dense);
    } else if (const auto* keep = std::get_if<KeepLayer>(&layer.kind)) {
      kept_[keep->value] = value;
    } else {
      value = apply_simple(layer, value);
    }
    return 1;
  }

  Value apply_simple(const Layer& layer, const Value& value) {
    if (std::get_if<LastStepLayer>(&layer.kind) != nullptr) return last_step(value);
    if (const auto* hidden = std::get_if<HiddenStateLayer>(&layer.kind)) return states_[hidden->state].h;
    if (const auto* repeat = std::get_if<RepeatLayer>(&layer.kind)) return repeated(*repeat, value);
    if (const auto* zeros = std::get_if<ZerosLayer>(&layer.kind)) {
      return {.size = zeros->size, .stride = row_stride(zeros->size), .steps = {.is_window = true, .n_fixed = 0}, .is_repeated = true, .is_zero = true};
    }
    if (const auto* norm = std::get_if<BatchNormLayer>(&layer.kind)) return normalised(*norm, value);
    if (const auto* activation = std::get_if<ActivationLayer>(&layer.kind)) return activated(activation->activation, value);
    if (const auto* draws = std::get_if<GaussianDrawsLayer>(&layer.kind)) return drawn(*draws, value);
    if (std::get_if<FlattenLayer>(&layer.kind) != nullptr) return flattened(value);
    if (const auto* unflatten = std::get_if<UnflattenLayer>(&layer.kind)) return unflattened(*unflatten, value);
    return sum(value, kept_[std::get<AddLayer>(layer.kind).value]);
  }

  Value last_step(Value value) {
    if (value.is_repeated || value.is_last_only) {  // what is kept is the last step already
      value.is_repeated = value.is_last_only = false;
      value.steps = {};
      return value.is_zero ? materialised(value) : value;
    }
    const Value out = strided(value.size, value.stride, {}, value.n_draws);
    add(LastStepOp{value, out}, {value}, {out});
    return out;
  }

  Value repeated(const RepeatLayer& repeat, Value value) {
    value.is_repeated = true;
    value.steps = {.is_window = !repeat.n_repeats.has_value(), .n_fixed = repeat.n_repeats.value_or(0)};
    return value;
  }

  Value flattened(const Value& in) {
    const Value value = materialised(in);
    const std::size_t n_steps = value.steps.is_window ? plan_.n_steps.value_or(1) : value.steps.n_fixed;
    const Value out = vector(value.size * n_steps, {}, value.n_draws);
    add(FlattenOp{value, out}, {value}, {out});
    return out;
  }

  Value unflattened(const UnflattenLayer& layer, const Value& in) {
    const Value value = materialised(in);
    const Value out = vector(value.size / layer.n_steps, {.is_window = false, .n_fixed = layer.n_steps}, value.n_draws);
    add(UnflattenOp{value, out}, {value}, {out});
    return out;
  }

  Value sum(const Value& a, const Value& b) {
    Value shape = a;
    shape.is_repeated = a.is_repeated && b.is_repeated;
    shape.is_zero = false;
    const Value left = a.is_zero ? materialised(a) : a;
    const Value right = b.is_zero ? materialised(b) : b;
    shape.is_repeated = left.is_repeated && right.is_repeated;
    shape.n_draws = std::max(left.n_draws, right.n_draws);
    const Value out = like(shape, shape.size);
    add(AddOp{left, right, out}, {left, right}, {out});
    return out;
  }

  Value activated(Activation activation, const Value& in) {
    if (activation == Activation::linear) return in;
    const Value value = in.is_zero ? materialised(in) : in;
    const Value out = like(value, value.size, value.stride);
    if (activation == Activation::softmax) {
      add(SoftmaxOp{value, out}, {value}, {out});
    } else {
      add(UnaryOp{value, out, unary_of(activation)}, {value}, {out});
    }
    return out;
  }

  struct Affine {
    std::vector<float> factor;
    std::vector<float> offset;
  };

  /// (x − mean) / √(variance + epsilon) · weight + bias as x · factor + offset.
  static Affine affine(const BatchNormLayer& norm) {
    Affine result{std::vector<float>(norm.mean.size()), std::vector<float>(norm.mean.size())};
    for (std::size_t i = 0; i < norm.mean.size(); ++i) {
      const double factor = norm.weight[i] / std::sqrt(static_cast<double>(norm.variance[i]) + static_cast<double>(norm.epsilon));
      result.factor[i] = static_cast<float>(factor);
      result.offset[i] = static_cast<float>(norm.bias[i] - norm.mean[i] * factor);
    }
    return result;
  }

  Value normalised(const BatchNormLayer& norm, const Value& in) {
    const Value value = in.is_zero ? materialised(in) : in;
    const Affine numbers = affine(norm);
    const Value out = like(value, value.size);
    add(AffineOp{value, out, constant(numbers.factor, 0), constant(numbers.offset, 0)}, {value}, {out});
    return out;
  }

  // Linear layers, with the batch normalisation and the activation behind them

  Format format_of(const Matrix& matrix) const { return packed_format(matrix, precision_); }

  std::size_t apply_linear(const LinearLayer& linear, std::span<const Layer> behind, Value& value) {
    std::size_t n_taken = 1;
    const bool is_narrow = linear.weight.n_rows <= n_narrow;
    std::vector<float> factors;
    std::vector<float> bias(linear.bias.begin(), linear.bias.end());
    if (n_taken <= behind.size() && (is_narrow || !is_16_bit(format_of(linear.weight)))) {
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

  Value multiplied(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in) {
    const Value value = in.is_zero ? materialised(in) : in;
    const Value out = like(value, weight.n_rows);
    if (weight.n_rows <= n_narrow) {
      add_narrow(weight, factors, bias, unary, value, out);
      return out;
    }
    const Packed packed = pack_counted(weight, linear_rows(weight.n_rows, factors, n_lanes_), format_of(weight));
    add(LinearOp{value, out, packed, constant(bias, packed.n_vectors * n_lanes_), unary}, {value}, {out});
    return out;
  }

  void add_narrow(const Matrix& weight, std::span<const float> factors, std::span<const float> bias, Unary unary, const Value& in,
                  const Value& out) {
    const std::size_t stride = padded(weight.n_columns, row_alignment);
    auto* numbers = program_->constants.allocate_array<float>(weight.n_rows * stride);
    for (std::size_t row = 0; row < weight.n_rows; ++row) {
      const float factor = factors.empty() ? 1.0f : factors[row];
      for (std::size_t column = 0; column < weight.n_columns; ++column) numbers[row * stride + column] = element(weight, row, column) * factor;
    }
    add(NarrowOp{in, out, numbers, stride, constant(bias, 0), unary}, {in}, {out});
  }

  Packed pack_counted(const Matrix& matrix, std::span<const PackedRow> rows, Format format) {
    const Packed packed = pack(matrix, rows, format, n_lanes_, program_->constants);
    const std::size_t width = format == Format::f32 ? 4 : format == Format::i8 ? 1 : 2;
    program_->n_weight_bytes = std::max(program_->n_weight_bytes, rows.size() * matrix.n_columns * width);
    if (format == Format::i8) program_->quantised_bytes = std::max(program_->quantised_bytes, kernels::n_quantised_bytes(matrix.n_columns));
    return packed;
  }

  Value drawn(const GaussianDrawsLayer& draws, const Value& in) {
    const Value value = in.is_zero ? materialised(in) : in;
    const Value mean = wide(draws.weight_mean, draws.bias_mean, value);
    const Value log_variance = wide(draws.weight_log_variance, draws.bias_log_variance, value);
    Value out = strided(mean.size, row_stride(mean.size), {}, draws.n_draws);
    add(DrawsOp{mean, log_variance, out, draws.limit, constant(draws.noise, 0)}, {mean, log_variance}, {out});
    return out;
  }

  Value wide(const Matrix& weight, Vector bias, const Value& in) { return multiplied(weight, {}, bias, Unary::none, in); }

  void apply_dense_state(const DenseStateLayer& dense) {
    const State& state = states_[dense.state];
    const Unary unary = unary_of(dense.activation);
    const Value h = multiplied(dense.weight_hidden, {}, dense.bias_hidden, unary, state.h);
    const Value c = multiplied(dense.weight_cell, {}, dense.bias_cell, unary, state.c);
    states_[dense.final_state] = {h, c};
  }

  // Lstm layers

  enum class Need { sequence, last, nothing };

  /// What the layers behind an lstm take of its steps.
  static Need need_of(std::span<const Layer> behind) {
    for (const Layer& layer : behind) {
      if (std::get_if<DenseStateLayer>(&layer.kind) != nullptr) continue;
      if (std::get_if<LastStepLayer>(&layer.kind) != nullptr) return Need::last;
      if (std::get_if<ZerosLayer>(&layer.kind) != nullptr || std::get_if<HiddenStateLayer>(&layer.kind) != nullptr) return Need::nothing;
      return Need::sequence;
    }
    return Need::sequence;
  }

  State new_state(std::size_t size) {
    const std::size_t stride = padded(size + n_lanes_, row_alignment);
    return {strided(size, stride, {}), strided(size, stride, {})};
  }

  Value apply_lstm(const LstmLayer& layer, std::span<const Layer> behind, const Value& in) {
    Value out{.size = layer.hidden_size, .stride = padded(layer.hidden_size, row_alignment), .steps = in.steps};
    const Need need = need_of(behind);
    out.is_last_only = need == Need::last;
    out.is_zero = need == Need::nothing;
    if (!out.is_zero) out.buffer = layout_.add_buffer(extent(out));
    State final_state{};
    if (layer.final_state != no_slot) states_[layer.final_state] = final_state = new_state(layer.hidden_size);
    LstmOp op = direction(layer.weights, layer.hidden_size, in);
    op.keeps_sequence = need == Need::sequence;
    op.out = out;
    op.has_initial = layer.initial_state != no_slot;
    if (op.has_initial) op.initial = states_[layer.initial_state];
    op.has_final = layer.final_state != no_slot;
    op.final_state = final_state;
    add_lstm(op);
    return out;
  }

  Value apply_bidirectional(const BidirectionalLstmLayer& layer, const Value& in) {
    // Each direction writes whole vectors. The second begins where the first one's numbers end, over what it wrote beyond them.
    const std::size_t stride = padded(layer.hidden_size + padded(layer.hidden_size, n_lanes_), row_alignment);
    const Value out = strided(2 * layer.hidden_size, stride, in.steps);
    State final_state{};
    if (layer.final_state != no_slot) states_[layer.final_state] = final_state = new_state(2 * layer.hidden_size);
    for (const bool is_backward : {false, true}) {
      LstmOp op = direction(is_backward ? layer.backward : layer.forward, layer.hidden_size, in);
      op.is_backward = is_backward;
      op.keeps_sequence = true;
      op.out = out;
      op.out_column = op.final_column = is_backward ? layer.hidden_size : 0;
      op.has_final = layer.final_state != no_slot;
      op.final_state = final_state;
      add_lstm(op);
    }
    return out;
  }

  LstmOp direction(const LstmWeights& weights, std::size_t hidden_size, const Value& in) {
    const Format hidden_format = format_of(weights.weight_hidden);
    const bool is_scaled = !is_16_bit(hidden_format);
    Format input_format = format_of(weights.weight_input);
    if (is_scaled && is_16_bit(input_format)) input_format = Format::f32;  // 16-bit numbers take no factor
    if (!is_scaled && input_format == Format::i8) input_format = Format::f32;
    const std::vector<PackedRow> rows = lstm_rows(hidden_size, is_scaled, n_lanes_);
    LstmOp op{};
    op.input = in.is_zero ? LstmInput::none : in.is_repeated ? LstmInput::constant : LstmInput::sequence;
    op.in = in;
    if (!in.is_zero) op.weight_input = pack_counted(weights.weight_input, rows, input_format);
    op.weight_hidden = pack_counted(weights.weight_hidden, rows, hidden_format);
    op.bias = lstm_bias(weights, rows);
    op.hidden_size = hidden_size;
    op.steps = in.steps;
    op.is_fused = input_format == hidden_format && hidden_format != Format::i8;
    op.c = layout_.add_buffer({0, padded(hidden_size, row_alignment)});
    op.ring = layout_.add_buffer({0, 2 * padded(hidden_size, row_alignment)});
    program_->gate_width = std::max(program_->gate_width, rows.size());
    return op;
  }

  const float* lstm_bias(const LstmWeights& weights, std::span<const PackedRow> rows) {
    std::vector<float> bias(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].row != no_row) bias[i] = (weights.bias_input[rows[i].row] + weights.bias_hidden[rows[i].row]) * rows[i].factor;
    }
    return constant(bias, 0);
  }

  void add_lstm(const LstmOp& op) {
    std::vector<std::size_t> reads;
    std::vector<std::size_t> writes{op.c, op.ring};
    if (op.input != LstmInput::none) reads.push_back(op.in.buffer);
    if (op.has_initial) reads.insert(reads.end(), {op.initial.h.buffer, op.initial.c.buffer});
    if (op.out_column > 0) reads.push_back(op.out.buffer);  // the other direction wrote the columns before
    if (op.out_column > 0 && op.has_final) reads.insert(reads.end(), {op.final_state.h.buffer, op.final_state.c.buffer});
    if (!op.out.is_zero) writes.push_back(op.out.buffer);
    if (op.has_final) writes.insert(writes.end(), {op.final_state.h.buffer, op.final_state.c.buffer});
    add_buffers(op, std::move(reads), std::move(writes));
  }

  const Plan& plan_;
  std::size_t n_lanes_;
  Precision precision_;
  std::unique_ptr<Program> program_;
  std::vector<State> states_;
  std::vector<Value> kept_;
  Layout layout_;
};

}  // namespace

std::unique_ptr<const Program> compile_program(const Plan& plan, const kernels::Kernels& kernels, Precision precision) {
  return Compiler(plan, kernels, precision).compile();
}

}  // namespace offbeat
