// One direction of an lstm layer. Included once, inside the anonymous namespace of a kernel translation unit, behind multiply.h.

/// Where one step reads and writes.
struct LstmStep {
  const float* gates;
  const float* x;
  const float* before;  ///< h of the step before, or null for zeros
  std::size_t before_row;
  float* h;
  Quantised quantised_before;  ///< the same, of the i8 kernels
  bool is_backward;  ///< panels in reverse, so that the weights that were used last, and are still cached, come first
};

/// Calls run(step) for every step, with where it reads and writes.
template <class Run>
OFFBEAT_INLINE void for_each_step(const LstmArgs& args, Run run) {
  LstmStep step{};
  step.before = args.h_before;
  step.before_row = args.h_before_row;
  for (std::size_t t = 0; t < args.n_steps; ++t) {
    const auto signed_t = static_cast<std::ptrdiff_t>(t);
    step.gates = args.gates + signed_t * args.gates_step;
    step.x = args.x == nullptr ? nullptr : args.x + signed_t * args.x_step;
    step.h = args.h + (args.is_ring ? signed_t % 2 : signed_t) * args.h_step;
    step.is_backward = t % 2 == 1;
    run(step);
    step.before = step.h;
    step.before_row = args.h_row;
  }
}

template <int n_rows>
OFFBEAT_INLINE void begin_gates(Floats (&sums)[4][n_rows], const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
#pragma GCC unroll 16
  for (int gate = 0; gate < 4; ++gate) {
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r) {
      sums[gate][r] = load(step.gates + (row + static_cast<std::size_t>(r)) * args.gates_row + (panel * 4 + static_cast<std::size_t>(gate)) * lanes);
    }
  }
}

template <bool is_scaled, int n_rows>
OFFBEAT_INLINE void end_gates(const Floats (&sums)[4][n_rows], const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
#pragma GCC unroll 16
  for (int r = 0; r < n_rows; ++r) {
    const std::size_t this_row = row + static_cast<std::size_t>(r);
    float* c = args.c + this_row * args.c_row + panel * lanes;
    float* h = step.h + this_row * args.h_row + panel * lanes;
    if constexpr (is_scaled) {
      lstm_cell(sums[0][r], sums[1][r], sums[2][r], sums[3][r], c, h);
    } else {
      lstm_cell(sums[0][r] * -log2_e, sums[1][r] * -log2_e, sums[2][r] * (-2 * log2_e), sums[3][r] * -log2_e, c, h);
    }
  }
}

/// Weights multiplied as floats.
template <class F>
struct FloatTile {
  static OFFBEAT_INLINE void begin(const LstmArgs&, LstmStep&) {}

  template <int n_rows>
  static inline void run(const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
    Floats sums[4][n_rows];
    begin_gates(sums, args, step, panel, row);
    if (step.x != nullptr) {
      const auto* weight = static_cast<const typename F::Weight*>(args.weight_input.data) + panel * 4 * lanes * args.weight_input.n_inputs;
      multiply<F>(sums, weight, step.x + row * args.x_row, args.x_row, args.weight_input.n_inputs);
    }
    if (step.before != nullptr) {
      const auto* weight = static_cast<const typename F::Weight*>(args.weight_hidden.data) + panel * 4 * lanes * args.weight_hidden.n_inputs;
      multiply_in_two<F>(sums, weight, step.before + row * step.before_row, step.before_row, args.weight_hidden.n_inputs);
    }
    end_gates<F::is_scaled>(sums, args, step, panel, row);
  }
};

/// Panels that one sequence takes at once where the weights come from far away: several streams are fetched ahead better than one.
inline constexpr std::size_t n_streams = 2;
inline constexpr std::size_t n_far_bytes = std::size_t{256} << 10;

