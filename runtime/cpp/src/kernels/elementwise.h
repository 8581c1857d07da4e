// Functions over whole buffers. Included once, inside the anonymous namespace of a kernel translation unit, behind activations.h.

void error(const ErrorArgs& args) noexcept {
  for (std::size_t at = 0; at < args.n_elements; at += lanes) {
    Floats sum = load(args.sums + at);
    for (std::size_t step = 0; step < args.n_steps; ++step) {
      const Floats difference = load(args.n + step * args.n_step + at) - load(args.r + step * args.r_step + at);
      sum = args.is_absolute ? sum + max(difference, -difference) : fma(difference, difference, sum);
    }
    store(args.sums + at, sum);
  }
}

void exp_halves(float* x, std::size_t n_elements) noexcept {
  for (std::size_t at = 0; at < n_elements; at += lanes) store(x + at, exp_half(load(x + at)));
}

void unary(float* x, std::size_t n_elements, Unary function) noexcept { activate(x, n_elements, function); }
