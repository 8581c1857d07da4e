#include "exit_code.h"

#include <cstdio>

namespace offbeat::edge {

void complain(std::string_view message) noexcept {
  std::fprintf(stderr, "offbeat-edge: %.*s\n", static_cast<int>(message.size()), message.data());
}

ExitCode fail(ExitCode code, std::string_view message) noexcept {
  complain(message);
  return code;
}

}  // namespace offbeat::edge
