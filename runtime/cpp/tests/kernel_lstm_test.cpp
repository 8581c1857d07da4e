// The lstm kernels against the formula in double precision, and against each other: sizes that fill vectors and sizes that do not,
// every format of weights, any number of rows.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernel_support.h"

namespace {

using offbeat::Constants;
using offbeat::kernels::Format;
using offbeat_test::NamedKernels;
using offbeat::kernels::LstmArgs;
using offbeat_test::expect;
using offbeat_test::matrix_of;
using offbeat_test::padded;
using offbeat_test::random_floats;

constexpr std::size_t n_steps = 7;

struct Layer {
  std::size_t n_inputs;
  std::size_t hidden_size;
  std::vector<float> weight_input;
  std::vector<float> weight_hidden;
  std::vector<float> bias;
};

Layer layer_of(std::size_t n_inputs, std::size_t hidden_size, float scale) {
  return {n_inputs, hidden_size, random_floats(4 * hidden_size * n_inputs, 1, scale), random_floats(4 * hidden_size * hidden_size, 2, scale),
          random_floats(4 * hidden_size, 3, scale)};
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// h of every step, [step, row, unit], from zeros.
std::vector<double> by_the_formula(const Layer& layer, const std::vector<float>& x, std::size_t n_rows) {
  const std::size_t size = layer.hidden_size;
  std::vector<double> all(n_steps * n_rows * size), c(n_rows * size);
  for (std::size_t step = 0; step < n_steps; ++step) {
    for (std::size_t row = 0; row < n_rows; ++row) {
      std::vector<double> gates(layer.bias.begin(), layer.bias.end());
      for (std::size_t gate = 0; gate < 4 * size; ++gate) {
        for (std::size_t i = 0; i < layer.n_inputs; ++i) gates[gate] += static_cast<double>(layer.weight_input[gate * layer.n_inputs + i]) * x[(step * n_rows + row) * layer.n_inputs + i];
        for (std::size_t i = 0; step > 0 && i < size; ++i) gates[gate] += layer.weight_hidden[gate * size + i] * all[((step - 1) * n_rows + row) * size + i];
      }
      for (std::size_t unit = 0; unit < size; ++unit) {
        double& cell = c[row * size + unit];
        cell = sigmoid(gates[size + unit]) * cell + sigmoid(gates[unit]) * std::tanh(gates[2 * size + unit]);
        all[(step * n_rows + row) * size + unit] = sigmoid(gates[3 * size + unit]) * std::tanh(cell);
      }
    }
  }
  return all;
}

/// The same by a kernel; rows as they lie in a buffer, without what is behind their numbers.
std::vector<float> by_kernel(const NamedKernels& kernels, const Layer& layer, Format format, const std::vector<float>& x, std::size_t n_rows) {
  Constants constants;
  const bool is_scaled = format == Format::f32 || format == Format::i8;
  const auto rows = offbeat::lstm_rows(layer.hidden_size, is_scaled, kernels.n_lanes);
  auto* bias = constants.allocate_array<float>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) bias[i] = rows[i].row == offbeat::no_row ? 0.0f : layer.bias[rows[i].row] * rows[i].factor;
  const std::size_t stride = padded(layer.hidden_size);
  std::vector<float> c(n_rows * stride), h(n_steps * n_rows * stride + 16);
  std::vector<float> gates(n_steps * n_rows * rows.size());
  std::vector<std::byte> quantised(offbeat::kernels::n_quantised_bytes(layer.hidden_size));
  LstmArgs args{};
  args.n_rows = n_rows;
  args.n_steps = n_steps;
  args.gates = bias;
  args.weight_hidden = offbeat::pack(matrix_of(layer.weight_hidden, 4 * layer.hidden_size), rows, format, kernels.n_lanes, constants);
  args.weight_input = offbeat::pack(matrix_of(layer.weight_input, 4 * layer.hidden_size), rows, format == Format::i8 ? Format::f32 : format, kernels.n_lanes, constants);
  if (format == Format::i8) {  // its input products are computed ahead
    offbeat_test::multiply(kernels, {.x = x.data(), .x_stride = layer.n_inputs, .n_rows = n_steps * n_rows, .weight = args.weight_input, .bias = bias, .factor = nullptr,
                    .unary = offbeat::kernels::Unary::none, .out = gates.data(), .out_stride = rows.size(), .quantised = nullptr});
    args.gates = gates.data();
    args.gates_row = rows.size();
    args.gates_step = static_cast<std::ptrdiff_t>(n_rows * rows.size());
  } else {
    args.x = x.data();
    args.x_row = layer.n_inputs;
    args.x_step = static_cast<std::ptrdiff_t>(n_rows * layer.n_inputs);
  }
  args.c = c.data();
  args.c_row = stride;
  args.h = h.data();
  args.h_row = stride;
  args.h_step = static_cast<std::ptrdiff_t>(n_rows * stride);
  args.quantised = quantised.data();
  offbeat_test::run(kernels, args);
  std::vector<float> result;
  for (std::size_t row = 0; row < n_steps * n_rows; ++row) result.insert(result.end(), h.begin() + static_cast<std::ptrdiff_t>(row * stride), h.begin() + static_cast<std::ptrdiff_t>(row * stride + layer.hidden_size));
  return result;
}

double largest_difference(const std::vector<float>& seen, const std::vector<double>& expected) {
  double largest = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(seen[i]) - expected[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? 1e30 : difference;
  }
  return largest;
}

constexpr std::size_t sizes[][2] = {{1, 1}, {3, 5}, {166, 16}, {1, 32}, {5, 32}, {2, 33}, {4, 64}, {7, 100}, {3, 140}, {2, 261}};
constexpr std::size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 13};

