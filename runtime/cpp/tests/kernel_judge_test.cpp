// What stands before and behind the layers: checking and normalising windows, summing errors, judging them.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "kernel_support.h"

namespace {

using offbeat_test::NamedKernels;
using offbeat_test::expect;
using offbeat_test::padded;
using offbeat_test::random_floats;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t n_narrow = offbeat::kernels::n_narrow;
constexpr std::size_t alignment = offbeat::kernels::row_alignment;

bool same(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

void finds_what_is_not_finite_at_any_place(const NamedKernels& kernels) {
  for (const std::size_t n : {1, 3, 15, 16, 17, 63, 64, 65, 150}) {
    std::vector<float> values = random_floats(n, 1);
    values[n / 2] = std::numeric_limits<float>::max();
    values[n - 1] = std::numeric_limits<float>::denorm_min();
    expect(kernels.finite(values.data(), n), kernels.name + ": " + std::to_string(n) + " finite values are said not to be");
    for (std::size_t at = 0; at < n; ++at) {
      for (const float wrong : {nan, infinity, -infinity}) {
        const float right = std::exchange(values[at], wrong);
        expect(!kernels.finite(values.data(), n), kernels.name + ": " + std::to_string(wrong) + " at " + std::to_string(at) + " of " + std::to_string(n) + " is not found");
        values[at] = right;
      }
    }
  }
  expect(kernels.finite(nullptr, 0), kernels.name + ": no values are all finite");
}

/// Numbers of the features as the kernel takes them.
std::vector<float> of_features(const std::vector<float>& numbers, float behind) {
  std::vector<float> result = numbers;
  if (numbers.size() > n_narrow) {
    result.resize(padded(numbers.size()), behind);
  } else {
    for (std::size_t i = numbers.size(); i < numbers.size() * alignment; ++i) result.push_back(numbers[i % numbers.size()]);
  }
  return result;
}

void normalises(const NamedKernels& kernels, std::size_t n_features, std::size_t n_steps, std::size_t n_rows) {
  const std::vector<float> mean = random_floats(n_features, 2), windows = random_floats(n_rows * n_steps * n_features, 3, 100);
  std::vector<float> scale = random_floats(n_features, 4);
  for (float& each : scale) each = std::fabs(each) + 0.1f;
  const std::vector<float> means = of_features(mean, 0), scales = of_features(scale, 1);
  const std::size_t stride = n_features <= n_narrow ? n_features : padded(n_features);
  std::vector<float> out(n_rows * n_steps * stride + alignment, nan);
  // A window of its own size, so that a sanitizer sees a kernel that reads beyond it.
  kernels.normalise({.windows = windows.data(), .n_rows = n_rows, .n_steps = n_steps, .n_features = n_features, .mean = means.data(), .scale = scales.data(), .out = out.data(), .out_stride = stride});
  std::size_t n_wrong = 0;
  for (std::size_t row = 0; row < n_rows; ++row) {
    for (std::size_t step = 0; step < n_steps; ++step) {
      for (std::size_t i = 0; i < stride; ++i) {
        const float expected = i < n_features ? (windows[(row * n_steps + step) * n_features + i] - mean[i]) / scale[i] : 0;
        n_wrong += same(out[(step * n_rows + row) * stride + i], expected) ? 0 : 1;
      }
    }
  }
  expect(n_wrong == 0, kernels.name + ": " + std::to_string(n_wrong) + " of " + std::to_string(n_rows) + " windows of " + std::to_string(n_steps) + " × " + std::to_string(n_features) + " are normalised wrongly");
}

void normalises_any_shape(const NamedKernels& kernels) {
  for (const std::size_t n_features : {1, 2, 3, 4, 15, 16, 17, 30, 33}) {
    for (const std::size_t n_steps : {1, 2, 15, 16, 17, 50}) {
      for (const std::size_t n_rows : {1, 2, 25}) normalises(kernels, n_features, n_steps, n_rows);
    }
  }
}

/// Rows of `size` numbers with what must not count behind each.
std::vector<float> rows_before_nan(std::size_t n_rows, std::size_t size, unsigned seed) {
  std::vector<float> rows = offbeat_test::padded_rows(random_floats(n_rows * size, seed), size);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i % padded(size) >= size) rows[i] = nan;
  }
  return rows;
}

std::vector<float> totals(const NamedKernels& kernels, const std::vector<float>& n, const float* r, bool is_absolute, std::size_t stride, std::size_t n_features, std::size_t n_rows) {
  std::vector<float> out(n_rows + alignment);
  kernels.totals({.n = n.data(), .r = r, .is_absolute = is_absolute, .stride = stride, .n_rows = n_rows, .n_features = n_features, .divisor = 3, .out = out.data()});
  out.resize(n_rows);
  return out;
}

