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

/// Rows of the next smaller tile, down to as few as are left: a tile of one row waits for its sums, and takes as long as one of three.
constexpr int fewer_rows(int n_rows) {
#if defined(OFFBEAT_SMALL_KERNELS)
  return n_rows / 2;
#else
  return n_rows > 6 ? 6 : n_rows - 1;
#endif
}

/// How weights are kept. load_weight takes one vector of the n_vectors that a panel has for one input.
struct F32 {
  using Weight = float;
  static constexpr bool is_scaled = true;  ///< the factor of a gate or of an output is in the weights
  static OFFBEAT_INLINE Floats load_weight(const Weight* input, std::size_t vector, std::size_t) { return load(input + vector * lanes); }
};
struct Bf16 {
  using Weight = std::uint16_t;
  static constexpr bool is_scaled = false;
  static OFFBEAT_INLINE Floats load_weight(const Weight* input, std::size_t vector, [[maybe_unused]] std::size_t n_vectors) {
    if constexpr (pairs_bf16(lanes)) {
      if ((vector | 1) < n_vectors) {
        // A word holds a number of both vectors, each of which is a float's upper half: one instruction for each.
        const Ints both = load_ints(input + vector / 2 * 2 * lanes);
        return reinterpret_cast<Floats>(vector % 2 == 0 ? both << 16 : both & -65536);
      }
    }
    return load_bf16(input + vector * lanes);
  }
};
struct F16 {
  using Weight = std::uint16_t;
  static constexpr bool is_scaled = false;
  static OFFBEAT_INLINE Floats load_weight(const Weight* input, std::size_t vector, std::size_t) { return load_f16(input + vector * lanes); }
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
      const Floats w = F::load_weight(weight, static_cast<std::size_t>(vector), n_vectors);
#pragma GCC unroll 16
      for (int row = 0; row < n_rows; ++row) sums[vector][row] = fma(w, inputs[row], sums[vector][row]);
    }
  } else {
    Floats w[n_vectors];
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) w[vector] = F::load_weight(weight, static_cast<std::size_t>(vector), n_vectors);
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
