#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan.h"

namespace offbeat {

/// Marks the repeats whose steps beyond the window's nobody sees. What is wrong with the others, where they have too many steps: a
/// window of a few steps must not cost what the file chooses.
std::optional<std::string> bound_repeats(std::vector<Layer>& layers);

}  // namespace offbeat
