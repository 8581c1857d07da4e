#include "offbeat/version.h"

namespace offbeat {

std::string_view version() noexcept { return OFFBEAT_VERSION; }

}  // namespace offbeat