void one_pass_gives_what_two_give(const NamedKernels& kernels, const NamedKernels& first) {
  for (const std::size_t size : {4, 15, 16, 17, 30, 64, 70}) {
    for (const bool is_absolute : {false, true}) {
      const std::size_t n_rows = 7, stride = padded(size);
      const std::vector<float> n = rows_before_nan(n_rows, size, 5), r = rows_before_nan(n_rows, size, 6);
      std::vector<float> sums(n.size());
      kernels.error({.n = n.data(), .n_step = 0, .r = r.data(), .r_step = 0, .n_steps = 1, .n_elements = n_rows * stride, .is_absolute = is_absolute, .sums = sums.data()});
      const std::vector<float> two = totals(kernels, sums, nullptr, is_absolute, stride, size, n_rows), one = totals(kernels, n, r.data(), is_absolute, stride, size, n_rows);
      const std::vector<float> other = totals(first, n, r.data(), is_absolute, stride, size, n_rows);
      for (std::size_t row = 0; row < n_rows; ++row) {
        double exact = 0;
        for (std::size_t i = 0; i < size; ++i) {
          const double difference = static_cast<double>(n[row * stride + i]) - r[row * stride + i];
          exact += (is_absolute ? std::fabs(difference) : difference * difference) / 3;
        }
        expect(std::fabs(one[row] - exact) < 1e-6 * exact, kernels.name + ": an error over " + std::to_string(size) + " features is off by " + std::to_string(one[row] - exact));
        expect(same(one[row], two[row]), kernels.name + ": two passes over " + std::to_string(size) + " features give another error");
        expect(same(one[row], other[row]), kernels.name + ": " + std::to_string(size) + " features are not added as " + first.name + " adds them");
      }
    }
  }
}

void adds_few_features_in_order(const NamedKernels& kernels) {
  const std::vector<float> sums{1e8f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0};
  for (std::size_t size = 1; size <= n_narrow; ++size) {
    const std::vector<float> seen = totals(kernels, sums, nullptr, false, size, size, 12 / size);
    for (std::size_t row = 0; row < seen.size(); ++row) {
      float total = 0;
      for (std::size_t i = 0; i < size; ++i) total += sums[row * size + i];
      expect(same(seen[row], total / 3), kernels.name + ": row " + std::to_string(row) + " of " + std::to_string(size) + " features has another total");
    }
  }
}

void multiplies_and_adds(const NamedKernels& kernels) {
  for (const std::size_t size : {1, 2, 3, 4, 15, 16, 17, 30, 33}) {
    const std::size_t n_rows = 5, stride = size <= n_narrow ? size : padded(size);
    const std::vector<float> a = random_floats(n_rows * stride + alignment, 1), b = random_floats(size, 2), c = random_floats(n_rows * stride + alignment, 3);
    std::vector<float> out(n_rows * stride + alignment, nan);
    kernels.multiply_add({.a = a.data(), .a_row = stride, .b = b.data(), .b_row = 0, .c = c.data(), .c_row = stride, .n_rows = n_rows, .size = size, .out = out.data(), .out_row = stride});
    for (std::size_t i = 0; i < n_rows * stride; ++i) {
      const volatile float product = i % stride < size ? a[i] * b[i % stride] : 0;  // rounded before it is added to
      expect(same(out[i], i % stride < size ? product + c[i] : 0), kernels.name + ": a · b + c of " + std::to_string(size) + " numbers is wrong at " + std::to_string(i));
    }
  }
}

void judges(const NamedKernels& kernels) {
  constexpr float threshold = 0.25f;
  const std::vector<float> computed{0, 0.125f, 0.25f, std::nextafter(0.25f, 1.0f), 0.5f, 7, infinity, nan, 0.1f, 0.2f, 0.3f, 0.4f, 0.25f, 1e-40f, 3e38f, nan, 0.24f, nan, 0.26f};
  for (std::size_t n = 0; n <= computed.size(); ++n) {
    std::vector<float> errors = computed, error(computed.size(), -1), score(computed.size(), -1);
    const auto decision = std::make_unique<bool[]>(computed.size());
    kernels.judge({.errors = errors.data(), .n_rows = n, .threshold = threshold, .error = error.data(), .score = score.data(), .is_anomaly = decision.get()});
    for (std::size_t row = 0; row < computed.size(); ++row) {
      const float expected = std::isnan(computed[row]) ? infinity : computed[row];
      const bool is_right = row < n ? same(error[row], expected) && same(score[row], std::clamp(expected / threshold * 0.5f, 0.0f, 1.0f)) && decision[row] == (expected > threshold)
                                    : error[row] == -1 && score[row] == -1 && !decision[row];
      expect(is_right, kernels.name + ": row " + std::to_string(row) + " of " + std::to_string(n) + " is judged wrongly: " + std::to_string(computed[row]));
    }
    kernels.judge({.errors = errors.data(), .n_rows = n, .threshold = threshold, .error = nullptr, .score = nullptr, .is_anomaly = nullptr});
  }
}

}  // namespace

int main() {
  const std::vector<NamedKernels> all = offbeat_test::kernels_of_this_machine();
  for (const NamedKernels& kernels : all) {
    finds_what_is_not_finite_at_any_place(kernels);
    normalises_any_shape(kernels);
    one_pass_gives_what_two_give(kernels, all.front());
    adds_few_features_in_order(kernels);
    multiplies_and_adds(kernels);
    judges(kernels);
  }
  return offbeat_test::exit_code();
}
