#pragma once

#include <string_view>

namespace offbeat::edge {

/// What the program says to whoever started it; docs/edge.md lists the numbers.
enum class ExitCode : int {
  ok = 0,
  disagreement = 1,  ///< `verify`: the engine does not give the golden outputs
  usage = 2,         ///< a command, flag or value that is none
  model = 3,         ///< the model could not be loaded, or its folder is not what its manifest says
  data = 4,          ///< a row that cannot be scored
  io = 5,            ///< reading or writing failed
};

/// Writes `offbeat-edge: message` and an end of line to standard error.
void complain(std::string_view message) noexcept;

/// The same, and gives the code back, for `return fail(…)`.
ExitCode fail(ExitCode code, std::string_view message) noexcept;

}  // namespace offbeat::edge
