#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine_program.h"
#include "offbeat/session.h"
#include "plan.h"

namespace offbeat {

/// The number at [row, column], whatever the matrix is stored as.
float element(const Matrix& matrix, std::size_t row, std::size_t column) noexcept;

/// How a matrix is kept for this precision. Matrices of few columns stay float32: they cost nothing.
kernels::Format packed_format(const Matrix& matrix, Precision precision) noexcept;

inline constexpr std::size_t no_row = static_cast<std::size_t>(-1);

/// What a packed row is made of: a row of the matrix (no_row: zeros) times a factor.
struct PackedRow {
  std::size_t row = no_row;
  float factor = 1;
};

/// The rows of a linear layer in order, padded to whole vectors. `factors` may be empty.
std::vector<PackedRow> linear_rows(std::size_t n_rows, std::span<const float> factors, std::size_t n_lanes);

/// The rows of an lstm: for each vector of hidden units its gates i, f, g, o, with the activations' factors where `is_scaled`.
std::vector<PackedRow> lstm_rows(std::size_t hidden_size, bool is_scaled, std::size_t n_lanes);

/// Packs a matrix as kernels.h describes it. 16-bit formats take no factors: their numbers are kept as they are stored.
kernels::Packed pack(const Matrix& matrix, std::span<const PackedRow> rows, kernels::Format format, std::size_t n_lanes, Constants& constants);

}  // namespace offbeat
