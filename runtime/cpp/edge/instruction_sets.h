#pragma once

#include <string_view>
#include <vector>

namespace offbeat::edge {

/// The instruction sets, by the names that SessionOptions takes, that this CPU runs; the plainest first.
std::vector<std::string_view> instruction_sets();

}  // namespace offbeat::edge
