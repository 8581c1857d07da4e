#include "finite.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace offbeat {

bool all_finite(const float* values, std::size_t n_values) noexcept {
  constexpr std::uint32_t exponent = 0x7F800000;
  constexpr std::size_t n_block = 1024;
  // Without a branch inside a block the compiler makes vectors of it.
  for (std::size_t start = 0; start < n_values; start += n_block) {
    const std::size_t end = std::min(n_values, start + n_block);
    std::uint32_t n_wrong = 0;
    for (std::size_t index = start; index < end; ++index) {
      n_wrong += (std::bit_cast<std::uint32_t>(values[index]) & exponent) == exponent ? 1u : 0u;
    }
    if (n_wrong != 0) return false;
  }
  return true;
}

}  // namespace offbeat
