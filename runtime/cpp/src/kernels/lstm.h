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
