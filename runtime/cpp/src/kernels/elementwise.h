// Functions over whole buffers. Included once, inside the anonymous namespace of a kernel translation unit, behind activations.h.

void exp_halves(float* x, std::size_t n_elements) noexcept {
  for (std::size_t at = 0; at < n_elements; at += lanes) store(x + at, exp_half(load(x + at)));
}

void unary(float* x, std::size_t n_elements, Unary function) noexcept { activate(x, n_elements, function); }
