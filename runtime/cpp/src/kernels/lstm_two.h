// Two lstm layers of one sequence, their steps in turn. Included once, inside the anonymous namespace of a kernel translation unit,
// behind lstm_alone.h. Only for float32: narrower weights are the slower ones where a layer is as small as this.

/// The cells of one step of a layer of two panels, in parts to be computed between another layer's products.
struct PairedCells {
  static constexpr int n_parts = 6;
  Floats gates[2][4];
  LstmCell cells[2];
  float* c;
  float* h;

  template <int part>
  OFFBEAT_INLINE void run() {
    if constexpr (part == 0) cells[0].begin(gates[0][0], gates[0][1]);
    if constexpr (part == 1) cells[0].update(gates[0][2], gates[0][3], c);
    if constexpr (part == 2) cells[1].begin(gates[1][0], gates[1][1]);
    if constexpr (part == 3) cells[1].update(gates[1][2], gates[1][3], c + lanes);
    if constexpr (part == 4) cells[0].end(h);
    if constexpr (part == 5) cells[1].end(h + lanes);
  }

  template <int part = 0>
  OFFBEAT_INLINE void run_all() {
    run<part>();
    if constexpr (part + 1 < n_parts) run_all<part + 1>();
  }
};

/// One layer on its way.
struct PairedLayer {
  static constexpr std::size_t n_inputs = 2 * lanes;
  static constexpr std::size_t row = 4 * lanes;  ///< weights of one input and one panel
  static constexpr int n_parts = 8;

  const LstmArgs& args;
  PairedCells cells;

  /// Adds the products of one input with both panels.
  static OFFBEAT_INLINE void add(Floats (&sums)[2][4], const float* weight, std::size_t panel_size, const float* input) {
    const Floats x = set(*input);
#pragma GCC unroll 2
    for (std::size_t panel = 0; panel < 2; ++panel) {
#pragma GCC unroll 4
      for (std::size_t gate = 0; gate < 4; ++gate) sums[panel][gate] = fma(load(weight + panel * panel_size + gate * lanes), x, sums[panel][gate]);
    }
  }

  /// The products with h, an eighth of the inputs at a time, and behind each a part of the other layer's cells.
  template <bool has_other, int part = 0>
  static OFFBEAT_INLINE void multiply_hidden(Floats (&even)[2][4], Floats (&odd)[2][4], const float* weight, const float* h, PairedCells& other) {
    constexpr std::size_t n_at_once = n_inputs / n_parts;
#pragma GCC unroll 4
    for (std::size_t input = part * n_at_once; input < (part + 1) * n_at_once; input += 2) {
      add(even, weight + input * row, n_inputs * row, h + input);
      add(odd, weight + (input + 1) * row, n_inputs * row, h + input + 1);
    }
    if constexpr (has_other && part < PairedCells::n_parts) other.template run<part>();
    if constexpr (part + 1 < n_parts) multiply_hidden<has_other, part + 1>(even, odd, weight, h, other);
  }

  /// The sums of step t, in the order of FloatTile, into `cells`, while the other layer's cells are computed where there are any.
  template <bool has_other>
  OFFBEAT_INLINE void multiply_step(std::size_t t, const float* before, PairedCells& other) {
    const auto signed_t = static_cast<std::ptrdiff_t>(t);
    const float* gates = args.gates + signed_t * args.gates_step;
    Floats even[2][4];
    Floats odd[2][4] = {};
#pragma GCC unroll 2
    for (std::size_t panel = 0; panel < 2; ++panel) {
#pragma GCC unroll 4
      for (std::size_t gate = 0; gate < 4; ++gate) even[panel][gate] = load(gates + (panel * 4 + gate) * lanes);
    }
    if (args.x != nullptr) {
      const auto* weight = static_cast<const float*>(args.weight_input.data);
      const std::size_t n_x = args.weight_input.n_inputs;
      for (std::size_t input = 0; input < n_x; ++input) add(even, weight + input * row, n_x * row, args.x + signed_t * args.x_step + input);
    }
    multiply_hidden<has_other>(even, odd, static_cast<const float*>(args.weight_hidden.data), before, other);
#pragma GCC unroll 2
    for (std::size_t panel = 0; panel < 2; ++panel) {
#pragma GCC unroll 4
      for (std::size_t gate = 0; gate < 4; ++gate) cells.gates[panel][gate] = even[panel][gate] + odd[panel][gate];
    }
    cells.c = args.c;
    cells.h = args.h + (args.is_ring ? signed_t % 2 : signed_t) * args.h_step;
  }
};

/// Alone, a step of a small layer waits: for its own h, and for its cells, whose instructions keep the next products out of the
/// schedulers. So while one layer's products are summed, the other layer's cells are computed, a part behind each eighth of them.
void lstm_two(const LstmArgs& first_args, const LstmArgs& second_args) noexcept {
  alignas(64) static constexpr float zeros[2 * lanes] = {};
  PairedLayer first{first_args, {}};
  PairedLayer second{second_args, {}};
  const float* second_h = second_args.h_before == nullptr ? zeros : second_args.h_before;
  first.multiply_step<false>(0, first_args.h_before == nullptr ? zeros : first_args.h_before, second.cells);
  for (std::size_t t = 0;; second_h = second.cells.h) {
    second.multiply_step<true>(t, second_h, first.cells);
    if (++t == first_args.n_steps) break;
    first.multiply_step<true>(t, first.cells.h, second.cells);
  }
  second.cells.run_all();
}
