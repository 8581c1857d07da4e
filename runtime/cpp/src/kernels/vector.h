// The vector layer: what differs between instruction sets, for one of them, chosen by the macros of the compiler.
// Included once, inside the anonymous namespace of a kernel translation unit. Operators are the compiler's vector extensions.

#define OFFBEAT_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
inline constexpr std::size_t lanes = 16;
#elif defined(__AVX2__)
inline constexpr std::size_t lanes = 8;
#else
inline constexpr std::size_t lanes = 4;
#endif

typedef float Floats __attribute__((vector_size(lanes * 4)));
typedef std::int32_t Ints __attribute__((vector_size(lanes * 4)));
typedef float LooseFloats __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
typedef std::int32_t LooseInts __attribute__((vector_size(lanes * 4), aligned(1), may_alias));

OFFBEAT_INLINE Floats load(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }
OFFBEAT_INLINE Ints load_ints(const void* from) { return *static_cast<const LooseInts*>(from); }
OFFBEAT_INLINE void store(float* to, Floats value) { *reinterpret_cast<LooseFloats*>(to) = value; }

#if defined(__AVX512F__)

OFFBEAT_INLINE Floats set(float x) { return _mm512_set1_ps(x); }
OFFBEAT_INLINE Ints set_int(std::int32_t x) { return reinterpret_cast<Ints>(_mm512_set1_epi32(x)); }
OFFBEAT_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
OFFBEAT_INLINE Floats to_floats(Ints x) { return _mm512_cvtepi32_ps(reinterpret_cast<__m512i>(x)); }
OFFBEAT_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
/// x, brought into [−limit, limit]: the smaller of both magnitudes, with the sign of x.
OFFBEAT_INLINE Floats clamp(Floats x, Floats limit) { return _mm512_range_ps(x, limit, 2); }
OFFBEAT_INLINE Floats load_bf16(const std::uint16_t* from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/// The first n numbers, 0 to lanes of them, and zeros behind; nothing beyond them is read.
OFFBEAT_INLINE Floats load_first(const float* from, std::size_t n) { return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from); }
OFFBEAT_INLINE Floats load_f16(const std::uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
/// Sums of products of neighbouring 16-bit numbers.
OFFBEAT_INLINE Ints multiply_pairs(Ints a, Ints b) {
  return reinterpret_cast<Ints>(_mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}

#elif defined(__AVX2__)

OFFBEAT_INLINE Floats set(float x) { return _mm256_set1_ps(x); }
OFFBEAT_INLINE Ints set_int(std::int32_t x) { return reinterpret_cast<Ints>(_mm256_set1_epi32(x)); }
OFFBEAT_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
OFFBEAT_INLINE Floats to_floats(Ints x) { return _mm256_cvtepi32_ps(reinterpret_cast<__m256i>(x)); }
OFFBEAT_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
OFFBEAT_INLINE Floats clamp(Floats x, Floats limit) { return _mm256_max_ps(-limit, _mm256_min_ps(limit, x)); }
OFFBEAT_INLINE Floats load_bf16(const std::uint16_t* from) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
OFFBEAT_INLINE Floats load_first(const float* from, std::size_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index));
}
OFFBEAT_INLINE Floats load_f16(const std::uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
OFFBEAT_INLINE Ints multiply_pairs(Ints a, Ints b) {
  return reinterpret_cast<Ints>(_mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}

#else

OFFBEAT_INLINE Floats set(float x) { return Floats{x, x, x, x}; }
OFFBEAT_INLINE Ints set_int(std::int32_t x) { return Ints{x, x, x, x}; }

OFFBEAT_INLINE Floats load_first(const float* from, std::size_t n) {
  return Floats{n > 0 ? from[0] : 0, n > 1 ? from[1] : 0, n > 2 ? from[2] : 0, n > 3 ? from[3] : 0};
}

OFFBEAT_INLINE Ints load_shorts(const std::uint16_t* from) { return Ints{from[0], from[1], from[2], from[3]}; }
OFFBEAT_INLINE Floats load_bf16(const std::uint16_t* from) { return reinterpret_cast<Floats>(load_shorts(from) << 16); }

#if defined(__SSE2__)
OFFBEAT_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
OFFBEAT_INLINE Floats to_floats(Ints x) { return _mm_cvtepi32_ps(reinterpret_cast<__m128i>(x)); }
OFFBEAT_INLINE Floats max(Floats a, Floats b) { return _mm_max_ps(a, b); }
OFFBEAT_INLINE Floats clamp(Floats x, Floats limit) { return _mm_max_ps(-limit, _mm_min_ps(limit, x)); }
OFFBEAT_INLINE Ints multiply_pairs(Ints a, Ints b) {
  return reinterpret_cast<Ints>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
}
#else
OFFBEAT_INLINE Floats choose(Ints mask, Floats a, Floats b) {
  return reinterpret_cast<Floats>((reinterpret_cast<Ints>(a) & mask) | (reinterpret_cast<Ints>(b) & ~mask));
}
OFFBEAT_INLINE Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }
OFFBEAT_INLINE Floats max(Floats a, Floats b) { return choose(a > b, a, b); }
OFFBEAT_INLINE Floats clamp(Floats x, Floats limit) {
  const Floats below = choose(x > limit, limit, x);
  return choose(below < -limit, -limit, below);
}
OFFBEAT_INLINE Ints multiply_pairs(Ints a, Ints b) { return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16); }
#if defined(__ARM_NEON)
OFFBEAT_INLINE Floats fma(Floats a, Floats b, Floats c) {
  return reinterpret_cast<Floats>(vfmaq_f32(reinterpret_cast<float32x4_t>(c), reinterpret_cast<float32x4_t>(a), reinterpret_cast<float32x4_t>(b)));
}
#else
OFFBEAT_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
#endif
#endif

