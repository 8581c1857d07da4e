// One direction of an lstm layer. Included once, inside the anonymous namespace of a kernel translation unit, behind multiply.h.

/// Where one step reads and writes.
struct LstmStep {
  const float* gates;
  const float* x;
  const float* before;  ///< h of the step before, or null for zeros
  std::size_t before_row;
  float* h;
  Quantised quantised_before;
  bool is_backward;  ///< panels in reverse, so that the weights that were used last, and are still cached, come first
};

template <int n_panels, int n_rows>
OFFBEAT_INLINE void begin_gates(Floats (&sums)[n_panels][4][n_rows], const LstmArgs& args, const LstmStep& step, std::size_t panel,
                                std::size_t row) {
#pragma GCC unroll 16
  for (int p = 0; p < n_panels; ++p) {
#pragma GCC unroll 16
    for (int gate = 0; gate < 4; ++gate) {
#pragma GCC unroll 16
      for (int r = 0; r < n_rows; ++r) {
        sums[p][gate][r] = load(step.gates + (row + static_cast<std::size_t>(r)) * args.gates_row +
                                ((panel + static_cast<std::size_t>(p)) * 4 + static_cast<std::size_t>(gate)) * lanes);
      }
    }
  }
}

template <bool is_scaled, int n_panels, int n_rows>
OFFBEAT_INLINE void end_gates(const Floats (&sums)[n_panels][4][n_rows], const LstmArgs& args, const LstmStep& step, std::size_t panel,
                              std::size_t row) {
  constexpr float factor = is_scaled ? 1 : -log2_e;
#pragma GCC unroll 16
  for (int p = 0; p < n_panels; ++p) {
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r) {
      const std::size_t at = (panel + static_cast<std::size_t>(p)) * lanes;
      const std::size_t this_row = row + static_cast<std::size_t>(r);
      float* c = args.c + this_row * args.c_row + at;
      float* h = step.h + this_row * args.h_row + at;
      if constexpr (is_scaled) {
        lstm_cell(sums[p][0][r], sums[p][1][r], sums[p][2][r], sums[p][3][r], c, h);
      } else {
        lstm_cell(sums[p][0][r] * factor, sums[p][1][r] * factor, sums[p][2][r] * (2 * factor), sums[p][3][r] * factor, c, h);
      }
    }
  }
}

/// Weights multiplied as floats; also what is left of a step where there is nothing to multiply.
template <class F>
struct FloatTile {
  template <int n_panels, int n_rows>
  static inline void run(const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
    Floats sums[n_panels][4][n_rows];
    begin_gates(sums, args, step, panel, row);
    if (step.x != nullptr) {
      const std::size_t size = 4 * lanes * args.weight_input.n_inputs;
      const auto* weight = static_cast<const typename F::Weight*>(args.weight_input.data) + panel * size;
      multiply<F, n_panels, 4, n_rows>(sums, weight, size, step.x + row * args.x_row, args.x_row, args.weight_input.n_inputs);
    }
    if (step.before != nullptr) {
      const std::size_t size = 4 * lanes * args.weight_hidden.n_inputs;
      const auto* weight = static_cast<const typename F::Weight*>(args.weight_hidden.data) + panel * size;
      multiply<F, n_panels, 4, n_rows>(sums, weight, size, step.before + row * step.before_row, step.before_row, args.weight_hidden.n_inputs);
    }
    end_gates<F::is_scaled>(sums, args, step, panel, row);
  }
};

struct QuantisedTile {
  template <int n_panels, int n_rows>
  static inline void run(const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t row) {
    Floats sums[n_panels][4][n_rows];
    begin_gates(sums, args, step, panel, row);
    if (step.before != nullptr) multiply_quantised<n_panels, 4, n_rows>(sums, args.weight_hidden, panel * 4, step.quantised_before, row);
    end_gates<true>(sums, args, step, panel, row);
  }
};

