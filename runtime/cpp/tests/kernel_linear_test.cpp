// The linear kernels against sums in double precision and, of i8, against sums of integers.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernel_support.h"

namespace {

using offbeat::Constants;
using offbeat::kernels::Format;
using offbeat_test::NamedKernels;
using offbeat::kernels::Unary;
using offbeat_test::expect;
using offbeat_test::matrix_of;
using offbeat_test::padded;
using offbeat_test::random_floats;

std::vector<float> by_kernel(const NamedKernels& kernels, const std::vector<float>& weight, const std::vector<float>& bias, Format format, Unary unary,
                             const std::vector<float>& x, std::size_t n_rows, const std::vector<float>& factor = {}) {
  Constants constants;
  const std::size_t n_inputs = x.size() / n_rows;
  const auto rows = offbeat::linear_rows(bias.size(), {}, kernels.n_lanes);
  auto* packed_bias = constants.allocate_array<float>(rows.size());
  std::copy(bias.begin(), bias.end(), packed_bias);
  float* packed_factor = factor.empty() ? nullptr : constants.allocate_array<float>(rows.size());
  std::copy(factor.begin(), factor.end(), packed_factor);
  const std::size_t stride = padded(bias.size());
  std::vector<float> out(n_rows * stride);
  std::vector<std::byte> quantised(offbeat::kernels::n_quantised_bytes(n_inputs));
  offbeat_test::multiply(kernels, {.x = x.data(), .x_stride = n_inputs, .n_rows = n_rows, .weight = offbeat::pack(matrix_of(weight, bias.size()), rows, format, kernels.n_lanes, constants),
                  .bias = packed_bias, .factor = packed_factor, .unary = unary, .out = out.data(), .out_stride = stride, .quantised = quantised.data()});
  std::vector<float> result;
  for (std::size_t row = 0; row < n_rows; ++row) result.insert(result.end(), out.begin() + static_cast<std::ptrdiff_t>(row * stride), out.begin() + static_cast<std::ptrdiff_t>(row * stride + bias.size()));
  return result;
}

double activated(Unary unary, double x) {
  switch (unary) {
    case Unary::relu: return std::max(x, 0.0);
    case Unary::sigmoid: return 1 / (1 + std::exp(-x));
    case Unary::tanh: return std::tanh(x);
    case Unary::none: break;
  }
  return x;
}

void multiplies_any_shape(const NamedKernels& kernels) {
  for (const auto& [n_inputs, n_outputs] : {std::pair<std::size_t, std::size_t>{1, 4}, {30, 128}, {16, 33}, {64, 16}, {166, 80}, {513, 7}}) {
    const std::vector<float> weight = random_floats(n_inputs * n_outputs, 1), bias = random_floats(n_outputs, 2);
    for (const std::size_t n_rows : {1, 2, 5, 6, 12, 29, 101}) {
      const std::vector<float> x = random_floats(n_inputs * n_rows, 3);
      for (const Unary unary : {Unary::none, Unary::relu, Unary::sigmoid, Unary::tanh}) {
        const std::vector<float> seen = by_kernel(kernels, weight, bias, Format::f32, unary, x, n_rows);
        double largest = 0;
        for (std::size_t i = 0; i < seen.size(); ++i) {
          double sum = bias[i % n_outputs];
          for (std::size_t k = 0; k < n_inputs; ++k) sum += static_cast<double>(weight[i % n_outputs * n_inputs + k]) * x[i / n_outputs * n_inputs + k];
          largest = std::max(largest, std::fabs(seen[i] - activated(unary, sum)) / (1 + std::fabs(sum)));
        }
        expect(largest < 1e-5, kernels.name + ": " + std::to_string(n_inputs) + " to " + std::to_string(n_outputs) + ", " +
                                   std::to_string(n_rows) + " rows: off by " + std::to_string(largest));
      }
    }
  }
}

void scales_what_16_bit_weights_give(const NamedKernels& kernels) {
  constexpr std::size_t n_inputs = 37;
  for (const std::size_t n_outputs : {5, 16, 31, 48, 100}) {
    const std::vector<float> weight = random_floats(n_inputs * n_outputs, 1), bias = random_floats(n_outputs, 2), factor = random_floats(n_outputs, 3, 4), none(n_outputs);
    for (const Format format : {Format::bf16, Format::f16}) {
      for (std::size_t n_rows = 1; n_rows <= 13; ++n_rows) {
        const std::vector<float> x = random_floats(n_inputs * n_rows, 4);
        const std::vector<float> plain = by_kernel(kernels, weight, none, format, Unary::none, x, n_rows);
        const std::vector<float> scaled = by_kernel(kernels, weight, bias, format, Unary::relu, x, n_rows, factor);
        for (std::size_t i = 0; i < plain.size(); ++i) {
          const double expected = std::max(0.0, static_cast<double>(plain[i]) * factor[i % n_outputs] + bias[i % n_outputs]);
          expect(std::fabs(scaled[i] - expected) < 1e-6 * (1 + std::fabs(plain[i] * factor[i % n_outputs])), kernels.name + ": " + std::to_string(n_outputs) + " factors, off by " + std::to_string(scaled[i] - expected));
        }
      }
    }
  }
}

/// Rows and weights that are integers times their scales are multiplied without any rounding but the last.
void multiplies_integers_exactly(const NamedKernels& kernels) {
  for (const std::size_t n_inputs : {1, 3, 16, 31, 64, 257}) {
    constexpr std::size_t n_outputs = 21, n_rows = 9;
    std::vector<float> weight = random_floats(n_inputs * n_outputs, 1, 40), x = random_floats(n_inputs * n_rows, 2, 40);
    for (float& number : weight) number = std::clamp(std::nearbyint(number), -127.0f, 127.0f);
    for (float& number : x) number = std::clamp(std::nearbyint(number), -127.0f, 127.0f);
    // The largest of each row, so that its scale is one; of the largest products an instruction may saturate the sum.
    for (std::size_t row = 0; row < n_outputs; ++row) weight[row * n_inputs] = row % 2 == 0 ? 127.0f : -127.0f;
    for (std::size_t row = 0; row < n_rows; ++row) x[row * n_inputs] = row % 3 == 0 ? -127.0f : 127.0f;
    const std::vector<float> seen = by_kernel(kernels, weight, std::vector<float>(n_outputs), Format::i8, Unary::none, x, n_rows);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      long sum = 0;
      for (std::size_t k = 0; k < n_inputs; ++k) sum += std::lround(weight[i % n_outputs * n_inputs + k]) * std::lround(x[i / n_outputs * n_inputs + k]);
      expect(seen[i] == static_cast<float>(sum), kernels.name + ": " + std::to_string(n_inputs) + " integers: " + std::to_string(seen[i]) + ", expected " + std::to_string(sum));
    }
  }
}