/// Half precision by integer arithmetic: the bits moved into place and the exponent's offset multiplied in, which is exact.
OFFBEAT_INLINE Floats load_f16(const std::uint16_t* from) {
  const Ints bits = load_shorts(from);
  const Floats magnitude = reinterpret_cast<Floats>((bits & 0x7fff) << 13) * 0x1p112f;
  return reinterpret_cast<Floats>(reinterpret_cast<Ints>(magnitude) | ((bits & 0x8000) << 16));
}

#endif

/// sum + products of four neighbouring bytes, unsigned · signed, exactly.
OFFBEAT_INLINE Ints multiply_bytes(Ints sum, Ints unsigned_bytes, Ints signed_bytes) {
#if defined(__AVX512VNNI__)
  return reinterpret_cast<Ints>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(unsigned_bytes),
                                                    reinterpret_cast<__m512i>(signed_bytes)));
#else
  // Even and odd bytes, widened to 16 bits: the instruction that multiplies bytes directly saturates.
  typedef std::int16_t Shorts __attribute__((vector_size(lanes * 4)));
  typedef std::uint16_t UnsignedShorts __attribute__((vector_size(lanes * 4)));
  const Shorts even_weights = (reinterpret_cast<Shorts>(signed_bytes) << 8) >> 8;
  const Shorts odd_weights = reinterpret_cast<Shorts>(signed_bytes) >> 8;
  const UnsignedShorts even = reinterpret_cast<UnsignedShorts>(unsigned_bytes) & 255;
  const UnsignedShorts odd = reinterpret_cast<UnsignedShorts>(unsigned_bytes) >> 8;
  sum += multiply_pairs(reinterpret_cast<Ints>(even), reinterpret_cast<Ints>(even_weights));
  return sum + multiply_pairs(reinterpret_cast<Ints>(odd), reinterpret_cast<Ints>(odd_weights));
#endif
}

/// The sum of all lanes: of the first half and the second, then of what that gives, and so on, whatever the number of lanes.
OFFBEAT_INLINE float sum_of(Floats x) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
#else
  const __m256 eight = x;
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
  return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}

/// As many of n numbers as there are lanes.
OFFBEAT_INLINE Floats load_up_to(const float* from, std::size_t n) { return n >= lanes ? load(from) : load_first(from, n); }

/// Sums are kept in sixteen parts, whatever the number of lanes, so that all instruction sets add in one order.
inline constexpr std::size_t n_parts = row_alignment / lanes;

OFFBEAT_INLINE float sum_of(Floats (&parts)[n_parts]) {
#pragma GCC unroll 4
  for (std::size_t n = n_parts / 2; n > 0; n /= 2) {
#pragma GCC unroll 4
    for (std::size_t part = 0; part < n; ++part) parts[part] += parts[part + n];
  }
  return sum_of(parts[0]);
}
