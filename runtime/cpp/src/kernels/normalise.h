// What reads windows as they come. Included once, inside the anonymous namespace of a kernel translation unit, behind vector.h.

/// 0 · x is 0 of a finite number and NaN of any other, and so is every sum with it.
bool finite(const float* values, std::size_t n_values) noexcept {
  constexpr std::size_t n_chains = 4;
  Floats sums[n_chains] = {};
  const Floats zero{};
  std::size_t at = 0;
  for (; at + n_chains * lanes <= n_values; at += n_chains * lanes) {
#pragma GCC unroll 4
    for (std::size_t chain = 0; chain < n_chains; ++chain) sums[chain] = fma(load(values + at + chain * lanes), zero, sums[chain]);
  }
  for (; at < n_values; at += lanes) sums[0] = fma(load_up_to(values + at, n_values - at), zero, sums[0]);
  const float sum = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
  return sum == sum;
}

OFFBEAT_INLINE Floats normalised(Floats x, const NormaliseArgs& args, std::size_t at) { return (x - load(args.mean + at)) / load(args.scale + at); }

/// Rows of whole vectors, zeros behind their numbers.
inline void normalise_wide(const NormaliseArgs args) {
  const float* window = args.windows;
  const std::size_t n_whole = args.n_features / lanes * lanes;
  const std::size_t n_left = args.n_features - n_whole;
  for (std::size_t sequence = 0; sequence < args.n_rows; ++sequence) {
    for (std::size_t step = 0; step < args.n_steps; ++step) {
      float* out = args.out + (step * args.n_rows + sequence) * args.out_stride;
      std::size_t at = 0;
      for (; at < n_whole; at += lanes) store(out + at, normalised(load(window + at), args, at));
      // Vectors of zeros behind the last number too: (0 − 0) / 1.
      for (; at < args.out_stride; at += lanes) store(out + at, normalised(load_first(window + at, at == n_whole ? n_left : 0), args, at));
      window += args.n_features;
    }
  }
}

/// Rows side by side: as many steps at a time as there are lanes, which come out as they lie where there is one sequence.
template <std::size_t n_features>
inline void normalise_narrow(const NormaliseArgs args) {
  const float* window = args.windows;
  for (std::size_t sequence = 0; sequence < args.n_rows; ++sequence) {
    for (std::size_t first = 0; first < args.n_steps; first += lanes) {
      const std::size_t n_steps = args.n_steps - first < lanes ? args.n_steps - first : lanes;
      float numbers[n_features * lanes];
      for (std::size_t at = 0; at < n_steps * n_features; at += lanes) {
        store(args.n_rows == 1 ? args.out + first * n_features + at : numbers + at, normalised(load_up_to(window + at, n_steps * n_features - at), args, at));
      }
      window += n_steps * n_features;
      if (args.n_rows == 1) continue;
      for (std::size_t step = 0; step < n_steps; ++step) {
        float* out = args.out + ((first + step) * args.n_rows + sequence) * n_features;
        for (std::size_t feature = 0; feature < n_features; ++feature) out[feature] = numbers[step * n_features + feature];
      }
    }
  }
}

void normalise(const NormaliseArgs& args) noexcept {
  static_assert(n_narrow == 3);
  switch (args.n_features) {
    case 1: return normalise_narrow<1>(args);
    case 2: return normalise_narrow<2>(args);
    case 3: return normalise_narrow<3>(args);
    default: return normalise_wide(args);
  }
}
