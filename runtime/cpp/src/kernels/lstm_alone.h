// Lstm layers of weights multiplied as floats, with loops of their own for a sequence that is alone. Included once, inside the anonymous
// namespace of a kernel translation unit, behind lstm.h.

/// Panels that one sequence takes at once where the weights come from far away: several streams are fetched ahead better than one.
inline constexpr std::size_t n_streams = 2;

/// Inputs whose weights are asked for while those before them are multiplied. Only where it was measured: see docs/native.md.
inline constexpr std::size_t n_ahead = 16;
inline constexpr bool asks_ahead = lanes == 16;

/// Weights of more bytes are far away: less of them than that stays in the first-level cache from step to step.
template <class F>
inline constexpr std::size_t n_far_bytes = std::size_t{asks_ahead && sizeof(typename F::Weight) == sizeof(float) ? 96 : 256} << 10;

/// Asks for one of the n_ahead / 2 parts of the cache lines of n_ahead inputs of one panel, in an order that the processor's own
/// prefetchers cannot follow: what they would ask for besides takes the bandwidth that the weights need.
template <class Weight>
OFFBEAT_INLINE void ask_for(const Weight* weight, std::size_t part) {
  constexpr std::size_t n_lines = n_ahead * 4 * lanes * sizeof(Weight) / 64;
  constexpr std::size_t n_here = n_lines / (n_ahead / 2);
#pragma GCC unroll 8
  for (std::size_t line = part * n_here; line < (part + 1) * n_here; ++line) {
    __builtin_prefetch(reinterpret_cast<const char*>(weight) + line * 21 % n_lines * 64);
  }
}

/// The sums of one sequence and n_streams panels, each in the order of FloatTile.
template <class F>
struct StreamSums {
  using Weight = typename F::Weight;
  static constexpr std::size_t row = 4 * lanes;  ///< weights of one input and one panel

  const float* before;
  std::size_t panel_size;
  Floats even[n_streams][4][1];
  Floats odd[n_streams][4][1];

  /// Adds the products of one input.
  OFFBEAT_INLINE void add_one(Floats (&sums)[n_streams][4][1], const Weight* weight, std::size_t input) {
    const Floats x = set(before[input]);
#pragma GCC unroll 4
    for (std::size_t n = 4; n > 0; --n) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < n_streams; ++p) {
        sums[p][n - 1][0] = fma(F::load_weight(weight + p * panel_size + input * row, n - 1, 4), x, sums[p][n - 1][0]);
      }
    }
  }

  /// Adds those of two inputs, from the last weight to the first, which keeps the processor's prefetchers quiet too.
  OFFBEAT_INLINE void add(const Weight* weight, std::size_t input) {
    add_one(odd, weight, input + 1);
    add_one(even, weight, input);
  }

  /// Adds those of n_ahead inputs, and asks for the weights of as many at `next`.
  OFFBEAT_INLINE void add_and_ask(const Weight* weight, std::size_t input, const Weight* next) {
#pragma GCC unroll 8
    for (std::size_t part = 0; part < n_ahead / 2; ++part) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < n_streams; ++p) ask_for(next + p * panel_size, part);
      add(weight, input + 2 * part);
    }
  }

  /// Adds those of all inputs; `next` are the weights that will be read behind these.
  OFFBEAT_INLINE void add_all(const Weight* weight, std::size_t n_inputs, [[maybe_unused]] const Weight* next) {
    std::size_t input = 0;
    if constexpr (asks_ahead) {
      for (; input + 2 * n_ahead <= n_inputs; input += n_ahead) add_and_ask(weight, input, weight + (input + n_ahead) * row);
      if (input + n_ahead <= n_inputs) {
        add_and_ask(weight, input, next);
        input += n_ahead;
      }
    }
    for (; input + 2 <= n_inputs; input += 2) add(weight, input);
    if (input < n_inputs) add_one(even, weight, input);
  }
};

/// One step of one sequence and n_streams panels, behind which those from next_panel on are taken.
template <class F>
inline void run_streams(const LstmArgs& args, const LstmStep& step, std::size_t panel, std::size_t next_panel) {
  using Weight = typename F::Weight;
  const std::size_t n_inputs = args.weight_hidden.n_inputs;
  const std::size_t panel_size = 4 * lanes * n_inputs;
  const auto* weight = static_cast<const Weight*>(args.weight_hidden.data);
  StreamSums<F> sums{step.before, panel_size, {}, {}};
#pragma GCC unroll 4
  for (std::size_t p = 0; p < n_streams; ++p) {
    begin_gates(sums.even[p], args, step, panel + p, 0);
    if (step.x == nullptr) continue;
    multiply<F>(sums.even[p], static_cast<const Weight*>(args.weight_input.data) + (panel + p) * 4 * lanes * args.weight_input.n_inputs, step.x, 0,
                args.weight_input.n_inputs);
  }
  sums.add_all(weight + panel * panel_size, n_inputs, weight + next_panel * panel_size);
#pragma GCC unroll 4
  for (std::size_t p = 0; p < n_streams; ++p) {
#pragma GCC unroll 4
    for (std::size_t gate = 0; gate < 4; ++gate) sums.even[p][gate][0] += sums.odd[p][gate][0];
    end_gates<F::is_scaled>(sums.even[p], args, step, panel + p, 0);
  }
}

/// All steps of one sequence, panels in groups of n_streams.
template <class F>
inline void run_far(const LstmArgs& args) {
  const std::size_t n_panels = args.weight_hidden.n_vectors / 4;
  const std::size_t n_grouped = n_panels / n_streams * n_streams;
  for_each_step(args, [&](LstmStep& step) {
    if (step.before == nullptr) return lstm_step<FloatTile<F>>(args, step);
    const std::size_t last = n_grouped - n_streams;
    for (std::size_t index = 0; index < n_grouped; index += n_streams) {
      const std::size_t next = index < last ? index + n_streams : last;  // the next step begins where this one ends
      run_streams<F>(args, step, step.is_backward ? last - index : index, step.is_backward ? last - next : next);
    }
    for (std::size_t panel = n_grouped; panel < n_panels; ++panel) FloatTile<F>::template run<1>(args, step, panel, 0);
  });
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

template <class F>
inline void lstm_of(const LstmArgs& args) {
  if constexpr (n_sums >= 24) {
    if (args.n_rows == 1 && args.weight_hidden.n_inputs == 2 * lanes) return run_pair<F>(args);
    const std::size_t n_bytes = args.weight_hidden.n_inputs * args.weight_hidden.n_vectors * lanes * sizeof(typename F::Weight);
    if (args.n_rows == 1 && n_bytes > n_far_bytes<F>) return run_far<F>(args);
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
