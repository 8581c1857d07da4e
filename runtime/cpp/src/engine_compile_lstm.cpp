// Lstm layers: weights packed by gates, and where steps and states are kept.
#include <algorithm>
#include <utility>

#include "engine_compiler.h"

namespace offbeat {

using kernels::row_alignment;

Compiler::Need Compiler::need_of(std::span<const Layer> behind) {
  for (const Layer& layer : behind) {
    if (std::get_if<DenseStateLayer>(&layer.kind) != nullptr) continue;
    if (std::get_if<LastStepLayer>(&layer.kind) != nullptr) return Need::last;
    if (std::get_if<ZerosLayer>(&layer.kind) != nullptr || std::get_if<HiddenStateLayer>(&layer.kind) != nullptr) return Need::nothing;
    return Need::sequence;
  }
  return Need::sequence;
}

State Compiler::new_state(std::size_t size) {
  const std::size_t stride = padded(size + n_lanes_, row_alignment);
  return {strided(size, stride, {}), strided(size, stride, {})};
}

Value Compiler::apply_lstm(const LstmLayer& layer, std::span<const Layer> behind, const Value& in) {
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

Value Compiler::apply_bidirectional(const BidirectionalLstmLayer& layer, const Value& in) {
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

LstmOp Compiler::direction(const LstmWeights& weights, std::size_t hidden_size, const Value& in) {
  const Format hidden_format = format_of(weights.weight_hidden);
  const bool is_scaled = !is_16_bit(hidden_format);
  Format input_format = format_of(weights.weight_input);
  if (is_scaled && is_16_bit(input_format)) input_format = Format::f32;  // 16-bit numbers take no factor
  if (!is_scaled && input_format == Format::i8) input_format = Format::f32;
  const std::vector<PackedRow> rows = lstm_rows(hidden_size, is_scaled, n_lanes_);
  program_->has_lstm = true;
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

const float* Compiler::lstm_bias(const LstmWeights& weights, std::span<const PackedRow> rows) {
  std::vector<float> bias(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].row != no_row) bias[i] = (weights.bias_input[rows[i].row] + weights.bias_hidden[rows[i].row]) * rows[i].factor;
  }
  return constant(bias, 0);
}

void Compiler::add_lstm(const LstmOp& op) {
  std::vector<std::size_t> reads;
  std::vector<std::size_t> writes{op.c, op.ring};
  if (op.input != LstmInput::none) reads.push_back(op.in.buffer);
  if (op.has_initial) reads.insert(reads.end(), {op.initial.h.buffer, op.initial.c.buffer});
  if (op.out_column > 0) reads.push_back(op.out.buffer);  // the other direction wrote the columns before
  if (op.out_column > 0 && op.has_final) reads.insert(reads.end(), {op.final_state.h.buffer, op.final_state.c.buffer});
  if (!op.out.is_zero) writes.push_back(op.out.buffer);
  if (op.has_final) writes.insert(writes.end(), {op.final_state.h.buffer, op.final_state.c.buffer});
  if (join_group(op)) {
    layout_.extend_operation(reads, writes);
  } else {
    add_buffers(op, std::move(reads), std::move(writes));
  }
}

bool Compiler::can_be_grouped(const LstmOp& op) const {
  return takes_groups_ && !op.is_backward && op.weight_hidden.n_inputs == 2 * n_lanes_ && op.weight_hidden.format == Format::f32;
}

bool Compiler::join_group(const LstmOp& op) {
  if (program_->steps.empty() || !can_be_grouped(op)) return false;
  Operation& last = program_->steps.back().operation;
  const auto* single = std::get_if<LstmOp>(&last);
  const auto* before = std::get_if<LstmGroupOp>(&last);
  if (before == nullptr && (single == nullptr || !can_be_grouped(*single))) return false;
  LstmGroupOp group = before != nullptr ? *before : LstmGroupOp{{{*single, {}, {}}}};
  if (group.layers.size() == LstmGroupOp::n_most) return false;
  LstmGroupOp::Layer layer{op, {}, {}};
  for (std::size_t index = 0; index < group.layers.size(); ++index) {
    const LstmOp& other = group.layers[index].op;
    if (is_kept(other)) return false;
    if (op.input != LstmInput::none && !other.out.is_zero && other.out.buffer == op.in.buffer) layer.input_from = index;
    if (op.has_initial && other.has_final && other.final_state.h.buffer == op.initial.h.buffer) layer.initial_from = index;
  }
  const std::size_t last_layer = group.layers.size() - 1;
  // Nothing to take in turn with: it begins where the one before it ends.
  if (layer.initial_from == last_layer || (layer.input_from == last_layer && op.input == LstmInput::constant)) return false;
  group.layers.push_back(layer);
  last = std::move(group);
  return true;
}

bool Compiler::is_kept(const LstmOp& op) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const Value& kept) {
    return kept.size > 0 && ((!op.out.is_zero && kept.buffer == op.out.buffer) || (op.has_final && kept.buffer == op.final_state.h.buffer));
  });
}

}  // namespace offbeat
