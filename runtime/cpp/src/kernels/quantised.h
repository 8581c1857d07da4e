// The kernels of i8 weights: inputs are quantised row by row, products are summed in integers. Included once, inside the anonymous
// namespace of a kernel translation unit, behind linear.h and lstm.h.

inline std::size_t quantised_stride(std::size_t n_inputs) { return (n_inputs + 63) / 64 * 64; }

/// Bytes beyond n_inputs meet weights of zero. A row that is all zeros has scale 0.
inline float quantise_row(const float* x, std::size_t n_inputs, std::uint8_t* out) {
  Floats largest = set(0.0f);
  const std::size_t n_whole = n_inputs / lanes * lanes;
  for (std::size_t at = 0; at < n_whole; at += lanes) {
    largest = max(largest, max(load(x + at), -load(x + at)));
  }
  float limit = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) limit = largest[lane] > limit ? largest[lane] : limit;
  for (std::size_t at = n_whole; at < n_inputs; ++at) {
    const float magnitude = x[at] < 0 ? -x[at] : x[at];
    limit = magnitude > limit ? magnitude : limit;
  }
  const float inverse = limit > 0 ? 127 / limit : 0;
  // Adding 1.5 · 2²³ + 128 rounds to an integer and leaves it, offset, in the low byte.
  const Floats rounder = set(12582912.0f + 128);
  typedef std::uint8_t Bytes __attribute__((vector_size(lanes)));
  typedef std::uint8_t LooseBytes __attribute__((vector_size(lanes), aligned(1), may_alias));
  for (std::size_t at = 0; at < n_whole; at += lanes) {
    const Ints bits = reinterpret_cast<Ints>(fma(load(x + at), set(inverse), rounder));
    *reinterpret_cast<LooseBytes*>(out + at) = __builtin_convertvector(bits & 255, Bytes);
  }
  for (std::size_t at = n_whole; at < n_inputs; ++at) {
    const Ints bits = reinterpret_cast<Ints>(fma(set(x[at]), set(inverse), rounder));
    out[at] = static_cast<std::uint8_t>(bits[0] & 255);
  }
  return limit / 127;
}

inline Quantised quantise(const float* x, std::size_t x_stride, std::size_t n_rows, std::size_t n_inputs, std::byte* scratch) {
  const std::size_t stride = quantised_stride(n_inputs);
  auto* rows = reinterpret_cast<std::uint8_t*>(scratch);
  auto* scales = reinterpret_cast<float*>(scratch + quantised_rows * stride);
  for (std::size_t row = 0; row < n_rows; ++row) scales[row] = quantise_row(x + row * x_stride, n_inputs, rows + row * stride);
  return {rows, stride, scales};
}

/// totals[vector][row] += weight · q of four neighbouring inputs.
template <int n_vectors, int n_rows>
OFFBEAT_INLINE void add_bytes(Ints (&totals)[n_vectors][n_rows], const std::int8_t* weight, const std::uint8_t* x, std::size_t x_stride) {
  Ints inputs[n_rows];
#pragma GCC unroll 16
  for (int row = 0; row < n_rows; ++row) {
    std::int32_t bytes;
    __builtin_memcpy(&bytes, x + static_cast<std::size_t>(row) * x_stride, 4);
    inputs[row] = set_int(bytes);
  }
#pragma GCC unroll 16
  for (int vector = 0; vector < n_vectors; ++vector) {
    const Ints w = load_ints(weight + static_cast<std::size_t>(vector) * lanes * 4);
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) totals[vector][row] = multiply_bytes(totals[vector][row], inputs[row], w);
  }
}

