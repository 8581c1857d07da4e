#include "engine_pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>

namespace offbeat {
namespace {

using kernels::Format;
using kernels::Packed;

constexpr std::size_t min_narrowed_columns = 16;
constexpr float log2_e = 1.44269504088896340736f;

template <class T>
T stored(const Matrix& matrix, std::size_t index) noexcept {
  T value;
  std::memcpy(&value, matrix.data + index * sizeof(T), sizeof(T));
  return value;
}

float from_f16(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const float magnitude = std::bit_cast<float>(static_cast<std::uint32_t>(bits & 0x7fffU) << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
}

std::uint16_t to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/// To the nearest, ties to even; what half precision cannot hold becomes its largest number.
std::uint16_t to_f16(float value) noexcept {
  const auto sign = static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) >> 16) & 0x8000U);
  const float magnitude = std::min(std::fabs(value), 65504.0f);
  if (magnitude < 0x1p-14f) {  // denormal: an integer number of 2⁻²⁴
    return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(magnitude * 0x1p24f)));
  }
  const auto bits = std::bit_cast<std::uint32_t>(magnitude);
  const std::uint32_t rounded = bits + 0xfffU + ((bits >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - (112U << 23)) >> 13));
}

/// The place of a weight in panels of up to four vectors; of i8 the place of its group of four inputs.
std::size_t packed_index(std::size_t packed_row, std::size_t input, std::size_t n_inputs, std::size_t n_rows, std::size_t n_lanes) {
  const std::size_t vector = packed_row / n_lanes;
  const std::size_t first = vector / 4 * 4;
  const std::size_t n_vectors = std::min<std::size_t>(4, n_rows / n_lanes - first);
  return (first * n_inputs + input * n_vectors + (vector - first)) * n_lanes + packed_row % n_lanes;
}

/// The same where the weights of two vectors alternate, so that one load of whole words has both.
std::size_t paired_index(std::size_t packed_row, std::size_t input, std::size_t n_inputs, std::size_t n_rows, std::size_t n_lanes) {
  const std::size_t index = packed_index(packed_row, input, n_inputs, n_rows, n_lanes);
  const std::size_t lane = packed_row % n_lanes;
  const std::size_t vector = packed_row / n_lanes;
  if (vector % 2 == 1) return index - n_lanes + lane + 1;
  return vector + 1 < n_rows / n_lanes ? index + lane : index;
}

template <class T, class Index, class Convert>
void fill(T* data, const Matrix& matrix, std::span<const PackedRow> rows, std::size_t n_lanes, Index index, Convert convert) {
  for (std::size_t packed_row = 0; packed_row < rows.size(); ++packed_row) {
    const PackedRow& row = rows[packed_row];
    for (std::size_t input = 0; input < matrix.n_columns; ++input) {
      const float value = row.row == no_row ? 0.0f : element(matrix, row.row, input) * row.factor;
      data[index(packed_row, input, matrix.n_columns, rows.size(), n_lanes)] = convert(value);
    }
  }
}

/// The row's scale: as stored, or so that its largest weight becomes 127.
float row_scale(const Matrix& matrix, std::size_t row) noexcept {
  if (matrix.dtype == DType::i8) return matrix.row_scale[row];
  float largest = 0;
  for (std::size_t column = 0; column < matrix.n_columns; ++column) largest = std::max(largest, std::fabs(element(matrix, row, column)));
  return largest / 127;
}

std::int8_t quantised(const Matrix& matrix, std::size_t row, std::size_t column, float scale) noexcept {
  if (matrix.dtype == DType::i8) return stored<std::int8_t>(matrix, row * matrix.n_columns + column);
  if (!(scale > 0)) return 0;
  return static_cast<std::int8_t>(std::clamp(std::nearbyint(element(matrix, row, column) / scale), -127.0f, 127.0f));
}

Packed pack_i8(const Matrix& matrix, std::span<const PackedRow> rows, std::size_t n_lanes, Constants& constants) {
  const std::size_t n_fours = (matrix.n_columns + 3) / 4;
  auto* data = constants.allocate_array<std::int8_t>(rows.size() * n_fours * 4);
  auto* scales = constants.allocate_array<float>(rows.size());
  auto* sums = constants.allocate_array<std::int32_t>(rows.size());
  for (std::size_t packed_row = 0; packed_row < rows.size(); ++packed_row) {
    const PackedRow& row = rows[packed_row];
    if (row.row == no_row) continue;
    const float scale = row_scale(matrix, row.row);
    scales[packed_row] = scale * row.factor;
    for (std::size_t column = 0; column < matrix.n_columns; ++column) {
      const std::int8_t value = quantised(matrix, row.row, column, scale);
      data[packed_index(packed_row, column / 4, n_fours, rows.size(), n_lanes) * 4 + column % 4] = value;
      sums[packed_row] += 128 * value;
    }
  }
  return {.data = data, .format = Format::i8, .n_inputs = matrix.n_columns, .n_vectors = rows.size() / n_lanes, .row_scale = scales, .row_sum = sums};
}

}  // namespace