/// Panels that a tile of so many rows takes at once: enough sums to hide the latency of one.
constexpr int panels_at_once(int n_rows) { return n_rows == 1 ? single_row_panels : n_rows <= tile_rows / 2 ? 2 : 1; }

template <class Tile, int n_panels, int n_rows>
inline void panel_groups(const LstmArgs& args, const LstmStep& step, std::size_t row) {
  const std::size_t n_all = args.weight_hidden.n_vectors / 4;
  const std::size_t n_groups = n_all / n_panels;
  const auto rest = [&] {
    for (std::size_t panel = n_groups * n_panels; panel < n_all; ++panel) Tile::template run<1, n_rows>(args, step, panel, row);
  };
  if (step.is_backward) {
    rest();
    for (std::size_t group = n_groups; group-- > 0;) Tile::template run<n_panels, n_rows>(args, step, group * n_panels, row);
  } else {
    for (std::size_t group = 0; group < n_groups; ++group) Tile::template run<n_panels, n_rows>(args, step, group * n_panels, row);
    rest();
  }
}

/// The rows that are fewer than a whole tile.
template <class Tile, int n_rows>
inline void last_rows(const LstmArgs& args, const LstmStep& step, std::size_t row, std::size_t n) {
  if constexpr (n_rows > 0) {
    if (n != n_rows) return last_rows<Tile, n_rows - 1>(args, step, row, n);
    // Where one panel is all that there is left for two, take one: sums of a small layer stay in registers either way.
    if (panels_at_once(n_rows) > 2 && args.weight_hidden.n_vectors < 4 * panels_at_once(n_rows)) return panel_groups<Tile, 2, n_rows>(args, step, row);
    panel_groups<Tile, panels_at_once(n_rows), n_rows>(args, step, row);
  }
}

template <class Tile>
inline void lstm_step(const LstmArgs& args, const LstmStep& step) {
  const std::size_t n_whole = args.n_rows / tile_rows * tile_rows;
  if (n_whole > 0) {
    const std::size_t n_panels = args.weight_hidden.n_vectors / 4;
    for (std::size_t index = 0; index < n_panels; ++index) {
      const std::size_t panel = step.is_backward ? n_panels - 1 - index : index;
      for (std::size_t row = 0; row < n_whole; row += tile_rows) Tile::template run<1, tile_rows>(args, step, panel, row);
    }
  }
  last_rows<Tile, tile_rows - 1>(args, step, n_whole, args.n_rows - n_whole);
}

template <class Tile, bool is_quantised>
inline void lstm_steps(const LstmArgs& args) {
  LstmStep step{};
  step.before = args.h_before;
  step.before_row = args.h_before_row;
  for (std::size_t t = 0; t < args.n_steps; ++t) {
    const auto signed_t = static_cast<std::ptrdiff_t>(t);
    step.gates = args.gates + signed_t * args.gates_step;
    step.x = args.x == nullptr ? nullptr : args.x + signed_t * args.x_step;
    step.h = args.h + (args.is_ring ? signed_t % 2 : signed_t) * args.h_step;
    step.is_backward = t % 2 == 1;
    if constexpr (is_quantised) {
      if (step.before != nullptr) step.quantised_before = quantise(step.before, step.before_row, args.n_rows, args.weight_hidden.n_inputs, args.quantised);
    }
    lstm_step<Tile>(args, step);
    step.before = step.h;
    step.before_row = args.h_row;
  }
}

void lstm(const LstmArgs& args) noexcept {
  switch (args.weight_hidden.format) {
    case Format::f32: return lstm_steps<FloatTile<F32>, false>(args);
    case Format::bf16: return lstm_steps<FloatTile<Bf16>, false>(args);
    case Format::f16: return lstm_steps<FloatTile<F16>, false>(args);
    case Format::i8: return lstm_steps<QuantisedTile, true>(args);
  }
}
