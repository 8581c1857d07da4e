#pragma once

#include <string_view>

namespace offbeat {

/// The version of this library, "major.minor.patch". It is also the version of the Python distribution.
std::string_view version() noexcept;

}  // namespace offbeat
