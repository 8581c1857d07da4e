// Functions over whole buffers. Included once, inside the anonymous namespace of a kernel translation unit, behind activations.h.

void exp_halves(float* x, std::size_t n_elements) noexcept {
  for (std::size_t at = 0; at < n_elements; at += lanes) store(x + at, exp_half(load(x + at)));
}

void multiply_add(const MultiplyAddArgs& given) noexcept {
  const MultiplyAddArgs args = given;
  for (std::size_t row = 0; row < args.n_rows; ++row) {
    const float* a = args.a + row * args.a_row;
    const float* b = args.b + row * args.b_row;
    const float* c = args.c + row * args.c_row;
    float* out = args.out + row * args.out_row;
    const std::size_t n_whole = args.size / lanes * lanes;
    std::size_t at = 0;
    for (; at < n_whole; at += lanes) store(out + at, load(a + at) * load(b + at) + load(c + at));
    for (; at < args.out_row; at += lanes) {
      const std::size_t n_left = at == n_whole ? args.size - n_whole : 0;
      store(out + at, load_first(a + at, n_left) * load_first(b + at, n_left) + load_first(c + at, n_left));
    }
  }
}

void unary(float* x, std::size_t n_elements, Unary function) noexcept { activate(x, n_elements, function); }
