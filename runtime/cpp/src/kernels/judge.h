// From a reconstruction to decisions. Included once, inside the anonymous namespace of a kernel translation unit, behind vector.h.

// Over thousands of steps one running sum would lose the last digits of every addend: blocks are summed first.
constexpr std::size_t n_steps_of_block = 64;

OFFBEAT_INLINE Floats add_error(Floats sum, Floats n, Floats r, bool is_absolute) {
  const Floats difference = n - r;
  return is_absolute ? sum + max(difference, -difference) : fma(difference, difference, sum);
}

void error(const ErrorArgs& args) noexcept {
  for (std::size_t at = 0; at < args.n_elements; at += lanes) {
    Floats sum{};
    for (std::size_t first = 0; first < args.n_steps; first += n_steps_of_block) {
      const std::size_t last = first + n_steps_of_block < args.n_steps ? first + n_steps_of_block : args.n_steps;
      Floats block{};
      for (std::size_t step = first; step < last; ++step) {
        block = add_error(block, load(args.n + step * args.n_step + at), load(args.r + step * args.r_step + at), args.is_absolute);
      }
      sum = sum + block;
    }
    store(args.sums + at, sum);
  }
}

/// The sum of `size` numbers, of which numbers(at, n) gives those from `at` on, as many of n as there are lanes.
template <class Numbers>
OFFBEAT_INLINE float sum_of_row(std::size_t size, Numbers numbers) {
  Floats parts[n_parts] = {};
  std::size_t at = 0;
  for (; at + row_alignment <= size; at += row_alignment) {
#pragma GCC unroll 4
    for (std::size_t part = 0; part < n_parts; ++part) parts[part] += numbers(at + part * lanes, lanes);
  }
#pragma GCC unroll 4
  for (std::size_t part = 0; part < n_parts; ++part) {
    const std::size_t from = at + part * lanes;
    if (from < size) parts[part] += numbers(from, size - from);
  }
  return sum_of(parts);
}

OFFBEAT_INLINE float total_of_few(const float* row, std::size_t n_features) {
  float sum = row[0];
  for (std::size_t feature = 1; feature < n_features; ++feature) sum += row[feature];
  return sum;
}

/// What `error` gives for one step, to the bit, summed over the features.
OFFBEAT_INLINE float total_error(const float* n, const float* r, std::size_t n_features, bool is_absolute) {
  return sum_of_row(n_features, [=](std::size_t at, std::size_t n_left) {
    return add_error(Floats{}, load_up_to(n + at, n_left), load_up_to(r + at, n_left), is_absolute);
  });
}

/// Calls total(offset) for the offset of each row's numbers.
template <class Total>
OFFBEAT_INLINE void write_totals(const TotalArgs args, Total total) {
  for (std::size_t row = 0; row < args.n_rows; ++row) args.out[row] = total(row * args.stride);
  for (std::size_t row = 0; row < args.n_rows; row += lanes) store(args.out + row, load(args.out + row) / args.divisor);
}

void totals(const TotalArgs& args) noexcept {
  const float* n = args.n;
  const float* r = args.r;
  const std::size_t size = args.n_features;
  if (size <= n_narrow) return write_totals(args, [=](std::size_t at) { return total_of_few(n + at, size); });
  if (r == nullptr) {
    return write_totals(args, [=](std::size_t at) {
      return sum_of_row(size, [=](std::size_t from, std::size_t n_left) { return load_up_to(n + at + from, n_left); });
    });
  }
  if (args.is_absolute) return write_totals(args, [=](std::size_t at) { return total_error(n + at, r + at, size, true); });
  write_totals(args, [=](std::size_t at) { return total_error(n + at, r + at, size, false); });
}

void judge(const JudgeArgs& args) noexcept {
  float* __restrict errors = args.errors;
  // No window is normal because its arithmetic failed: infinity - infinity compares as normal with any threshold, and whether
  // it comes to that depends on the order of a sum.
  for (std::size_t row = 0; row < args.n_rows; ++row) errors[row] = errors[row] != errors[row] ? __builtin_inff() : errors[row];
  if (args.score != nullptr) {
    float* __restrict score = args.score;
    for (std::size_t row = 0; row < args.n_rows; ++row) {
      const float share = errors[row] / args.threshold * 0.5f;
      score[row] = share < 1.0f ? share : 1.0f;  // no error is negative
    }
  }
  if (args.is_anomaly != nullptr) {
    bool* __restrict is_anomaly = args.is_anomaly;
    for (std::size_t row = 0; row < args.n_rows; ++row) is_anomaly[row] = errors[row] > args.threshold;
  }
  if (args.error != nullptr) {
    float* __restrict error = args.error;
    for (std::size_t row = 0; row < args.n_rows; ++row) error[row] = errors[row];
  }
}