/// One sequence and n_streams panels, the sums of each in the order of FloatTile.
template <class F>
inline void run_streams(const LstmArgs& args, const LstmStep& step, std::size_t panel) {
  using Weight = typename F::Weight;
  const std::size_t n_inputs = args.weight_hidden.n_inputs;
  const std::size_t panel_size = 4 * lanes * n_inputs;
  const auto* weight = static_cast<const Weight*>(args.weight_hidden.data) + panel * panel_size;
  Floats even[n_streams][4][1];
  Floats odd[n_streams][4][1] = {};
#pragma GCC unroll 4
  for (std::size_t p = 0; p < n_streams; ++p) {
    begin_gates(even[p], args, step, panel + p, 0);
    if (step.x == nullptr) continue;
    multiply<F>(even[p], static_cast<const Weight*>(args.weight_input.data) + (panel + p) * 4 * lanes * args.weight_input.n_inputs, step.x, 0,
                args.weight_input.n_inputs);
  }
  for (std::size_t input = 0; input + 2 <= n_inputs; input += 2) {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < n_streams; ++p) {
      add_input<F>(even[p], weight + p * panel_size + input * 4 * lanes, step.before + input, 0);
      add_input<F>(odd[p], weight + p * panel_size + (input + 1) * 4 * lanes, step.before + input + 1, 0);
    }
  }
#pragma GCC unroll 4
  for (std::size_t p = 0; p < n_streams; ++p) {
    if (n_inputs % 2 == 1) add_input<F>(even[p], weight + p * panel_size + (n_inputs - 1) * 4 * lanes, step.before + n_inputs - 1, 0);
#pragma GCC unroll 4
    for (std::size_t gate = 0; gate < 4; ++gate) even[p][gate][0] += odd[p][gate][0];
    end_gates<F::is_scaled>(even[p], args, step, panel + p, 0);
  }
}

/// The products of inputs [first, first + lanes) of two whole vectors of them with one panel.
template <class F>
OFFBEAT_INLINE void multiply_half(Floats (&even)[4][1], Floats (&odd)[4][1], const typename F::Weight* weight, const float* x,
                                  std::size_t first) {
#pragma GCC unroll 8
  for (std::size_t input = first; input < first + lanes; input += 2) {
    add_input<F>(even, weight + input * 4 * lanes, x + input, 0);
    add_input<F>(odd, weight + (input + 1) * 4 * lanes, x + input + 1, 0);
  }
}

/// One step of one sequence of two panels, so interleaved that the cells of the first panel are computed while the products of the
/// second are summed, and the products of the next step with the first panel's h begin before the second's is there: alone in a batch,
/// a small layer waits for its own results most of the time. The order of sums is that of FloatTile.
template <class F>
OFFBEAT_INLINE void run_pair_step(const LstmArgs& args, const LstmStep& step, const typename F::Weight* const (&weights)[2]) {
  const auto* input_weight = static_cast<const typename F::Weight*>(args.weight_input.data);
  const std::size_t n_inputs = step.x == nullptr ? 0 : args.weight_input.n_inputs;
  Floats even[2][4][1];
  Floats odd[2][4][1] = {};
#pragma GCC unroll 2
  for (std::size_t panel = 0; panel < 2; ++panel) {
    begin_gates(even[panel], args, step, panel, 0);
    multiply<F>(even[panel], input_weight + panel * 4 * lanes * n_inputs, step.x, 0, n_inputs);
  }
#pragma GCC unroll 8
  for (std::size_t input = 0; input < lanes; input += 2) {
    const Floats first = set(step.before[input]);
    const Floats second = set(step.before[input + 1]);
#pragma GCC unroll 2
    for (std::size_t panel = 0; panel < 2; ++panel) {
#pragma GCC unroll 4
      for (std::size_t gate = 0; gate < 4; ++gate) {
        even[panel][gate][0] = fma(F::load_weight(weights[panel] + input * 4 * lanes, gate, 4), first, even[panel][gate][0]);
        odd[panel][gate][0] = fma(F::load_weight(weights[panel] + (input + 1) * 4 * lanes, gate, 4), second, odd[panel][gate][0]);
      }
    }
  }
#pragma GCC unroll 2
  for (std::size_t panel = 0; panel < 2; ++panel) {
    multiply_half<F>(even[panel], odd[panel], weights[panel], step.before, lanes);
#pragma GCC unroll 4
    for (int gate = 0; gate < 4; ++gate) even[panel][gate][0] += odd[panel][gate][0];
    end_gates<F::is_scaled>(even[panel], args, step, panel, 0);
  }
}

