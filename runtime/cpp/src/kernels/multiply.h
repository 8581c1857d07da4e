// Register-blocked products. Included once, inside the anonymous namespace of a kernel translation unit, behind vector.h.

#if defined(OFFBEAT_SMALL_KERNELS)
inline constexpr int tile_rows = 2;  // few shapes of tiles: a fifth of the code, and batches take longer
inline constexpr int one_vector_rows = 4;
#elif defined(__AVX512F__) || defined(__ARM_NEON)
inline constexpr int tile_rows = 6;  // 32 registers: 24 sums, 4 weights, one input
inline constexpr int one_vector_rows = 12;
#else
inline constexpr int tile_rows = 3;  // 16 registers: 12 sums, 3 inputs, one weight
inline constexpr int one_vector_rows = 12;
#endif
#if defined(__AVX512F__) || defined(__ARM_NEON)
inline constexpr int n_sums = 24;
#else
inline constexpr int n_sums = 12;
#endif

struct F32 {
  using Weight = float;
  static constexpr bool is_scaled = true;  ///< the gates' factor is in the weights
  static OFFBEAT_INLINE Floats load_weight(const Weight* from) { return load(from); }
};
struct Bf16 {
  using Weight = std::uint16_t;
  static constexpr bool is_scaled = false;
  static OFFBEAT_INLINE Floats load_weight(const Weight* from) { return load_bf16(from); }
};
struct F16 {
  using Weight = std::uint16_t;
  static constexpr bool is_scaled = false;
  static OFFBEAT_INLINE Floats load_weight(const Weight* from) { return load_f16(from); }
};

/// sums[vector][row] += weight of one input · that input of each row.
template <class F, int n_vectors, int n_rows>
OFFBEAT_INLINE void add_input(Floats (&sums)[n_vectors][n_rows], const typename F::Weight* weight, const float* x, std::size_t x_stride) {
  if constexpr (n_vectors > n_rows) {  // fewer registers for inputs than for weights, which then come straight from memory
    Floats inputs[n_rows];
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) inputs[row] = set(x[static_cast<std::size_t>(row) * x_stride]);
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) {
      const Floats w = F::load_weight(weight + static_cast<std::size_t>(vector) * lanes);
#pragma GCC unroll 16
      for (int row = 0; row < n_rows; ++row) sums[vector][row] = fma(w, inputs[row], sums[vector][row]);
    }
  } else {
    Floats w[n_vectors];
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) w[vector] = F::load_weight(weight + static_cast<std::size_t>(vector) * lanes);
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) {
      const Floats input = set(x[static_cast<std::size_t>(row) * x_stride]);
#pragma GCC unroll 16
      for (int vector = 0; vector < n_vectors; ++vector) sums[vector][row] = fma(w[vector], input, sums[vector][row]);
    }
  }
}

/// sums[vector][row] += weight · x, one input after the other, `x_step` floats apart: whatever the tile, every element is summed in
/// this order.
template <class F, int n_vectors, int n_rows>
OFFBEAT_INLINE void multiply(Floats (&sums)[n_vectors][n_rows], const typename F::Weight* weight, const float* x, std::size_t x_stride,
                             std::size_t n_inputs, std::size_t step = 1) {
#pragma GCC unroll 2
  for (std::size_t input = 0; input < n_inputs; input += step) {
    add_input<F>(sums, weight + input * n_vectors * lanes, x + input, x_stride);
  }
}

/// sums += weight · x, where the inputs are summed in two chains, the even ones on top of sums and the odd ones by themselves, since
/// one chain of dependent products takes four cycles for each. The weights of the even inputs come first.
template <class F, int n_vectors, int n_rows>
OFFBEAT_INLINE void multiply_in_two(Floats (&sums)[n_vectors][n_rows], const typename F::Weight* weight, const float* x,
                                    std::size_t x_stride, std::size_t n_inputs) {
  const std::size_t n_odd = n_inputs / 2;
  constexpr std::size_t size = n_vectors * lanes;
  Floats odd_sums[n_vectors][n_rows] = {};
  if constexpr (2 * n_vectors * n_rows <= n_sums) {
#pragma GCC unroll 4
    for (std::size_t pair = 0; pair < n_odd; ++pair) {
      add_input<F>(sums, weight + 2 * pair * size, x + 2 * pair, x_stride);
      add_input<F>(odd_sums, weight + (2 * pair + 1) * size, x + 2 * pair + 1, x_stride);
    }
    if (n_inputs % 2 == 1) add_input<F>(sums, weight + 2 * n_odd * size, x + 2 * n_odd, x_stride);
  } else {
    // Too many sums for the registers: one chain after the other.
    float even_sums[n_vectors][n_rows][lanes];
    multiply<F>(sums, weight, x, x_stride, n_inputs, 2);
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) {
#pragma GCC unroll 16
      for (int row = 0; row < n_rows; ++row) store(even_sums[vector][row], sums[vector][row]);
    }
    multiply<F>(odd_sums, weight + size, x + 1, x_stride, n_inputs - 1, 2);
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) {
#pragma GCC unroll 16
      for (int row = 0; row < n_rows; ++row) sums[vector][row] = load(even_sums[vector][row]);
    }
  }
#pragma GCC unroll 16
  for (int vector = 0; vector < n_vectors; ++vector) {
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) sums[vector][row] += odd_sums[vector][row];
  }
}

/// Rows of unsigned bytes, each q = round(x / scale) + 128 with scale = max |x| / 127.
struct Quantised {
  const std::uint8_t* rows;
  std::size_t stride;
  const float* scales;
};

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