void few_outputs_are_sums_in_one_order(const NamedKernels& kernels, std::vector<float>& expected) {
  std::vector<float> all;
  for (const std::size_t n_inputs : {1, 3, 4, 16, 33, 513}) {
    for (const std::size_t n_outputs : {1, 2, 3}) {
      constexpr std::size_t n_rows = 5;
      const std::size_t stride = n_inputs <= offbeat::kernels::n_narrow ? n_inputs : padded(n_inputs);
      const std::vector<float> numbers = random_floats(n_rows * n_inputs, 1), weights = random_floats(n_outputs * n_inputs, 2), bias = random_floats(n_outputs, 3);
      const std::vector<float> x = stride == n_inputs ? numbers : offbeat_test::padded_rows(numbers, n_inputs), weight = offbeat_test::padded_rows(weights, n_inputs);
      std::vector<float> out(n_rows * n_outputs);
      kernels.narrow({.x = x.data(), .x_stride = stride, .n_rows = n_rows, .n_inputs = n_inputs, .n_outputs = n_outputs, .weight = weight.data(),
                      .weight_stride = padded(n_inputs), .bias = bias.data(), .unary = Unary::none, .out = out.data(), .out_stride = n_outputs});
      for (std::size_t i = 0; i < out.size(); ++i) {
        double sum = bias[i % n_outputs];
        for (std::size_t k = 0; k < n_inputs; ++k) sum += static_cast<double>(weights[i % n_outputs * n_inputs + k]) * numbers[i / n_outputs * n_inputs + k];
        expect(std::fabs(out[i] - sum) < 2e-5, kernels.name + ": " + std::to_string(n_inputs) + " to " + std::to_string(n_outputs));
      }
      all.insert(all.end(), out.begin(), out.end());
    }
  }
  if (std::string(kernels.isa) == "baseline") return;  // it rounds products before it adds them
  if (expected.empty()) expected = all;
  expect(all == expected, kernels.name + ": the bits of the other instruction sets");
}

}  // namespace

int main() {
  std::vector<float> expected;
  for (const NamedKernels& kernels : offbeat_test::kernels_of_this_machine()) {
    multiplies_any_shape(kernels);
    scales_what_16_bit_weights_give(kernels);
    multiplies_integers_exactly(kernels);
    few_outputs_are_sums_in_one_order(kernels, expected);
  }
  return offbeat_test::exit_code();
}
