// Linear layers over rows. Included once, inside the anonymous namespace of a kernel translation unit, behind multiply.h.

template <int n_vectors, int n_rows>
OFFBEAT_INLINE void begin_linear(Floats (&sums)[n_vectors][n_rows], const LinearArgs& args, std::size_t first_vector) {
#pragma GCC unroll 16
  for (int vector = 0; vector < n_vectors; ++vector) {
    const Floats bias = load(args.bias + (first_vector + static_cast<std::size_t>(vector)) * lanes);
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) sums[vector][row] = bias;
  }
}

/// sums · factor + bias, of sums that began without it.
template <int n_vectors, int n_rows>
OFFBEAT_INLINE void scale_linear(Floats (&sums)[n_vectors][n_rows], const LinearArgs& args, std::size_t first_vector) {
#pragma GCC unroll 16
  for (int vector = 0; vector < n_vectors; ++vector) {
    const std::size_t at = (first_vector + static_cast<std::size_t>(vector)) * lanes;
    const Floats factor = load(args.factor + at), bias = load(args.bias + at);
#pragma GCC unroll 16
    for (int row = 0; row < n_rows; ++row) sums[vector][row] = fma(sums[vector][row], factor, bias);
  }
}

template <int n_vectors, int n_rows>
OFFBEAT_INLINE void end_linear(const Floats (&sums)[n_vectors][n_rows], const LinearArgs& args, std::size_t first_vector,
                               std::size_t first_row) {
  const Floats floor = set(args.unary == Unary::relu ? 0.0f : -__builtin_inff());
#pragma GCC unroll 16
  for (int row = 0; row < n_rows; ++row) {
    float* out = args.out + (first_row + static_cast<std::size_t>(row)) * args.out_stride + first_vector * lanes;
#pragma GCC unroll 16
    for (int vector = 0; vector < n_vectors; ++vector) store(out + static_cast<std::size_t>(vector) * lanes, max(floor, sums[vector][row]));
  }
}

/// What is left of an activation behind max, which was taken with the sums in registers.
inline void end_unary(const LinearArgs& args) {
  if (args.unary != Unary::sigmoid && args.unary != Unary::tanh) return;
  for (std::size_t row = 0; row < args.n_rows; ++row) activate(args.out + row * args.out_stride, args.weight.n_vectors * lanes, args.unary);
}

#if !defined(OFFBEAT_BYTES_ONLY)

/// All rows from `row` on, for n_vectors outputs: tiles of n_rows while there are as many, then of fewer.
template <class F, int n_vectors, int n_rows>
inline void linear_rows(const LinearArgs& args, std::size_t first_vector, std::size_t row) {
  const auto* weight = static_cast<const typename F::Weight*>(args.weight.data) + first_vector * lanes * args.weight.n_inputs;
  for (; row + n_rows <= args.n_rows; row += n_rows) {
    Floats sums[n_vectors][n_rows] = {};
    const bool is_factored = !F::is_scaled && args.factor != nullptr;
    if (!is_factored) begin_linear(sums, args, first_vector);
    multiply<F>(sums, weight, args.x + row * args.x_stride, args.x_stride, args.weight.n_inputs);
    if (is_factored) scale_linear(sums, args, first_vector);
    end_linear(sums, args, first_vector, row);
  }
  if constexpr (n_rows > 1) linear_rows<F, n_vectors, fewer_rows(n_rows)>(args, first_vector, row);
}

/// The tile of a panel of fewer vectors is longer, to keep as many sums.
template <class F>
inline void linear_panels(const LinearArgs& args) {
  std::size_t vector = 0;
  for (; vector + 4 <= args.weight.n_vectors; vector += 4) linear_rows<F, 4, tile_rows>(args, vector, 0);
  switch (args.weight.n_vectors - vector) {
    case 3: return linear_rows<F, 3, tile_rows * 4 / 3>(args, vector, 0);
    case 2: return linear_rows<F, 2, tile_rows * 2>(args, vector, 0);
    case 1: return linear_rows<F, 1, one_vector_rows>(args, vector, 0);
    default: return;
  }
}

void linear(const LinearArgs& args) noexcept {
  switch (args.weight.format) {
    case Format::f32: linear_panels<F32>(args); break;
    case Format::bf16: linear_panels<Bf16>(args); break;
    case Format::f16: linear_panels<F16>(args); break;
    case Format::i8: break;  // has kernels of its own
  }
  end_unary(args);
}

OFFBEAT_INLINE float dot(const float* x, const float* weight, std::size_t n_inputs) {
  Floats parts[n_parts] = {};
  std::size_t at = 0;
  for (; at + row_alignment <= n_inputs; at += row_alignment) {
#pragma GCC unroll 4
    for (std::size_t part = 0; part < n_parts; ++part) parts[part] = fma(load(x + at + part * lanes), load(weight + at + part * lanes), parts[part]);
  }
  // Rows are written in whole vectors: the rest of the last vector is finite, the vectors behind it may be anything.
#pragma GCC unroll 4
  for (std::size_t part = 0; part < n_parts; ++part) {
    if (at + part * lanes < n_inputs) parts[part] = fma(load(x + at + part * lanes), load(weight + at + part * lanes), parts[part]);
  }
  return sum_of(parts);
}

void narrow(const NarrowArgs& args) noexcept {
  const bool is_narrow_input = args.n_inputs <= n_narrow;
  for (std::size_t output = 0; output < args.n_outputs; ++output) {
    const float* weight = args.weight + output * args.weight_stride;
    const float bias = args.bias[output];
    for (std::size_t row = 0; row < args.n_rows; ++row) {
      const float* x = args.x + row * args.x_stride;
      float sum = 0;
      if (is_narrow_input) {
        for (std::size_t input = 0; input < args.n_inputs; ++input) sum = fma(set(x[input]), set(weight[input]), set(sum))[0];
      } else {
        sum = dot(x, weight, args.n_inputs);
      }
      args.out[row * args.out_stride + output] = sum + bias;
    }
  }
  if (args.unary == Unary::none) return;
  for (std::size_t row = 0; row < args.n_rows; ++row) {
    float* out = args.out + row * args.out_stride;
    for (std::size_t output = 0; output < args.n_outputs; ++output) out[output] = apply(args.unary, set(out[output]))[0];
  }
}

#endif