/// All steps of it.
template <class F>
inline void run_pair(const LstmArgs& args) {
  const auto* weight = static_cast<const typename F::Weight*>(args.weight_hidden.data);
  const typename F::Weight* const weights[2] = {weight, weight + 8 * lanes * lanes};
  for_each_step(args, [&](LstmStep& step) {
    if (step.before == nullptr) {
      for (std::size_t panel = 0; panel < 2; ++panel) FloatTile<F>::template run<1>(args, step, panel, 0);
    } else {
      run_pair_step<F>(args, step, weights);
    }
  });
}

/// Panels in order, or in reverse; for each the rows of [row, n_rows) in tiles.
template <class Tile, int n_rows>
inline void tiles(const LstmArgs& args, const LstmStep& step, std::size_t first_row, std::size_t last_row) {
  const std::size_t n_panels = args.weight_hidden.n_vectors / 4;
  for (std::size_t index = 0; index < n_panels; ++index) {
    const std::size_t panel = step.is_backward ? n_panels - 1 - index : index;
    for (std::size_t row = first_row; row < last_row; row += n_rows) Tile::template run<n_rows>(args, step, panel, row);
  }
}

/// The rows that are fewer than a whole tile.
template <class Tile, int n_rows>
inline void last_rows(const LstmArgs& args, const LstmStep& step, std::size_t row) {
  if constexpr (n_rows > 0) {
    if (args.n_rows - row == n_rows) {
      tiles<Tile, n_rows>(args, step, row, args.n_rows);
    } else {
      last_rows<Tile, n_rows - 1>(args, step, row);
    }
  }
}

template <class Tile>
inline void lstm_step(const LstmArgs& args, const LstmStep& step) {
  const std::size_t n_whole = args.n_rows / tile_rows * tile_rows;
  if (n_whole > 0) tiles<Tile, tile_rows>(args, step, 0, n_whole);
  last_rows<Tile, tile_rows - 1>(args, step, n_whole);
}

template <class Tile>
inline void lstm_steps(const LstmArgs& args) {
  for_each_step(args, [&](LstmStep& step) {
    Tile::begin(args, step);
    lstm_step<Tile>(args, step);
  });
}

#if !defined(OFFBEAT_BYTES_ONLY)

/// All steps of one sequence, panels in groups of n_streams.
template <class F>
inline void run_far(const LstmArgs& args) {
  const std::size_t n_panels = args.weight_hidden.n_vectors / 4;
  const std::size_t n_grouped = n_panels / n_streams * n_streams;
  for_each_step(args, [&](LstmStep& step) {
    if (step.before == nullptr) return lstm_step<FloatTile<F>>(args, step);
    for (std::size_t index = 0; index < n_grouped; index += n_streams) {
      run_streams<F>(args, step, step.is_backward ? n_grouped - n_streams - index : index);
    }
    for (std::size_t panel = n_grouped; panel < n_panels; ++panel) FloatTile<F>::template run<1>(args, step, panel, 0);
  });
}

template <class F>
inline void lstm_of(const LstmArgs& args) {
  if constexpr (n_sums >= 24) {
    if (args.n_rows == 1 && args.weight_hidden.n_inputs == 2 * lanes) return run_pair<F>(args);
    const std::size_t n_bytes = args.weight_hidden.n_inputs * args.weight_hidden.n_vectors * lanes * sizeof(typename F::Weight);
    if (args.n_rows == 1 && n_bytes > n_far_bytes) return run_far<F>(args);
  }
  lstm_steps<FloatTile<F>>(args);
}

void lstm(const LstmArgs& args) noexcept {
  switch (args.weight_hidden.format) {
    case Format::f32: return lstm_of<F32>(args);
    case Format::bf16: return lstm_of<Bf16>(args);
    case Format::f16: return lstm_of<F16>(args);
    case Format::i8: return;  // has kernels of its own
  }
}

#endif
