#pragma once

#include <cstddef>
#include <vector>

#include "golden.h"
#include "manifest.h"

namespace offbeat::edge {

/// How far an output may be from the golden one, element by element: docs/format.md, "How far an engine may be from the golden outputs".
class Tolerance {
 public:
  Tolerance(const Golden& golden, const Manifest& manifest);

  /// |seen − golden| of one element in units of what is allowed there. Decisions that differ count as infinite, unless the error is so near
  /// the threshold that they may; so does a NaN on one side alone.
  [[nodiscard]] double deviation(std::size_t output, std::size_t index, float seen) const noexcept;

 private:
  [[nodiscard]] double allowed(std::size_t output, std::size_t index, double golden) const noexcept;
  [[nodiscard]] double error(std::size_t window) const noexcept;
  [[nodiscard]] double largest_normalised(const NamedArray& array, std::size_t window) const noexcept;

  const Golden* golden_;
  const Manifest* manifest_;
  std::size_t error_output_ = 0;
  std::vector<std::vector<double>> magnitudes_;  // by output, for those in raw units: the largest normalised value, at least 1, by window
};

}  // namespace offbeat::edge
