#pragma once

#include <cstddef>

namespace offbeat {

/// Whether none of the values is NaN or infinite.
bool all_finite(const float* values, std::size_t n_values) noexcept;

}  // namespace offbeat
