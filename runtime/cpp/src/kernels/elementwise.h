// Functions over whole buffers. Included once, inside the anonymous namespace of a kernel translation unit, behind activations.h.

// Over thousands of steps one running sum would lose the last digits of every addend: blocks are summed first.
constexpr std::size_t n_steps_of_block = 64;

void error(const ErrorArgs& args) noexcept {
  for (std::size_t at = 0; at < args.n_elements; at += lanes) {
    Floats sum = load(args.sums + at);
    for (std::size_t first = 0; first < args.n_steps; first += n_steps_of_block) {
      const std::size_t last = first + n_steps_of_block < args.n_steps ? first + n_steps_of_block : args.n_steps;
      Floats block{};
      for (std::size_t step = first; step < last; ++step) {
        const Floats difference = load(args.n + step * args.n_step + at) - load(args.r + step * args.r_step + at);
        block = args.is_absolute ? block + max(difference, -difference) : fma(difference, difference, block);
      }
      sum = sum + block;
    }
    store(args.sums + at, sum);
  }
}

void exp_halves(float* x, std::size_t n_elements) noexcept {
  for (std::size_t at = 0; at < n_elements; at += lanes) store(x + at, exp_half(load(x + at)));
}

void unary(float* x, std::size_t n_elements, Unary function) noexcept { activate(x, n_elements, function); }
