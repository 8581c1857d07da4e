#include "engine_compile.h"

#include <algorithm>
#include <utility>

#include "engine_compiler.h"

namespace offbeat {

kernels::Unary unary_of(Activation activation) {
  switch (activation) {
    case Activation::relu: return kernels::Unary::relu;
    case Activation::sigmoid: return kernels::Unary::sigmoid;
    case Activation::tanh: return kernels::Unary::tanh;
    case Activation::linear:
    case Activation::softmax: break;
  }
  return kernels::Unary::none;
}

Compiler::Compiler(const Plan& plan, const kernels::Kernels& kernels, Precision precision)
    : plan_(plan), n_lanes_(kernels.n_lanes), takes_groups_(kernels.lstm_two != nullptr), precision_(precision), program_(std::make_unique<Program>()), states_(plan.state_sizes.size()),
      kept_(plan.value_shapes.size()) {}

std::unique_ptr<const Program> Compiler::compile() {
  const bool is_flat = is_flattened();
  if (is_flat) program_->n_flat_steps = *plan_.n_steps;
  add_judgement();
  const Value value = is_flat ? vector(plan_.n_features * *plan_.n_steps, {}) : vector(plan_.n_features, {.is_window = plan_.has_time});
  program_->normalised = value;
  add(NormaliseOp{value}, {}, {value});
  const std::span<const Layer> layers = plan_.layers;
  program_->reconstruction = apply_layers(is_flat ? layers.subspan(1, layers.size() - 2) : layers, value);
  if (program_->reconstruction.is_zero) program_->reconstruction = materialised(program_->reconstruction);
  for (const Head& head : plan_.heads) {
    const Value output = apply_layers(head.layers, kept_[head.value]);
    program_->heads.push_back({head.output, output.is_zero ? materialised(output) : output});
  }
  layout_.finish(*program_);
  return std::move(program_);
}

bool Compiler::is_flattened() const {
  if (!plan_.n_steps || plan_.layers.size() < 2) return false;
  const auto* last = std::get_if<UnflattenLayer>(&plan_.layers.back().kind);
  return std::get_if<FlattenLayer>(&plan_.layers.front().kind) != nullptr && last != nullptr && last->n_steps == *plan_.n_steps;
}

Value Compiler::vector(std::size_t size, Steps steps, std::size_t n_draws) {
  return strided(size, row_stride(size), steps, n_draws);
}

Value Compiler::strided(std::size_t size, std::size_t stride, Steps steps, std::size_t n_draws) {
  Value value{.size = size, .stride = stride, .n_draws = n_draws, .steps = steps};
  value.buffer = layout_.add_buffer(extent(value));
  return value;
}

Value Compiler::like(const Value& in, std::size_t size) {
  return like(in, size, row_stride(size));
}

Value Compiler::like(const Value& in, std::size_t size, std::size_t stride) {
  Value value = in;
  value.size = size;
  value.stride = stride;
  value.buffer = layout_.add_buffer(extent(value));
  return value;
}

Extent Compiler::extent(const Value& value) {
  const std::size_t row = value.stride * value.n_draws;
  if (value.is_repeated || value.is_last_only) return {0, row};
  return value.steps.is_within_window() ? Extent{row, 0} : Extent{0, row * value.steps.n_fixed};
}

void Compiler::add(Operation operation, std::initializer_list<Value> reads, std::initializer_list<Value> writes) {
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

void Compiler::add_buffers(Operation operation, std::vector<std::size_t> reads, std::vector<std::size_t> writes) {
  program_->steps.push_back({std::move(operation)});
  layout_.add_operation(std::move(reads), std::move(writes));
}

Value Compiler::materialised(const Value& in) {
  if (!in.is_zero && !in.is_repeated) return in;
  const Value out = strided(in.size, row_stride(in.size), in.steps, in.n_draws);
  add(MaterialiseOp{in, out}, {in}, {out});
  return out;
}

const float* Compiler::constant(std::span<const float> numbers, std::size_t n_padded) {
  auto* data = program_->constants.allocate_array<float>(std::max(n_padded, numbers.size()));
  std::copy(numbers.begin(), numbers.end(), data);
  return data;
}

const float* Compiler::of_features(std::span<const float> numbers, float behind) {
  std::vector<float> of_all_steps;
  if (program_->n_flat_steps > 0) {
    for (std::size_t step = 0; step < program_->n_flat_steps; ++step) of_all_steps.insert(of_all_steps.end(), numbers.begin(), numbers.end());
    numbers = of_all_steps;
  }
  const std::size_t size = padded(numbers.size(), kernels::row_alignment) * (numbers.size() > kernels::n_narrow ? 1 : numbers.size());
  auto* data = program_->constants.allocate_array<float>(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = numbers.size() <= kernels::n_narrow ? numbers[i % numbers.size()] : i < numbers.size() ? numbers[i] : behind;
  return data;
}

void Compiler::add_judgement() {
  program_->n_features = plan_.n_features;
  program_->mean = of_features(plan_.mean, 0);
  program_->scale = of_features(plan_.scale, 1);
  program_->error = plan_.error;
  program_->threshold = plan_.threshold;
  program_->sums = layout_.add_lasting_buffer({0, padded(plan_.n_features, kernels::row_alignment)});
  std::size_t n_draws = 0;
  for (const Layer& layer : plan_.layers) {
    if (const auto* draws = std::get_if<GaussianDrawsLayer>(&layer.kind)) n_draws = std::max(n_draws, draws->n_draws);
  }
  program_->errors = layout_.add_lasting_buffer({0, n_draws + 1});
  program_->has_draws = n_draws > 0;
}

Value Compiler::apply_layers(std::span<const Layer> layers, Value value) {
  for (std::size_t index = 0; index < layers.size();) {
    const std::size_t n_taken = apply(layers, index, value);
    index += n_taken;
  }
  return value;
}

std::size_t Compiler::apply(std::span<const Layer> layers, std::size_t index, Value& value) {
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

Value Compiler::apply_simple(const Layer& layer, const Value& value) {
  if (std::get_if<LastStepLayer>(&layer.kind) != nullptr) return last_step(value);
  if (const auto* hidden = std::get_if<HiddenStateLayer>(&layer.kind)) return states_[hidden->state].h;
  if (const auto* repeat = std::get_if<RepeatLayer>(&layer.kind)) return repeated(*repeat, value);
  if (const auto* zeros = std::get_if<ZerosLayer>(&layer.kind)) {
    return {.size = zeros->size, .stride = row_stride(zeros->size), .steps = {.is_window = true}, .is_repeated = true, .is_zero = true};
  }
  if (const auto* norm = std::get_if<BatchNormLayer>(&layer.kind)) return normalised(*norm, value);
  if (const auto* activation = std::get_if<ActivationLayer>(&layer.kind)) return activated(activation->activation, value);
  if (const auto* draws = std::get_if<GaussianDrawsLayer>(&layer.kind)) return drawn(*draws, value);
  if (std::get_if<FlattenLayer>(&layer.kind) != nullptr) return flattened(value);
  if (const auto* unflatten = std::get_if<UnflattenLayer>(&layer.kind)) return unflattened(*unflatten, value);
  return sum(value, kept_[std::get<AddLayer>(layer.kind).value]);
}

Value Compiler::last_step(Value value) {
  if (value.is_repeated || value.is_last_only) {  // what is kept is the last step already
    value.is_repeated = value.is_last_only = false;
    value.steps = {};
    return value.is_zero ? materialised(value) : value;
  }
  const Value out = strided(value.size, value.stride, {}, value.n_draws);
  add(LastStepOp{value, out}, {value}, {out});
  return out;
}

Value Compiler::repeated(const RepeatLayer& repeat, Value value) {
  value.is_repeated = true;
  value.steps = {.is_window = !repeat.n_repeats.has_value(), .n_fixed = repeat.n_repeats.value_or(0), .is_cut = repeat.is_cut};
  return value;
}

Value Compiler::flattened(const Value& in) {
  const Value value = materialised(in);
  const std::size_t n_steps = value.steps.is_window ? plan_.n_steps.value_or(1) : value.steps.n_fixed;
  const Value out = vector(value.size * n_steps, {}, value.n_draws);
  add(FlattenOp{value, out}, {value}, {out});
  return out;
}

Value Compiler::unflattened(const UnflattenLayer& layer, const Value& in) {
  const Value value = materialised(in);
  const Value out = vector(value.size / layer.n_steps, {.n_fixed = layer.n_steps}, value.n_draws);
  add(UnflattenOp{value, out}, {value}, {out});
  return out;
}

Value Compiler::sum(const Value& a, const Value& b) {
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

Value Compiler::activated(Activation activation, const Value& in) {
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

std::unique_ptr<const Program> compile_program(const Plan& plan, const kernels::Kernels& kernels, Precision precision) {
  return Compiler(plan, kernels, precision).compile();
}

}  // namespace offbeat
