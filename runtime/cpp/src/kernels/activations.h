// Elementwise functions. Included once, inside the anonymous namespace of a kernel translation unit, behind vector.h.

inline constexpr float log2_e = 1.44269504088896340736f;

/// Beyond this exponent of two an activation is its limit to within 1e-12, and products of three stay finite.
inline constexpr float saturated = 40;

#if defined(__AVX512F__)

/// 2^(j / 32), from whose bits j · 2¹⁸ was taken.
alignas(64) inline constexpr std::uint32_t powers_of_two[32] = {
    0x3f800000, 0x3f7ecd87, 0x3f7daac3, 0x3f7c980f, 0x3f7b95c2, 0x3f7aa43a, 0x3f79c3d3, 0x3f78f4f0, 0x3f7837f0, 0x3f778d3a, 0x3f76f532,
    0x3f767043, 0x3f75fed7, 0x3f75a15b, 0x3f75583f, 0x3f7523f6, 0x3f7504f3, 0x3f74fbaf, 0x3f7508a4, 0x3f752c4d, 0x3f75672a, 0x3f75b9be,
    0x3f76248c, 0x3f76a81e, 0x3f7744fd, 0x3f77fbb8, 0x3f78ccdf, 0x3f79b907, 0x3f7ac0c7, 0x3f7be4ba, 0x3f7d257d, 0x3f7e83b3};

/// 2^x for |x| ≤ 126: x = n + j / 32 + r with integers n and j and |r| ≤ 1/64. 2^(j / 32) is looked up in two registers, n is
/// added to its exponent bits, and 2^r is its minimax polynomial of degree 2 with a constant term of 1 (relative error 5.4e-8). Adding
/// 1.5 · 2¹⁸ rounds to a multiple of 1/32 and leaves 32 n + j in the low bits, of which the table takes j away again.
OFFBEAT_INLINE Floats exp2_bounded(Floats x) {
  const Floats rounder = set(393216.0f);
  const Floats shifted = x + rounder;
  const Floats r = x - (shifted - rounder);
  const __m512i index = reinterpret_cast<__m512i>(shifted);
  const __m512i power = _mm512_permutex2var_epi32(_mm512_load_si512(powers_of_two), index, _mm512_load_si512(powers_of_two + 16));
  const Floats scaled = reinterpret_cast<Floats>(_mm512_add_epi32(power, _mm512_slli_epi32(index, 18)));
  return fma(scaled * r, fma(r, set(0x1.ebfbdep-3f), set(0x1.62e584p-1f)), scaled);
}

#else

/// 2^x for |x| ≤ 126: x = n + r with n an integer and |r| ≤ 1/2. 2^r is its minimax polynomial of degree 5 with a constant
/// term of 1 and float32 coefficients (relative error 9.3e-8), to whose exponent bits n is added. Adding 1.5 · 2²³ rounds to
/// an integer and leaves n in the low bits.
OFFBEAT_INLINE Floats exp2_bounded(Floats x) {
  const Floats rounder = set(12582912.0f);
  const Floats shifted = x + rounder;
  const Floats r = x - (shifted - rounder);
  const Floats r2 = r * r;
  const Floats low = fma(r, set(0x1.62e42ap-1f), set(1.0f));
  const Floats middle = fma(r, set(0x1.c6b6d8p-5f), set(0x1.ebf9c2p-3f));
  const Floats high = fma(r, set(0x1.5bda4p-10f), set(0x1.3ce8acp-7f));
  const Floats power = fma(r2, fma(r2, high, middle), low);
  return reinterpret_cast<Floats>(reinterpret_cast<Ints>(power) + (reinterpret_cast<Ints>(shifted) << 23));
}

#endif

/// 1 / (1 + e⁻ˣ), to within 2e-7 everywhere.
OFFBEAT_INLINE Floats sigmoid(Floats x) { return 1.0f / (exp2_bounded(clamp(x * -log2_e, set(126.0f))) + 1.0f); }

/// (1 − e⁻²ˣ) / (1 + e⁻²ˣ), to within 2e-7 everywhere.
OFFBEAT_INLINE Floats tanh(Floats x) {
  const Floats e = exp2_bounded(clamp(x * (-2 * log2_e), set(saturated)));
  return (1.0f - e) / (1.0f + e);
}

/// e^(x / 2) for any x whose result is a normal number.
OFFBEAT_INLINE Floats exp_half(Floats x) { return exp2_bounded(clamp(x * (log2_e / 2), set(126.0f))); }

OFFBEAT_INLINE Floats apply(Unary unary, Floats x) {
  switch (unary) {
    case Unary::relu: return max(set(0.0f), x);
    case Unary::sigmoid: return sigmoid(x);
    case Unary::tanh: return tanh(x);
    case Unary::none: break;
  }
  return x;
}

/// One step of one vector of hidden units, its gates already times −log₂e (g: −2 log₂e), so that 2^gate is e^(−a) and e^(−2a).
///
///     c = σ(f) c + σ(i) tanh(g) = (c (1 + eⁱ)(1 + eᵍ) + (1 − eᵍ)(1 + eᶠ)) / ((1 + eᶠ)(1 + eⁱ)(1 + eᵍ))
///     h = σ(o) tanh(c) = (1 − eᶜ) / ((1 + eᵒ)(1 + eᶜ))
///
/// with eⁱ for 2^i and so on: two divisions, where five functions by themselves would take five. In three parts, since each waits for
/// the one before: other work can be put between them.
struct LstmCell {
  Floats ei;
  Floats ef;
  Floats eo;
  Floats cell;

  OFFBEAT_INLINE void begin(Floats i, Floats f) {
    ei = exp2_bounded(clamp(i, set(saturated)));
    ef = exp2_bounded(clamp(f, set(saturated)));
  }

  OFFBEAT_INLINE void update(Floats g, Floats o, float* c) {
    const Floats eg = exp2_bounded(clamp(g, set(saturated)));
    eo = exp2_bounded(clamp(o, set(saturated)));
    const Floats forget = ef + 1.0f;
    const Floats others = (ei + 1.0f) * (eg + 1.0f);
    cell = fma(load(c), others, (1.0f - eg) * forget) / (forget * others);
    store(c, cell);
  }

  OFFBEAT_INLINE void end(float* h) const {
    const Floats ec = exp2_bounded(clamp(cell * (-2 * log2_e), set(saturated)));
    store(h, (1.0f - ec) / ((eo + 1.0f) * (ec + 1.0f)));
  }
};

OFFBEAT_INLINE void lstm_cell(Floats i, Floats f, Floats g, Floats o, float* c, float* h) {
  LstmCell cell;
  cell.begin(i, f);
  cell.update(g, o, c);
  cell.end(h);
}

/// Activates n_elements rounded up to whole vectors.
inline void activate(float* x, std::size_t n_elements, Unary function) {
  for (std::size_t at = 0; at < n_elements; at += lanes) store(x + at, apply(function, load(x + at)));
}
