#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifest.h"
#include "npz.h"
#include "offbeat/result.h"
#include "offbeat/session.h"
#include "output_arrays.h"

namespace offbeat::edge {

/// Windows in raw units with the eager float32 model's outputs for them.
struct Golden {
  std::size_t n_windows = 0;
  std::size_t n_steps = 0;  ///< 1 for tables
  NamedArray window;
  std::vector<OutputSpec> specs;    ///< the outputs, in the manifest's order
  std::vector<NamedArray> outputs;  ///< by spec
};

/// The largest difference of one output from the golden one, in units of what docs/format.md allows: at most 1 is a pass.
struct Deviation {
  std::string output;
  double largest = 0;
  std::size_t window = 0;  ///< where it is
};

/// Reads `golden.npz`: exactly the manifest's outputs in the shapes that the session gives them, finite, and following from its threshold.
Result<Golden> read_golden(std::span<const std::byte> archive, const Manifest& manifest, const Session& session, std::string_view where);

/// Scores the golden windows, all at once and then one by one, and compares: for each output, the worse of the two.
Result<std::vector<Deviation>> replay(const Golden& golden, const Manifest& manifest, const Session& session);

/// Whether every output is within its bound.
bool is_within(std::span<const Deviation> deviations) noexcept;

}  // namespace offbeat::edge