/// sums[vector][row] += weight · (q − 128) · scales, exact but for the last two products. `first` is the first row.
template <int n_vectors, int n_rows>
OFFBEAT_INLINE void multiply_quantised(Floats (&sums)[n_vectors][n_rows], const Packed& weight, std::size_t first_vector,
                                       const Quantised& x, std::size_t first) {
  constexpr std::size_t step = n_vectors * lanes * 4;
  // One row alone has too few sums to hide the latency of one: two chains, which in integers give the same.
  constexpr std::size_t n_chains = n_rows == 1 ? 2 : 1;
  const std::size_t n_fours = (weight.n_inputs + 3) / 4;
  const auto* data = static_cast<const std::int8_t*>(weight.data) + first_vector * lanes * 4 * n_fours;
  const std::uint8_t* rows = x.rows + first * x.stride;
  Ints totals[n_chains][n_vectors][n_rows] = {};
  std::size_t four = 0;
#pragma GCC unroll 2
  for (; four + n_chains <= n_fours; four += n_chains) {
#pragma GCC unroll 2
    for (std::size_t chain = 0; chain < n_chains; ++chain) {
      add_bytes(totals[chain], data + (four + chain) * step, rows + (four + chain) * 4, x.stride);
    }
  }
  if (four < n_fours) add_bytes(totals[0], data + four * step, rows + four * 4, x.stride);
  if constexpr (n_chains == 2) {
#pragma GCC unroll 4
    for (int vector = 0; vector < n_vectors; ++vector) totals[0][vector][0] += totals[1][vector][0];
  }
#pragma GCC unroll 16
  for (int vector = 0; vector < n_vectors; ++vector) {
    const std::size_t at = (first_vector + static_cast<std::size_t>(vector)) * lanes;
    const Ints offset = load_ints(weight.row_sum + at);
    const Floats scale = load(weight.row_scale + at);
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) {
      const Floats product = to_floats(totals[0][vector][row] - offset) * x.scales[first + static_cast<std::size_t>(row)];
      sums[vector][row] = fma(product, scale, sums[vector][row]);
    }
  }
}

template <int n_vectors, int n_rows>
inline void quantised_rows_of(const LinearArgs& args, const Quantised& x, std::size_t n_rows_here, std::size_t first_row,
                              std::size_t first_vector, std::size_t row) {
  for (; row + n_rows <= n_rows_here; row += n_rows) {
    Floats sums[n_vectors][n_rows];
    begin_linear(sums, args, first_vector);
    multiply_quantised(sums, args.weight, first_vector, x, row);
    end_linear(sums, args, first_vector, first_row + row);
  }
  if constexpr (n_rows > 1) quantised_rows_of<n_vectors, fewer_rows(n_rows)>(args, x, n_rows_here, first_row, first_vector, row);
}

void quantised_linear(const LinearArgs& args) noexcept {
  for (std::size_t first = 0; first < args.n_rows; first += quantised_rows) {
    const std::size_t n = args.n_rows - first < quantised_rows ? args.n_rows - first : quantised_rows;
    const Quantised x = quantise(args.x + first * args.x_stride, args.x_stride, n, args.weight.n_inputs, args.quantised);
    std::size_t vector = 0;
    for (; vector + 4 <= args.weight.n_vectors; vector += 4) quantised_rows_of<4, tile_rows>(args, x, n, first, vector, 0);
    switch (args.weight.n_vectors - vector) {
      case 3: quantised_rows_of<3, tile_rows>(args, x, n, first, vector, 0); break;
      case 2: quantised_rows_of<2, tile_rows>(args, x, n, first, vector, 0); break;
      case 1: quantised_rows_of<1, tile_rows>(args, x, n, first, vector, 0); break;
      default: break;
    }
  }
  end_unary(args);
}

struct QuantisedTile {
  static OFFBEAT_INLINE void begin(const LstmArgs& args, LstmStep& step) {
    if (step.before != nullptr) step.quantised_before = quantise(step.before, step.before_row, args.n_rows, args.weight_hidden.n_inputs, args.quantised);
  }

  template <int n_rows>
  static inline void run(const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
    Floats sums[4][n_rows];
    begin_gates(sums, args, step, panel, row);
    if (step.before != nullptr) multiply_quantised(sums, args.weight_hidden, panel * 4, step.quantised_before, row);
    end_gates<true>(sums, args, step, panel, row);
  }
};

void quantised_lstm(const LstmArgs& args) noexcept { lstm_steps<QuantisedTile>(args); }