void follows_the_formula(const NamedKernels& kernels) {
  const std::pair<Format, double> bounds[] = {{Format::f32, 1e-6}, {Format::bf16, 1e-2}, {Format::f16, 2e-3}, {Format::i8, 3e-2}};
  for (const auto& [n_inputs, hidden_size] : sizes) {
    const Layer layer = layer_of(n_inputs, hidden_size, 0.6f / std::sqrt(static_cast<float>(std::max(n_inputs, hidden_size))));
    for (const std::size_t n_rows : row_counts) {
      const std::vector<float> x = random_floats(n_steps * n_rows * n_inputs, 4);
      const std::vector<double> expected = by_the_formula(layer, x, n_rows);
      for (const auto& [format, bound] : bounds) {
        const double difference = largest_difference(by_kernel(kernels, layer, format, x, n_rows), expected);
        expect(difference < bound, kernels.name + ", format " + std::to_string(static_cast<int>(format)) + ", " + std::to_string(n_inputs) +
                                       " to " + std::to_string(hidden_size) + ", " + std::to_string(n_rows) + " rows: off by " + std::to_string(difference));
      }
    }
  }
}

void saturated_gates_stay_finite(const NamedKernels& kernels) {
  for (const float scale : {30.0f, 1e4f, 1e30f}) {
    const Layer layer = layer_of(2, 32, scale);
    for (const std::size_t n_rows : {1, 7}) {
      const std::vector<float> h = by_kernel(kernels, layer, Format::f32, random_floats(n_steps * n_rows * 2, 4), n_rows);
      expect(std::all_of(h.begin(), h.end(), [](float x) { return std::fabs(x) <= 1; }), kernels.name + ": h is within one");
    }
  }
}

/// The same row alone, in a whole tile and in what is left of one: the same bits.
void rows_do_not_depend_on_each_other(const NamedKernels& kernels) {
  constexpr std::size_t n_most = 13;
  for (const auto& [n_inputs, hidden_size] : sizes) {
    const Layer layer = layer_of(n_inputs, hidden_size, 0.2f);
    const std::vector<float> x = random_floats(n_steps * n_most * n_inputs, 4);
    for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::i8}) {
      const std::vector<float> together = by_kernel(kernels, layer, format, x, n_most);
      for (const std::size_t n_rows : {1, 2, 3, 4, 5, 6, 8}) {
        std::vector<float> fewer;
        for (std::size_t step = 0; step < n_steps; ++step) {
          const auto begin = x.begin() + static_cast<std::ptrdiff_t>((step * n_most + n_most - n_rows) * n_inputs);
          fewer.insert(fewer.end(), begin, begin + static_cast<std::ptrdiff_t>(n_rows * n_inputs));
        }
        const std::vector<float> apart = by_kernel(kernels, layer, format, fewer, n_rows);
        bool is_same = true;
        for (std::size_t step = 0; step < n_steps; ++step) {
          is_same = is_same && std::memcmp(&apart[step * n_rows * hidden_size], &together[(step * n_most + n_most - n_rows) * hidden_size], n_rows * hidden_size * sizeof(float)) == 0;
        }
        expect(is_same, kernels.name + ": " + std::to_string(n_rows) + " rows of " + std::to_string(hidden_size) + " units as in a larger batch");
      }
    }
  }
}

/// Bytes are multiplied to the same integers with VNNI and without, so that what comes out is the same to the bit.
void vnni_changes_no_bit(const std::vector<NamedKernels>& all) {
  if (all.size() < 4) return;
  for (const auto& [n_inputs, hidden_size] : sizes) {
    const Layer layer = layer_of(n_inputs, hidden_size, 0.2f);
    for (const std::size_t n_rows : {1, 7}) {
      const std::vector<float> x = random_floats(n_steps * n_rows * n_inputs, 4);
      expect(by_kernel(all[2], layer, Format::i8, x, n_rows) == by_kernel(all[3], layer, Format::i8, x, n_rows),
             "with VNNI the same bits for " + std::to_string(hidden_size) + " units");
    }
  }
}

void instruction_sets_agree(const std::vector<NamedKernels>& all) {
  for (const auto& [n_inputs, hidden_size] : sizes) {
    const Layer layer = layer_of(n_inputs, hidden_size, 0.2f);
    const std::vector<float> x = random_floats(n_steps * 7 * n_inputs, 4);
    const std::vector<float> first = by_kernel(all[0], layer, Format::f32, x, 7);
    for (const NamedKernels& other : all) {
      const double difference = largest_difference(by_kernel(other, layer, Format::f32, x, 7), {first.begin(), first.end()});
      expect(difference < 1e-6, other.name + " is off the first by " + std::to_string(difference * 1e6) + "e-6");
    }
  }
}

}  // namespace

int main() {
  const std::vector<NamedKernels> all = offbeat_test::kernels_of_this_machine();
  for (const NamedKernels& kernels : all) {
    follows_the_formula(kernels);
    saturated_gates_stay_finite(kernels);
    rows_do_not_depend_on_each_other(kernels);
  }
  vnni_changes_no_bit(all);
  instruction_sets_agree(all);
  return offbeat_test::exit_code();
}
