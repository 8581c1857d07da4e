#pragma once

#include <string_view>

#include "offbeat/export.h"

namespace offbeat {

/// The version of this library, "major.minor.patch". It is also the version of the Python distribution.
OFFBEAT_API std::string_view version() noexcept;

}  // namespace offbeat
