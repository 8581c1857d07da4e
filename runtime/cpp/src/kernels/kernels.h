#pragma once

#include <cstddef>
#include <cstdint>

/// What the kernels of one instruction set offer. Plain structs and function pointers only: this header is seen by translation
/// units compiled for wider instruction sets, and must not give the linker an inline function to share with the rest.
namespace offbeat::kernels {

/// How packed weights are kept. i8 are multiplied in integers, the others in float32.
enum class Format : std::uint8_t { f32, bf16, f16, i8 };

enum class Unary : std::uint8_t { none, relu, sigmoid, tanh };

/// Rows of every buffer are written in whole vectors, never beyond a multiple of this many floats.
inline constexpr std::size_t row_alignment = 16;

/// Outputs of a linear layer that are fewer are computed one by one, a vector over the inputs; their rows are not padded.
inline constexpr std::size_t n_narrow = 3;

/// Sequences (or rows) that one call of an i8 kernel quantises at a time.
inline constexpr std::size_t quantised_rows = 96;

/// With eight lanes there are 16 registers, none of which is left for the second vector of a pair, and a load that widens.
constexpr bool pairs_bf16(std::size_t n_lanes) noexcept { return n_lanes != 8; }

/// A weight matrix [output, input], packed for a vector over outputs: panels of up to four vectors, and in a panel, for each
/// input (i8: each four inputs), that input's weights to the panel's outputs. The panels of an lstm are gates i, f, g, o of
/// one vector of hidden units, with the activations' factors −log₂e and −2 log₂e multiplied in (i8: into row_scale; 16 bits: not).
/// Of bf16 the numbers of a panel's first and second vector alternate, and those of its third and fourth, where pairs_bf16.
struct Packed {
  const void* data = nullptr;
  Format format = Format::f32;
  std::size_t n_inputs = 0;
  std::size_t n_vectors = 0;
  const float* row_scale = nullptr;       ///< i8: [output], padded
  const std::int32_t* row_sum = nullptr;  ///< i8: [output], padded: 128 · sum of the row, what the offset of the inputs adds
};

/// out = unary(x · weightᵀ · factor + bias), row by row.
struct LinearArgs {
  const float* x;
  std::size_t x_stride;
  std::size_t n_rows;
  Packed weight;
  const float* bias;  ///< [n_vectors · lanes]
  const float* factor;  ///< the same, of 16-bit weights, which take none; null for ones
  Unary unary;
  float* out;
  std::size_t out_stride;
  std::byte* quantised;  ///< i8: scratch, see n_quantised_bytes
};

/// The same for at most n_narrow outputs: weight [output, input], rows padded with zeros to row_alignment.
struct NarrowArgs {
  const float* x;
  std::size_t x_stride;
  std::size_t n_rows;
  std::size_t n_inputs;
  std::size_t n_outputs;
  const float* weight;
  std::size_t weight_stride;
  const float* bias;
  Unary unary;
  float* out;
  std::size_t out_stride;
};

/// One direction of one lstm layer over n_steps steps of n_rows sequences.
///
/// The gates begin at gates[step, row], to which weight_input · x (where x is not null) and weight_hidden · h are added.
/// The output of step t is h + t · h_step, that of the step before it the next step's input.
struct LstmArgs {
  std::size_t n_rows;
  std::size_t n_steps;
  const float* gates;  ///< [step, row, panel, gate, lane]
  std::size_t gates_row;
  std::ptrdiff_t gates_step;
  const float* x;
  std::size_t x_row;
  std::ptrdiff_t x_step;
  Packed weight_input;
  Packed weight_hidden;
  const float* h_before;  ///< the state before the first step, or null for zeros
  std::size_t h_before_row;
  float* c;  ///< in and out
  std::size_t c_row;
  float* h;
  std::size_t h_row;
  std::ptrdiff_t h_step;
  bool is_ring;          ///< only two steps of h are kept: step t is at h + (t mod 2) · h_step
  std::byte* quantised;  ///< i8: scratch
};

/// out = (windows − mean) / scale, from [row, step, feature] to rows of [step, row], zeros behind their numbers up to out_stride.
///
/// mean and scale are whole vectors, with zeros and ones behind their numbers; of at most n_narrow features the numbers are
/// repeated for row_alignment steps.
struct NormaliseArgs {
  const float* windows;
  std::size_t n_rows;
  std::size_t n_steps;
  std::size_t n_features;
  const float* mean;
  const float* scale;
  float* out;
  std::size_t out_stride;
};

/// Sums e over steps, element by element of [row, feature]: sums[j] = Σ e(n[t, j], r[t, j]).
struct ErrorArgs {
  const float* n;
  std::size_t n_step;
  const float* r;
  std::size_t r_step;
  std::size_t n_steps;
  std::size_t n_elements;
  bool is_absolute;
  float* sums;
};

/// out = a · b + c, row by row, rounded twice, zeros behind up to the next row. Rows 0 apart are one for all.
struct MultiplyAddArgs {
  const float* a;
  std::size_t a_row;
  const float* b;
  std::size_t b_row;
  const float* c;
  std::size_t c_row;
  std::size_t n_rows;
  std::size_t size;
  float* out;
  std::size_t out_row;
};

/// The sum of each row's numbers n over a divisor; where r is not null, that of e(n, r), of more than n_narrow features.
struct TotalArgs {
  const float* n;
  const float* r;
  bool is_absolute;
  std::size_t stride;
  std::size_t n_rows;
  std::size_t n_features;
  float divisor;
  float* out;  ///< [row], written in whole vectors
};

/// Errors, infinite where they are undefined; scores min(error / threshold / 2, 1); and whether error > threshold. What is null is not asked for.
struct JudgeArgs {
  float* errors;  ///< [row], in and out
  std::size_t n_rows;
  float threshold;
  float* error;
  float* score;
  bool* is_anomaly;
};

/// The kernels of i8 weights, which an extension of an instruction set may have better ones for.
struct ByteKernels {
  void (*linear)(const LinearArgs&) noexcept;
  void (*lstm)(const LstmArgs&) noexcept;
};

struct Kernels {
  const char* isa;
  std::size_t n_lanes;
  void (*linear)(const LinearArgs&) noexcept;
  void (*narrow)(const NarrowArgs&) noexcept;
  void (*lstm)(const LstmArgs&) noexcept;  ///< weight_hidden not of i8
  /// Two runs that do not need each other, of one sequence each, as many steps, 2 · n_lanes units and weights of f32: what `lstm` gives
  /// for the first and then for the second. Null where nothing is gained by taking both at once.
  void (*lstm_two)(const LstmArgs& first, const LstmArgs& second) noexcept;
  ByteKernels bytes;
  bool (*finite)(const float* values, std::size_t n_values) noexcept;  ///< whether none is NaN or infinite
  void (*normalise)(const NormaliseArgs&) noexcept;
  void (*error)(const ErrorArgs&) noexcept;
  void (*totals)(const TotalArgs&) noexcept;
  void (*judge)(const JudgeArgs&) noexcept;
  /// x = unary(x), and x = e^(x / 2), over n_elements rounded up to whole vectors.
  void (*unary)(float* x, std::size_t n_elements, Unary unary) noexcept;
  void (*exp_half)(float* x, std::size_t n_elements) noexcept;
  void (*multiply_add)(const MultiplyAddArgs&) noexcept;
};

/// Bytes of scratch that an i8 kernel needs for rows of n_inputs numbers.
constexpr std::size_t n_quantised_bytes(std::size_t n_inputs) noexcept {
  return quantised_rows * ((n_inputs + 63) / 64 * 64 + 64);
}

#if defined(__x86_64__)
extern const Kernels baseline_kernels;
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
extern const ByteKernels avx512_vnni_kernels;
#elif defined(__aarch64__)
extern const Kernels neon_kernels;
#else
extern const Kernels baseline_kernels;
#endif

}  // namespace offbeat::kernels
