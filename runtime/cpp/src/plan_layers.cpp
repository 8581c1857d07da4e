#include "plan_layers.h"

#include <algorithm>
#include <utility>

namespace offbeat {

struct LayerReader::Kind {
  std::string_view name;
  Read read;
};

const LayerReader::Kind* LayerReader::find_kind(std::string_view name) {
  static constexpr Kind kinds[] = {
      {"lstm", &LayerReader::lstm},
      {"bidirectional_lstm", &LayerReader::bidirectional_lstm},
      {"last_step", &LayerReader::last_step},
      {"hidden_state", &LayerReader::hidden_state},
      {"dense_state", &LayerReader::dense_state},
      {"repeat", &LayerReader::repeat},
      {"zeros", &LayerReader::zeros},
      {"linear", &LayerReader::linear},
      {"batch_norm", &LayerReader::batch_norm},
      {"relu", &LayerReader::apply<Activation::relu>},
      {"sigmoid", &LayerReader::apply<Activation::sigmoid>},
      {"tanh", &LayerReader::apply<Activation::tanh>},
      {"softmax", &LayerReader::apply<Activation::softmax>},
      {"keep", &LayerReader::keep},
      {"gaussian_draws", &LayerReader::gaussian_draws},
      {"flatten", &LayerReader::flatten},
      {"unflatten", &LayerReader::unflatten},
      {"add", &LayerReader::add},
  };
  const Kind* found = std::find_if(std::begin(kinds), std::end(kinds), [&](const Kind& kind) { return kind.name == name; });
  return found == std::end(kinds) ? nullptr : found;
}

std::vector<Layer> LayerReader::read(const json::Array& layers, const std::string& where, ValueShape& shape) {
  constexpr std::size_t max_layers = 1000;
  if (layers.size() > max_layers) problem_.note(where, "more than " + std::to_string(max_layers) + " layers");
  std::vector<Layer> read;
  for (std::size_t index = 0; index < layers.size() && problem_.none(); ++index) {
    Fields fields(layers[index], where + "[" + std::to_string(index) + "]", problem_);
    const std::string name = fields.text("kind");
    const Kind* kind = find_kind(name);
    if (kind == nullptr) {
      fields.wrong("the kind '" + name + "' is not known");
      break;
    }
    fields.name(name);
    LayerKind layer = (this->*kind->read)(fields, shape);
    fields.refuse_others();
    read.push_back(Layer{std::move(layer), shape});
  }
  return read;
}

LayerKind LayerReader::lstm(Fields& fields, ValueShape& shape) {
  const std::size_t input_size = fields.size("input_size");
  const std::size_t hidden_size = fields.size("hidden_size");
  need_time(fields, shape);
  need_size(fields, "input_size", input_size, shape.size);
  LstmLayer layer{input_size, hidden_size, lstm_weights(fields, "", input_size, hidden_size)};
  layer.initial_state = kept_state(fields, fields.optional_text("initial_state"));
  if (layer.initial_state != no_slot) need_size(fields, "hidden_size", hidden_size, plan_.state_sizes[layer.initial_state]);
  layer.final_state = new_state(fields, fields.optional_text("final_state"), hidden_size);
  shape.size = hidden_size;
  return layer;
}

LayerKind LayerReader::bidirectional_lstm(Fields& fields, ValueShape& shape) {
  const std::size_t input_size = fields.size("input_size");
  const std::size_t hidden_size = fields.size("hidden_size");
  need_time(fields, shape);
  need_size(fields, "input_size", input_size, shape.size);
  BidirectionalLstmLayer layer{input_size, hidden_size, lstm_weights(fields, "", input_size, hidden_size),
                               lstm_weights(fields, "_reverse", input_size, hidden_size)};
  layer.final_state = new_state(fields, fields.optional_text("final_state"), 2 * hidden_size);
  shape.size = 2 * hidden_size;
  return layer;
}

LayerKind LayerReader::last_step(Fields& fields, ValueShape& shape) {
  need_time(fields, shape);
  shape = ValueShape{.size = shape.size};
  return LastStepLayer{};
}

LayerKind LayerReader::hidden_state(Fields& fields, ValueShape& shape) {
  const std::size_t state = kept_state(fields, fields.text("state"));
  if (state != no_slot) shape = ValueShape{.size = plan_.state_sizes[state]};
  return HiddenStateLayer{state};
}

LayerKind LayerReader::dense_state(Fields& fields, ValueShape&) {
  const std::size_t input_size = fields.size("input_size");
  const std::size_t output_size = fields.size("output_size");
  const std::size_t state = kept_state(fields, fields.text("state"));
  if (state != no_slot) need_size(fields, "input_size", input_size, plan_.state_sizes[state]);
  const Activation activated = activation(fields);
  const Matrix weight_hidden = tensors_.matrix(fields, "weight_hidden", output_size, input_size);
  const Matrix weight_cell = tensors_.matrix(fields, "weight_cell", output_size, input_size);
  const Vector bias_hidden = tensors_.vector(fields, "bias_hidden", output_size);
  const Vector bias_cell = tensors_.vector(fields, "bias_cell", output_size);
  const std::size_t final_state = new_state(fields, fields.text("final_state"), output_size);
  return DenseStateLayer{state, final_state, activated, weight_hidden, weight_cell, bias_hidden, bias_cell};
}

LayerKind LayerReader::repeat(Fields& fields, ValueShape& shape) {
  const std::optional<std::size_t> n_repeats = unless_the_windows(fields.optional_size("n_repeats"));
  need_series(fields);
  need_row(fields, shape);
  shape.has_time = true;
  shape.n_steps = n_repeats;
  return RepeatLayer{.n_repeats = n_repeats};
}

LayerKind LayerReader::zeros(Fields& fields, ValueShape& shape) {
  need_series(fields);
  shape = ValueShape{.has_time = true, .size = fields.size("size")};
  return ZerosLayer{shape.size};
}

LayerKind LayerReader::linear(Fields& fields, ValueShape& shape) {
  const std::size_t input_size = fields.size("input_size");
  const std::size_t output_size = fields.size("output_size");
  need_size(fields, "input_size", input_size, shape.size);
  shape.size = output_size;
  const Matrix weight = tensors_.matrix(fields, "weight", output_size, input_size);
  return LinearLayer{weight, tensors_.vector(fields, "bias", output_size)};
}

LayerKind LayerReader::batch_norm(Fields& fields, ValueShape& shape) {
  const std::size_t size = fields.size("size");
  need_size(fields, "size", size, shape.size);
  BatchNormLayer layer{};
  layer.mean = tensors_.vector(fields, "mean", size);
  layer.variance = tensors_.vector(fields, "variance", size);
  layer.weight = tensors_.vector(fields, "weight", size);
  layer.bias = tensors_.vector(fields, "bias", size);
  layer.epsilon = fields.number("epsilon");
  for (const float variance : layer.variance) {
    if (!(variance >= 0 && variance + layer.epsilon > 0)) fields.wrong("expected variances of at least 0, above 0 with epsilon");
  }
  return layer;
}

template <Activation activation>
LayerKind LayerReader::apply(Fields&, ValueShape&) {
  return ActivationLayer{activation};
}

LayerKind LayerReader::keep(Fields& fields, ValueShape& shape) {
  const std::string name = fields.text("name");
  const std::size_t slot = plan_.value_shapes.size();
  if (!values_.emplace(name, slot).second) fields.wrong("a value is kept as '" + name + "' already");
  plan_.value_shapes.push_back(shape);
  return KeepLayer{slot};
}

LayerKind LayerReader::gaussian_draws(Fields& fields, ValueShape& shape) {
  const std::size_t input_size = fields.size("input_size");
  const std::size_t output_size = fields.size("output_size");
  need_row(fields, shape);
  need_size(fields, "input_size", input_size, shape.size);
  GaussianDrawsLayer layer{};
  layer.n_draws = fields.size("n_draws");
  layer.weight_mean = tensors_.matrix(fields, "weight_mean", output_size, input_size);
  layer.weight_log_variance = tensors_.matrix(fields, "weight_log_variance", output_size, input_size);
  layer.bias_mean = tensors_.vector(fields, "bias_mean", output_size);
  layer.bias_log_variance = tensors_.vector(fields, "bias_log_variance", output_size);
  layer.limit = fields.number("limit");
  layer.noise = tensors_.rows(fields, "noise", layer.n_draws, output_size);
  shape = ValueShape{.has_draws = true, .size = output_size};
  return layer;
}

LayerKind LayerReader::flatten(Fields& fields, ValueShape& shape) {
  need_time(fields, shape);
  const std::optional<std::size_t> steps = n_steps(shape);
  if (!steps) fields.wrong("the number of steps is not fixed");
  // Neither factor is above max_size, so that the product cannot overflow.
  const std::uint64_t size = static_cast<std::uint64_t>(steps.value_or(1)) * shape.size;
  if (size > max_size) fields.wrong("a size of " + std::to_string(size) + "; expected at most " + std::to_string(max_size));
  shape = ValueShape{.size = static_cast<std::size_t>(std::min<std::uint64_t>(size, max_size))};
  return FlattenLayer{};
}

LayerKind LayerReader::unflatten(Fields& fields, ValueShape& shape) {
  const std::size_t steps = std::max<std::size_t>(fields.size("n_steps"), 1);
  need_series(fields);
  need_row(fields, shape);
  if (shape.size % steps != 0) fields.wrong("a size of " + std::to_string(shape.size) + " is not divided by " + std::to_string(steps) + " steps");
  shape = ValueShape{.has_time = true, .n_steps = unless_the_windows(steps), .size = shape.size / steps};
  return UnflattenLayer{steps};
}

LayerKind LayerReader::add(Fields& fields, ValueShape& shape) {
  const std::size_t value = kept_value(fields, "name");
  if (value != no_slot && plan_.value_shapes[value] != shape) {
    fields.wrong("the value is " + describe_shape(shape) + ", the kept one " + describe_shape(plan_.value_shapes[value]));
  }
  return AddLayer{value};
}

LstmWeights LayerReader::lstm_weights(Fields& fields, const std::string& suffix, std::size_t input_size, std::size_t hidden_size) {
  const std::size_t n_rows = 4 * hidden_size;
  LstmWeights weights;
  weights.weight_input = tensors_.matrix(fields, "weight_input" + suffix, n_rows, input_size);
  weights.weight_hidden = tensors_.matrix(fields, "weight_hidden" + suffix, n_rows, hidden_size);
  weights.bias_input = tensors_.vector(fields, "bias_input" + suffix, n_rows);
  weights.bias_hidden = tensors_.vector(fields, "bias_hidden" + suffix, n_rows);
  return weights;
}

Activation LayerReader::activation(Fields& fields) {
  constexpr std::pair<std::string_view, Activation> activations[] = {
      {"linear", Activation::linear}, {"relu", Activation::relu}, {"sigmoid", Activation::sigmoid}, {"tanh", Activation::tanh}};
  const std::string seen = fields.text("activation");
  for (const auto& [name, activation] : activations) {
    if (seen == name) return activation;
  }
  fields.wrong("the activation '" + seen + "' is not known");
  return Activation::linear;
}

std::size_t LayerReader::kept_state(Fields& fields, const std::optional<std::string>& name) {
  if (!name) return no_slot;
  const auto found = states_.find(*name);
  if (found != states_.end()) return found->second;
  fields.wrong("no state was kept as '" + *name + "'");
  return no_slot;
}

std::size_t LayerReader::new_state(Fields& fields, const std::optional<std::string>& name, std::size_t size) {
  if (!name) return no_slot;
  const std::size_t slot = plan_.state_sizes.size();
  if (!states_.emplace(*name, slot).second) fields.wrong("a state is kept as '" + *name + "' already");
  plan_.state_sizes.push_back(size);
  return slot;
}

std::size_t LayerReader::kept_value(Fields& fields, std::string_view key) {
  const std::string name = fields.text(key);
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  fields.wrong("no value was kept as '" + name + "'");
  return no_slot;
}

void LayerReader::need_time(Fields& fields, const ValueShape& shape) {
  if (!shape.has_time || shape.has_draws) fields.wrong("the value is " + describe_shape(shape) + "; expected [batch, time, size]");
}

void LayerReader::need_row(Fields& fields, const ValueShape& shape) {
  if (shape.has_time || shape.has_draws) fields.wrong("the value is " + describe_shape(shape) + "; expected [batch, size]");
}

void LayerReader::need_series(Fields& fields) {
  if (!plan_.has_time) fields.wrong("the window is a row of a table; expected one with time");
}

void LayerReader::need_size(Fields& fields, std::string_view key, std::size_t said, std::size_t is) {
  if (said != is) fields.wrong(std::string(key) + " is " + std::to_string(said) + "; what it is applied to has size " + std::to_string(is));
}

std::optional<std::size_t> LayerReader::n_steps(const ValueShape& shape) const { return shape.n_steps ? shape.n_steps : plan_.n_steps; }

std::optional<std::size_t> LayerReader::unless_the_windows(std::optional<std::size_t> n_steps) const {
  return n_steps == plan_.n_steps ? std::nullopt : n_steps;
}

std::string describe_shape(const ValueShape& shape) {
  std::string text = shape.has_draws ? "[draw, batch, " : "[batch, ";
  if (shape.has_time) text += (shape.n_steps ? std::to_string(*shape.n_steps) : "time") + ", ";
  return text + std::to_string(shape.size) + "]";
}

}  // namespace offbeat
