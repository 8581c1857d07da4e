#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan.h"
#include "plan_fields.h"
#include "plan_tensors.h"

namespace offbeat {

/// Reads layers one behind the other: follows the value's shape, resolves what is kept under names to slots of the plan.
class LayerReader {
 public:
  /// The plan must say already what the windows are; states and values are entered into it as they are kept.
  LayerReader(Plan& plan, PlanTensors& tensors, Problem& problem) : plan_(plan), tensors_(tensors), problem_(problem) {}

  /// The layers of an array, applied to a value of that shape, which becomes that of what comes out.
  std::vector<Layer> read(const json::Array& layers, const std::string& where, ValueShape& shape);

  /// The slot of the value that was kept under the name of a field.
  std::size_t kept_value(Fields& fields, std::string_view key);

 private:
  using Read = LayerKind (LayerReader::*)(Fields&, ValueShape&);
  struct Kind;
  static const Kind* find_kind(std::string_view name);

  LayerKind lstm(Fields& fields, ValueShape& shape);
  LayerKind bidirectional_lstm(Fields& fields, ValueShape& shape);
  LayerKind last_step(Fields& fields, ValueShape& shape);
  LayerKind hidden_state(Fields& fields, ValueShape& shape);
  LayerKind dense_state(Fields& fields, ValueShape& shape);
  LayerKind repeat(Fields& fields, ValueShape& shape);
  LayerKind zeros(Fields& fields, ValueShape& shape);
  LayerKind linear(Fields& fields, ValueShape& shape);
  LayerKind batch_norm(Fields& fields, ValueShape& shape);
  template <Activation activation>
  LayerKind apply(Fields& fields, ValueShape& shape);
  LayerKind keep(Fields& fields, ValueShape& shape);
  LayerKind gaussian_draws(Fields& fields, ValueShape& shape);
  LayerKind flatten(Fields& fields, ValueShape& shape);
  LayerKind unflatten(Fields& fields, ValueShape& shape);
  LayerKind add(Fields& fields, ValueShape& shape);

  LstmWeights lstm_weights(Fields& fields, const std::string& suffix, std::size_t input_size, std::size_t hidden_size);
  Activation activation(Fields& fields);
  std::size_t kept_state(Fields& fields, const std::optional<std::string>& name);
  std::size_t new_state(Fields& fields, const std::optional<std::string>& name, std::size_t size);
  void need_time(Fields& fields, const ValueShape& shape);
  void need_row(Fields& fields, const ValueShape& shape);
  void need_series(Fields& fields);
  void need_size(Fields& fields, std::string_view key, std::size_t said, std::size_t is);
  [[nodiscard]] std::optional<std::size_t> n_steps(const ValueShape& shape) const;
  [[nodiscard]] std::optional<std::size_t> unless_the_windows(std::optional<std::size_t> n_steps) const;

  Plan& plan_;
  PlanTensors& tensors_;
  Problem& problem_;
  std::map<std::string, std::size_t, std::less<>> states_;
  std::map<std::string, std::size_t, std::less<>> values_;
};

/// "[draw, batch, time, 32]", for messages.
std::string describe_shape(const ValueShape& shape);

}  // namespace offbeat
