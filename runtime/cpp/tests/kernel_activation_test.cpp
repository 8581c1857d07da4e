// Sigmoid and tanh by polynomials: within 2e-7 over the whole range of float32, on every instruction set of this machine.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernel_support.h"

namespace {

using offbeat_test::NamedKernels;
using offbeat::kernels::Unary;
using offbeat_test::expect;

constexpr double bound = 2e-7;
/// Every 997th bit pattern: 4.3 million numbers, with denormals and infinities of both signs among them.
constexpr std::uint32_t stride = 997;

std::vector<float> numbers_of_all_sizes() {
  std::vector<float> numbers{0.0f, -0.0f, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(), std::numeric_limits<float>::denorm_min()};
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += stride) {
    const float number = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(number)) numbers.push_back(number);
  }
  // Where the functions bend, more densely than the bit patterns are.
  for (float number = -20; number < 20; number += 1e-4f) numbers.push_back(number);
  numbers.resize((numbers.size() + 15) / 16 * 16);
  return numbers;
}

template <class Exact>
double largest_error(const NamedKernels& kernels, const std::vector<float>& numbers, Unary unary, Exact exact) {
  std::vector<float> results = numbers;
  kernels.unary(results.data(), results.size(), unary);
  double largest = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double error = std::fabs(static_cast<double>(results[i]) - exact(static_cast<double>(numbers[i])));
    if (!(error <= largest)) largest = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return largest;
}

void exp_half_is_exact_to_a_few_roundings(const NamedKernels& kernels) {
  std::vector<float> numbers;
  for (float number = -160; number < 160; number += 0.01f) numbers.push_back(number);
  numbers.resize(numbers.size() / 16 * 16);
  std::vector<float> results = numbers;
  kernels.exp_half(results.data(), results.size());
  double largest = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double exact = std::exp(static_cast<double>(numbers[i]) / 2);
    // The exponent is rounded to a float before it is used: an error of |x| / 2 · 2⁻²⁴.
    largest = std::max(largest, std::fabs(static_cast<double>(results[i]) - exact) / exact / (1 + std::fabs(static_cast<double>(numbers[i])) / 2));
  }
  expect(largest < 2e-7, kernels.name + ": exp is off by " + std::to_string(largest * 1e7) + "e-7");
}

}  // namespace

int main() {
  const std::vector<float> numbers = numbers_of_all_sizes();
  for (const NamedKernels& kernels : offbeat_test::kernels_of_this_machine()) {
    const std::string& name = kernels.name;
    const double sigmoid = largest_error(kernels, numbers, Unary::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });
    const double tanh = largest_error(kernels, numbers, Unary::tanh, [](double x) { return std::tanh(x); });
    expect(sigmoid < bound, name + ": sigmoid is off by " + std::to_string(sigmoid * 1e7) + "e-7");
    expect(tanh < bound, name + ": tanh is off by " + std::to_string(tanh * 1e7) + "e-7");
    exp_half_is_exact_to_a_few_roundings(kernels);
    std::printf("%s: sigmoid %.2e, tanh %.2e\n", name.c_str(), sigmoid, tanh);
  }
  return offbeat_test::exit_code();
}