std::byte* Constants::allocate(std::size_t n_bytes) {
  constexpr std::size_t alignment = 64;
  // Kernels load whole vectors: a spare one behind the end.
  const std::size_t n_padded = (n_bytes + 2 * alignment - 1) / alignment * alignment;
  auto* data = static_cast<std::byte*>(::operator new[](n_padded, std::align_val_t{alignment}));
  std::memset(data, 0, n_padded);
  blocks_.emplace_back(data);
  return data;
}

void Constants::Free::operator()(std::byte* data) const noexcept { ::operator delete[](data, std::align_val_t{64}); }

float element(const Matrix& matrix, std::size_t row, std::size_t column) noexcept {
  const std::size_t index = row * matrix.n_columns + column;
  switch (matrix.dtype) {
    case DType::f32: return stored<float>(matrix, index);
    case DType::f16: return from_f16(stored<std::uint16_t>(matrix, index));
    case DType::bf16: return std::bit_cast<float>(static_cast<std::uint32_t>(stored<std::uint16_t>(matrix, index)) << 16);
    case DType::i8: return static_cast<float>(stored<std::int8_t>(matrix, index)) * matrix.row_scale[row];
  }
  return 0;
}

Format packed_format(const Matrix& matrix, Precision precision) noexcept {
  if (matrix.n_columns < min_narrowed_columns) return Format::f32;
  switch (precision) {
    case Precision::stored: break;
    case Precision::float32: return Format::f32;
    case Precision::float16: return Format::f16;
    case Precision::bfloat16: return Format::bf16;
    case Precision::int8: return Format::i8;
  }
  switch (matrix.dtype) {
    case DType::f32: return Format::f32;
    case DType::f16: return Format::f16;
    case DType::bf16: return Format::bf16;
    case DType::i8: return Format::i8;
  }
  return Format::f32;
}

std::vector<PackedRow> linear_rows(std::size_t n_rows, std::span<const float> factors, std::size_t n_lanes) {
  std::vector<PackedRow> rows((n_rows + n_lanes - 1) / n_lanes * n_lanes);
  for (std::size_t row = 0; row < n_rows; ++row) rows[row] = {row, factors.empty() ? 1.0f : factors[row]};
  return rows;
}

std::vector<PackedRow> lstm_rows(std::size_t hidden_size, bool is_scaled, std::size_t n_lanes) {
  const std::size_t n_panels = (hidden_size + n_lanes - 1) / n_lanes;
  std::vector<PackedRow> rows(n_panels * 4 * n_lanes);
  for (std::size_t unit = 0; unit < hidden_size; ++unit) {
    for (std::size_t gate = 0; gate < 4; ++gate) {
      const float factor = !is_scaled ? 1 : gate == 2 ? -2 * log2_e : -log2_e;
      rows[(unit / n_lanes * 4 + gate) * n_lanes + unit % n_lanes] = {gate * hidden_size + unit, factor};
    }
  }
  return rows;
}

Packed pack(const Matrix& matrix, std::span<const PackedRow> rows, Format format, std::size_t n_lanes, Constants& constants) {
  if (format == Format::i8) return pack_i8(matrix, rows, n_lanes, constants);
  Packed packed{.format = format, .n_inputs = matrix.n_columns, .n_vectors = rows.size() / n_lanes};
  const std::size_t n_elements = rows.size() * matrix.n_columns;
  if (format == Format::f32) {
    auto* data = constants.allocate_array<float>(n_elements);
    fill(data, matrix, rows, n_lanes, packed_index, [](float value) { return value; });
    packed.data = data;
  } else {
    auto* data = constants.allocate_array<std::uint16_t>(n_elements);
    if (format == Format::bf16 && kernels::pairs_bf16(n_lanes)) {
      fill(data, matrix, rows, n_lanes, paired_index, to_bf16);
    } else {
      fill(data, matrix, rows, n_lanes, packed_index, format == Format::bf16 ? to_bf16 : to_f16);
    }
    packed.data = data;
  }
  return packed;
}

}  // namespace offbeat
